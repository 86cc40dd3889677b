"""photo_digits: real handwritten digits blended onto photographs, 32×32 RGB, no download."""

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from keras_dcnn._checks import check_count, check_number

NUM_CLASSES = 10
IMAGE_SIZE = 32
# Digits and photographs are split first, so that the parts share neither. Of each photograph, 640
# columns wide, a part gets these columns, and each digit of it this many backgrounds.
_PARTS = {
    "train": {"digits": 997, "columns": (0, 384), "backgrounds": 4},
    "validation": {"digits": 300, "columns": (384, 512), "backgrounds": 2},
    "test": {"digits": 500, "columns": (512, 640), "backgrounds": 4},
}


def load_data(color_cast: float = 0.0, imbalance_factor: float = 1.0, seed: int = 0) -> Any:
    """Load handwritten digits on photographs: a small, honest set for demos and experiments.

    scikit-learn's 1,797 handwritten digits, enlarged to 32×32 and blended by absolute difference,
    as in MNIST-M, onto crops of its two sample photographs: 3,988 images to train on, 600 to
    validate and 2,000 to test. The three parts share neither digits nor regions of a photograph.
    The same arguments give the same bytes.

    Args:
        color_cast: Strength σ ≥ 0 of a colour cast on the *test* images, as from a change of
            illumination: each channel of each image is multiplied by exp(σ·N(0, 1)) and clipped.
        imbalance_factor: Size of the largest training class over that of the smallest, ≥ 1. Class
            k keeps `imbalance_factor**(-k/9)` of its images; validation and test stay balanced.
        seed: Integer ≥ 0 that fixes split, crops and casts.

    Returns:
        `(x_train, y_train), (x_val, y_val), (x_test, y_test)`: images uint8 of shape
        `(n, 32, 32, 3)`, RGB in 0…255, and labels int64 in 0…9 of shape `(n,)`.

    Raises:
        ValueError: for an argument outside the ranges above.
        ImportError: without scikit-learn or pillow; `pip install "keras_dcnn[demo]"` brings them.

    Example:

    ```python
    from keras_dcnn.datasets import photo_digits

    (x_train, y_train), (x_val, y_val), (x_test, y_test) = photo_digits.load_data(color_cast=0.5)
    ```

    Reference:
        Ganin et al.: Domain-Adversarial Training of Neural Networks (2016), section 5.2.4 for the
        blending. https://arxiv.org/abs/1505.07818
    """
    check_number("color_cast", color_cast, minimum=0)
    check_number("imbalance_factor", imbalance_factor, minimum=1)
    check_count("seed", seed, minimum=0)
    masks, labels, photos = _sources()
    order = np.random.default_rng(seed).permutation(len(labels))
    data, start = [], 0
    for i, (name, part) in enumerate(_PARTS.items()):
        rng = np.random.default_rng([seed, i])  # of its own: no part depends on another's size
        chosen = np.repeat(order[start : start + part["digits"]], part["backgrounds"])
        start += part["digits"]
        rng.shuffle(chosen)
        if name == "train":
            chosen = chosen[_long_tail(labels[chosen], imbalance_factor)]
        crops = _random_crops(photos, part["columns"], len(chosen), rng)
        images = overlay(crops, masks[chosen])
        if name == "test":
            images = tint(images, color_cast, rng)
        data.append((images, labels[chosen]))
    return tuple(data)


def overlay(backgrounds, masks):
    """|background − mask| per channel: a stroke inverts what it covers, so no colour is a digit's.

    Args: uint8 backgrounds (n, h, w, 3) and masks (n, h, w). Returns uint8.
    """
    difference = backgrounds.astype("int16") - masks[..., None].astype("int16")
    return np.abs(difference).astype("uint8")


def tint(images, strength, rng):
    """Multiply each channel of each uint8 image by exp(strength · N(0, 1)), clipped to 0…255."""
    gains = np.exp(strength * rng.standard_normal((len(images), 1, 1, 3)))
    return np.clip(np.rint(images * gains), 0, 255).astype("uint8")


@cache
def _sources():
    try:
        datasets = import_module("sklearn.datasets")
        photos = datasets.load_sample_images().images
    except ImportError as error:
        raise ImportError(
            f'photo_digits needs scikit-learn and pillow: pip install "keras_dcnn[demo]" ({error}).'
        ) from error
    digits = datasets.load_digits()
    return _enlarge(digits.images), digits.target.astype("int64"), [np.asarray(p) for p in photos]


def _enlarge(digits):
    """8×8 digits in 0…16 to 32×32 masks in 0…255, bilinear."""
    source = np.clip((np.arange(IMAGE_SIZE) + 0.5) / 4 - 0.5, 0, 7)
    low = np.minimum(source.astype(int), 6)
    weights = np.zeros((IMAGE_SIZE, 8))
    weights[np.arange(IMAGE_SIZE), low] = 1 - (source - low)
    weights[np.arange(IMAGE_SIZE), low + 1] = source - low
    masks = weights @ digits @ weights.T
    return np.rint(masks * 255 / 16).astype("uint8")


def _random_crops(photos, columns, count, rng):
    crops = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), "uint8")
    for i in range(count):
        photo = photos[rng.integers(len(photos))]
        top = rng.integers(photo.shape[0] - IMAGE_SIZE + 1)
        left = rng.integers(columns[0], columns[1] - IMAGE_SIZE + 1)
        crops[i] = photo[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
    return crops


def _long_tail(labels, imbalance_factor):
    """Positions that keep the first imbalance_factor**(-k/9) of each class k, in order."""
    keep = []
    for k in range(NUM_CLASSES):
        positions = np.flatnonzero(labels == k)
        share = imbalance_factor ** (-k / (NUM_CLASSES - 1))
        keep.append(positions[: max(1, round(len(positions) * share))])
    return np.sort(np.concatenate(keep))
