"""What BalancedDataset costs: to make it of a million labels, and a batch of a memory map.

Usage: python benchmarks/balanced_dataset.py [rounds]

Labels of ten classes, each of 0.6 times as many samples as the one before (99 : 1); "over" draws
four for each one. A batch is 64 images of 224×224×3, uint8, from a file of 300 MB that the system
holds in memory: beside `np.array(x[i : i + 64])`, the plain slice, and `np.asarray(x[rows])`, what
one would write for rows in any order. All take turns; the ratios are those within the round.
"""

import functools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_dcnn.imbalance import BalancedDataset

LABELS, IMAGES, BATCH, SHAPE = 1_000_000, 2_000, 64, (224, 224, 3)
WAYS = {
    "over": {},
    'over, per_batch="balanced"': {"per_batch": "balanced"},
    "sqrt": {"mode": "sqrt"},
    "under": {"mode": "under"},
}


def labels(count):
    shares = 0.6 ** np.arange(10)
    return np.random.default_rng(0).choice(10, count, p=shares / shares.sum())


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def making(rounds):
    y, x = labels(LABELS), np.zeros((LABELS, 8), "float32")
    for name, arguments in WAYS.items():
        make = functools.partial(BalancedDataset, x, y, batch_size=BATCH, verbose=0, **arguments)
        took = statistics.median(seconds(make) for _ in range(rounds))
        data = make()
        first = data[0][0][0, 0]
        x += 1  # a copy would not see it
        shared = data[0][0][0, 0] == first + 1
        print(f"| {LABELS:,} labels, {name} | {took:.2f} s | x shared: {shared} |")


def reading(rounds):
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        x = np.lib.format.open_memmap(path, "w+", "uint8", (IMAGES, *SHAPE))
        for i in range(IMAGES):
            x[i] = rng.integers(0, 256, SHAPE, "uint8")
        x = np.load(path, mmap_mode="r")
        data = BalancedDataset(x, labels(IMAGES), batch_size=BATCH, verbose=0)
        whole = IMAGES // BATCH
        times = {"plain slice": [], "plain slice, again": [], "x[rows]": [], "BalancedDataset": []}
        for turn in range(rounds * whole):
            at = turn % whole * BATCH
            rows = rng.integers(0, IMAGES, BATCH)
            works = (
                lambda at=at: np.array(x[at : at + BATCH]),
                lambda at=at: np.array(x[at : at + BATCH]),
                lambda rows=rows: np.asarray(x[rows]),
                lambda turn=turn: data[turn % len(data)],
            )
            for i in np.roll(range(4), turn):
                times[[*times][i]].append(seconds(works[i]))
    for name, took in times.items():
        ratio = statistics.median(np.divide(took, times["plain slice"]))
        print(f"| a batch, {name} | {statistics.median(took) * 1e3:.2f} ms | {ratio:.2f} |")


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    making(rounds)
    reading(rounds)
