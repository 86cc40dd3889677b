"""Measure the layers beside their peers; write RESULTS.md and print how far the targets are met.

Usage: python benchmarks/run.py [--rounds N] [--only hsv,pca,affine,adapt,gpu]

Every contestant lives in a process with the framework it needs. In each round all are measured
once, one at a time and for a short time, so that a machine that gets slower or faster does so for
all. With `--only`, nothing is written.
"""

import argparse
import os
import random
import subprocess
import sys
from pathlib import Path

import report
from contestants import WORKS, load
from worker import CPU_ONLY, QUIET, Worker

HERE = Path(__file__).parent


def build(contestants):
    """The workers by name, and for each contestant that can't take part the reason."""
    workers, absent = {}, {}
    for label, contestant in contestants.items():
        if contestant.worker not in workers:
            workers[contestant.worker] = Worker(contestant.worker)
        answer = workers[contestant.worker].ask("build", label)
        if answer:
            absent[label] = answer.get("unavailable", "failed")
        print(f"set up: {label}: {' '.join(answer.values()) or 'ready'}", flush=True)
    return workers, absent


def measure(contestants, workers, rounds):
    """Images per second by label, a figure per round."""
    rates = {label: [] for label in contestants}
    order, shuffle = list(contestants.values()), random.Random(0).shuffle
    for number in range(rounds):
        shuffle(order)
        for contestant in order:
            answer = workers[contestant.worker].ask("measure", contestant.label)
            if "rate" not in answer:
                sys.exit(f"{contestant.label}: {' '.join(answer.values())}")
            rates[contestant.label].append(answer["rate"])
            print(
                f"round {number + 1}/{rounds}: {contestant.label}: {answer['rate']:.0f} images/s",
                flush=True,
            )
    return rates


def peak_memory(counts=(500, 5000)):
    """MiB that `adapt` takes at its peak, by number of images; None where it can't be seen."""
    if not Path("/proc/self/status").exists():
        return None
    peaks, env = {}, {**os.environ, **QUIET, **CPU_ONLY, "KERAS_BACKEND": "tensorflow"}
    for count in counts:
        command = [sys.executable, HERE / "memory.py", str(count)]
        result = subprocess.run(command, env=env, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"peak memory on {count} images: {result.stderr}")
        peaks[count] = float(result.stdout)
        print(f"peak memory of adapt on {count} images: {peaks[count]:.0f} MiB", flush=True)
    return peaks


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="default: 11, some ten minutes")
    parser.add_argument("--only", help=f"a list from {','.join(WORKS)}; writes nothing")
    given = parser.parse_args()
    given.works = given.only.split(",") if given.only else WORKS
    if not set(given.works) <= set(WORKS) or given.rounds < 1:
        parser.error(f"--only takes a list from {','.join(WORKS)}, and --rounds is at least 1")
    return given


def main():
    given, load_average = options(), os.getloadavg()[0]
    chosen = {k: c for k, c in load().items() if set(c.works) & set(given.works)}
    workers, absent = build(chosen)
    rates = measure({k: c for k, c in chosen.items() if k not in absent}, workers, given.rounds)
    for worker in workers.values():
        worker.close()
    peaks = peak_memory() if "adapt" in given.works else None
    if not given.only:
        text = report.markdown(rates, absent, peaks, load_average)
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    print("\n".join([*report.target_table(rates, absent, peaks), *report.gpu_lines(rates)]))
    return int("failed" in absent.values())


if __name__ == "__main__":
    sys.exit(main())
