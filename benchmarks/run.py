"""Measure the layers beside their peers; write RESULTS.md and print how far the targets are met.

Usage: python benchmarks/run.py [--rounds N] [--only hsv,rrelu,…]

Every contestant lives in a process with the framework it needs. In each round all are measured
once, one at a time and for a short time, so that a machine that gets slower or faster does so for
all. With `--only`, nothing is written.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import report
from contestants import WORKS, load
from tables import number
from targets import MEMORY
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
    for done in range(1, rounds + 1):
        shuffle(order)
        for contestant in order:
            answer = workers[contestant.worker].ask("measure", contestant.label)
            if "rate" not in answer:
                sys.exit(f"{contestant.label}: {' '.join(answer.values())}")
            rates[contestant.label].append(answer["rate"])
            rate = number(answer["rate"])
            print(f"round {done}/{rounds}: {contestant.label}: {rate} images/s", flush=True)
    return rates


def script(backend, *command):
    """What a script of this folder prints, on a CPU, in a process of its own."""
    env = {**os.environ, **QUIET, **CPU_ONLY, "KERAS_BACKEND": backend}
    command = [sys.executable, HERE / command[0], *command[1:]]
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {result.stderr}")
    return result.stdout


def peak_memory(counts=(500, 5000)):
    """MiB that `adapt` takes at its peak, by number of images; None where it can't be seen."""
    if not Path("/proc/self/status").exists():
        return None
    peaks = {count: float(script("tensorflow", "memory.py", str(count))) for count in counts}
    print(f"peak memory of adapt, MiB by images: {peaks}", flush=True)
    return peaks


def kept_memory(works):
    """Bytes that the rectifiers take beside their results, by what for and by layer."""
    kept = json.loads(script("jax", "kept.py", *works)) if works else {}
    print(f"memory of the rectifiers: {kept}", flush=True)
    return kept


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="default: 11, a quarter of an hour")
    parser.add_argument("--only", help=f"a list from {','.join(WORKS)}; writes nothing")
    given = parser.parse_args()
    given.works = given.only.split(",") if given.only else list(WORKS)
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
    kept = kept_memory([work for work in MEMORY if work in given.works])
    measured = report.Measured(chosen, rates, absent, peaks, kept, load_average)
    if not given.only:
        (HERE / "RESULTS.md").write_text(report.markdown(measured), encoding="utf-8")
    print("\n".join([*report.target_table(measured), *report.gpu_lines(rates)]))
    return int("failed" in absent.values())


if __name__ == "__main__":
    sys.exit(main())
