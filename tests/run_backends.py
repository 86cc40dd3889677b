"""Run the suite once per backend, each in two processes, and end with a line per backend.

Usage: python tests/run_backends.py [--slow] [tensorflow] [jax] [torch] (all that are installed)

The first backend runs all that is quick; the others run what is marked `every_backend`, which may
differ between them, but for `one_backend`. With --slow each runs everything, but for what is marked
`once`, which no backend changes: that the first runs alone.
"""

import importlib.util
import os
import subprocess
import sys
import time

BACKENDS = ("tensorflow", "jax", "torch")
PROCESSES = min(os.cpu_count() or 1, 4)
# The tests are small: threads of their own would only wait for each other.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")


def selection(first, slow):
    """pytest's expression of marks."""
    if slow:
        return "" if first else "not once"
    return "not slow" if first else "every_backend and not one_backend and not slow"


def run(backend, first, slow):
    """The closing line of one backend, and whether it failed."""
    if importlib.util.find_spec(backend) is None:
        return f"{backend}: skipped, it is not installed", False
    print(f"\n===== {backend} =====", flush=True)
    start = time.monotonic()
    arguments = ["-q", "--durations=25", "-m", selection(first, slow)]
    parallel = ["-n", str(PROCESSES), "--dist", "loadfile"] if PROCESSES > 1 else []
    code = subprocess.call(
        [sys.executable, "-m", "pytest", *arguments, *parallel],
        env={**THREADS, **os.environ, "KERAS_BACKEND": backend},
    )
    verdict = "passed" if code == 0 else f"FAILED (pytest ended with {code})"
    return f"{backend}: {verdict} in {time.monotonic() - start:.0f} s", code != 0


def main(arguments):
    """Run the named backends, or all; returns the exit code."""
    slow = "--slow" in arguments
    names = [name for name in arguments if name != "--slow"] or BACKENDS
    unknown = [name for name in names if name not in BACKENDS]
    if unknown:
        sys.exit(f"BACKENDS must be among {', '.join(BACKENDS)}; got {unknown[0]!r}")
    results = [run(name, name == names[0], slow) for name in names]
    print("\n" + "\n".join(line for line, _ in results))
    if any("torch: skipped" in line for line, _ in results):
        print('(make test BACKENDS="tensorflow jax torch" installs PyTorch)')
    return int(any(failed for _, failed in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
