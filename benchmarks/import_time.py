"""How long `import keras_dcnn` takes once Keras is there, on every backend that is installed.

Usage: python benchmarks/import_time.py [--rounds N]

Each import is in a process of its own, with the bytecode that the first one leaves behind, as
after an installation. Prints medians: of the time, and of the processor's time, which other
programs do not lengthen.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile

BACKENDS = ("tensorflow", "jax", "torch")
IMPORT = """
import time
import keras
start, busy = time.perf_counter(), time.process_time()
import keras_dcnn
print(time.perf_counter() - start, time.process_time() - busy)
"""


def milliseconds(backend, bytecode):
    env = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPYCACHEPREFIX": bytecode}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", IMPORT]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return [1000 * float(seconds) for seconds in done.stdout.split()[-2:]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="default: 9")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as bytecode:
        for backend in filter(importlib.util.find_spec, BACKENDS):
            milliseconds(backend, bytecode)  # writes the bytecode, and warms the disk's cache
            times = zip(*(milliseconds(backend, bytecode) for _ in range(rounds)), strict=True)
            took, busy = map(statistics.median, times)
            print(f"{backend}: {took:.0f} ms, of the processor {busy:.0f} ms; target: ≤ 100 ms")


if __name__ == "__main__":
    main()
