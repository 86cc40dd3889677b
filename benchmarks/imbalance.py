"""Every remedy against class imbalance on one task: the table of `compare_remedies`.

    python benchmarks/imbalance.py --digits --ratio 20 --directory RUNS
    python benchmarks/imbalance.py --data DIR --ratio 100 --directory RUNS     any folder of images

The classes have n, …, n / ratio training images, in a geometric series from the first to the last
as in the long-tailed CIFAR sets; a fifth of each class is the test, which stays balanced where the
folder is. A small CNN from scratch. What each training predicted is kept in RUNS, so a run that
was killed, or one with more seeds, goes on. Ends with the rank correlation of the gains with those
that Zhang et al. (2021) published for CIFAR-10-LT and CIFAR-100-LT, 100 : 1.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn.datasets import image_folder, photo_digits
from keras_dcnn.imbalance import compare_remedies
from keras_dcnn.models import small_cnn

# Top-1 error in per cent on CIFAR-10-LT and CIFAR-100-LT, ResNet-32.
PUBLISHED = {
    "none": (29.64, 61.68),
    "over": (27.55, 64.76),
    "sqrt": (28.58, 63.21),
    "progressive": (28.02, 60.96),
    "weights": (31.70, 67.73),
    "adjusted loss": (22.46, 57.01),
    "reweighted phase": (25.18, 58.38),
    "balanced phase": (24.93, 59.36),
    "guided crops": (23.10, 58.05),
    "head phase": (25.01, 59.74),
}


def long_tailed(x, y, ratio, seed=0):
    """n, …, n / ratio images of the classes, n being those of the smallest class."""
    random, classes = np.random.default_rng(seed), np.unique(y)
    largest = np.bincount(y)[classes].min()
    wanted = largest * ratio ** -np.linspace(0, 1, len(classes))
    rows = [
        random.permutation(np.flatnonzero(y == one))[: max(1, round(count))]
        for one, count in zip(classes, wanted, strict=True)
    ]
    rows = np.concatenate(rows)
    return x[rows], y[rows]


def task(arguments):
    """Training data with a long tail, validation and test data."""
    if arguments.digits:
        train, validation, test = photo_digits.load_data()
    else:
        train, validation, test, _ = image_folder.load_data(arguments.data, arguments.image_size)
    return long_tailed(*train, arguments.ratio), validation, test


def builder(shape, num_classes):
    def build():
        model = small_cnn(shape, num_classes)
        loss = "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=jit_compile())
        return model

    return build


def report_order(comparison):
    """The rank correlation of the gains in balanced accuracy with the published ones."""
    from scipy.stats import spearmanr

    names = [name for name in PUBLISHED if name in comparison.scores]
    ours = [comparison.mean(name)[0] for name in names]
    for column, data in enumerate(("CIFAR-10-LT", "CIFAR-100-LT")):
        found = spearmanr(ours, [-PUBLISHED[name][column] for name in names])
        print(
            f"rank correlation with {data}, {len(names)} rows: "
            f"{found.statistic:.2f} (p = {found.pvalue:.2f})"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--ratio", type=float, default=100)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--remedies", help="names with commas between them; all unless given")
    arguments = parser.parse_args()
    train, validation, test = task(arguments)
    print(f"{len(train[1]):,} training images: {', '.join(map(str, np.bincount(train[1])))}")
    comparison = compare_remedies(
        builder(train[0].shape[1:], int(train[1].max()) + 1),
        train,
        test,
        remedies=arguments.remedies.split(",") if arguments.remedies else "all",
        seeds=arguments.seeds,
        epochs=arguments.epochs,
        validation_data=validation,
        directory=arguments.directory,
    )
    print(comparison)
    report_order(comparison)
    for one, other in (("guided crops", "crops"), ("guided crops", "balanced phase")):
        if {one, other} <= set(comparison.scores):
            mean, low, _ = (100 * number for number in comparison.difference(one, other))
            print(f"{one} less {other}: {mean:+.1f} ± {mean - low:.1f} points")


if __name__ == "__main__":
    main()
