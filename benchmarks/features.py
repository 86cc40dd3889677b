"""Features of 13 depths in one pass beside one `predict` of the network, and memory by images.

Usage: python benchmarks/features.py [--backend NAME] [--images N] [--size PIXELS] [--rounds N]

EfficientNet-Lite0 with random weights, which takes the time of a trained one. Targets: at most 1.15
of the time of `predict`, which keeps one map of features where this keeps 13 rows; and the same
peak memory for four times the images. They are a memory map, and so are the features. Peaks are of
the anonymous memory, each of a process of its own, above that after a first pass over 64 images.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from memory import Peak
from tables import number, spread, table


def network(size):
    """Images to the last map of features."""
    from keras_dcnn.models import efficientnet_lite

    return efficientnet_lite(weights=None, include_top=False, input_shape=(size, size, 3))


def images(folder, count, size):
    """A memory map of images, most of them in a sparse file, and their labels."""
    import numpy as np

    path = Path(folder, f"{count}.npy")
    x = np.lib.format.open_memmap(path, "w+", "uint8", (count, size, size, 3))
    x[:64] = np.random.default_rng(0).integers(0, 256, (64, size, size, 3))
    return x, np.arange(count) % 10


def times(count, size, rounds):
    """Seconds of `predict` and of the features in each round; both trace the network in each."""
    from keras_dcnn.fine_tuning._features import extract

    found = []
    with tempfile.TemporaryDirectory() as folder:
        x, y = images(folder, count, size)
        for _ in range(rounds + 1):
            model = network(size)
            start = time.perf_counter()
            model.predict(x, batch_size=32, verbose=0)
            between = time.perf_counter()
            extract(model, (x, y), "all", batch_size=32, verbose=0)
            found.append((between - start, time.perf_counter() - between))
    return found[1:]  # the first warms up


def peak(count, size):
    """MiB of anonymous memory above that after the first pass."""
    from keras_dcnn.fine_tuning._features import extract

    model = network(size)
    with tempfile.TemporaryDirectory() as folder:
        for name, samples in (("few", 64), ("all", count)):
            data, watch = images(folder, samples, size), Peak()
            watch.start()
            extract(model, data, "all", directory=Path(folder, name), verbose=0)
            value = watch.stop()
    return value


def elsewhere(count, size):
    """`peak` in a process of its own."""
    command = [sys.executable, __file__, "--peak", str(count), "--size", str(size)]
    done = subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE)
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--images", type=int, default=1_024)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", type=int)
    arguments = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", arguments.backend)
    if arguments.peak:
        print(peak(arguments.peak, arguments.size))
        return
    found = times(arguments.images, arguments.size, arguments.rounds)
    ratios = [ours / predict for predict, ours in found]
    seconds = [number(median(column)) for column in zip(*found, strict=True)]
    rows = [(os.environ["KERAS_BACKEND"], *seconds, number(median(ratios)), spread(ratios))]
    head = ("backend", "predict, s", "features of 13 depths, s", "ratio", "quartiles")
    print("\n".join(table(head, rows)))
    counts = arguments.images, 4 * arguments.images
    rows = [(f"{count:,}", number(elsewhere(count, arguments.size))) for count in counts]
    print("\n".join(table(("images", "peak above the start, MiB"), rows)))


if __name__ == "__main__":
    main()
