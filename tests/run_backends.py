"""Run the suite once per backend, each in its own process, and end with a line per backend.

Usage: python tests/run_backends.py [tensorflow] [jax] [torch] (all that are installed)
"""

import importlib.util
import os
import subprocess
import sys
import time

BACKENDS = ("tensorflow", "jax", "torch")


def run(backend):
    """The closing line of one backend, and whether it failed."""
    if importlib.util.find_spec(backend) is None:
        return f"{backend}: skipped, it is not installed", False
    print(f"\n===== {backend} =====", flush=True)
    start = time.monotonic()
    code = subprocess.call(
        [sys.executable, "-m", "pytest", "-q", "--durations=5"],
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    verdict = "passed" if code == 0 else f"FAILED (pytest ended with {code})"
    return f"{backend}: {verdict} in {time.monotonic() - start:.0f} s", code != 0


def main(names):
    """Run the named backends, or all; returns the exit code."""
    unknown = [name for name in names if name not in BACKENDS]
    if unknown:
        sys.exit(f"BACKENDS must be among {', '.join(BACKENDS)}; got {unknown[0]!r}")
    results = [run(name) for name in names or BACKENDS]
    print("\n" + "\n".join(line for line, _ in results))
    if any("torch: skipped" in line for line, _ in results):
        print('(make test BACKENDS="tensorflow jax torch" installs PyTorch)')
    return int(any(failed for _, failed in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
