"""Images to train, validate and test on: no image on two sides, each class in each."""

import numpy as np

from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn._images.listing import PARTS

_HELD_OUT = 1 / 5  # of each class, to validate, and as much to test


def split(labels, fingerprints, class_names, seed, parts=None):
    """Places to train, validate and test on, shuffled; a class at a time.

    Copies of an image go the same way, and those with two labels are trained on. Of what is held
    out an image counts once. Where `parts` are given these hold; one that is missing is taken from
    the training, which leaves out copies of what it is held against.
    """
    random = np.random.default_rng(seed)
    groups = np.unique(fingerprints, return_inverse=True)[1]
    if parts is None:
        parts = np.full(len(labels), PARTS[0])
    parts = np.array(parts, "U10")
    given = parts != PARTS[0]
    in_training = ~given & ~np.isin(groups, groups[given])
    parts[~given & ~in_training] = "copy"
    missing = [part for part in PARTS[1:] if not (parts == part).any()]
    of_two = np.isin(groups, _of_two_labels(groups, labels))
    for label, name in enumerate(class_names if missing else ()):
        own = in_training & (labels == label)
        different, first = np.unique(groups[own & ~of_two], return_index=True)
        different = different[np.argsort(first)]
        _check(name, len(different), missing, int((own & of_two).sum()))
        order = random.permutation(len(different))
        count = max(1, round(len(different) * _HELD_OUT))
        for number, part in enumerate(missing):
            chosen = different[order[number * count : (number + 1) * count]]
            parts[own & np.isin(groups, chosen)] = part
    for part in PARTS[1:]:
        held_out = np.flatnonzero(parts == part)
        pairs = np.stack([groups[held_out], labels[held_out]])
        first = np.unique(pairs, axis=1, return_index=True)[1]
        parts[np.delete(held_out, first)] = "copy"
    return [random.permutation(np.flatnonzero(parts == part)) for part in PARTS]


def _of_two_labels(groups, labels):
    pairs = np.unique(np.stack([groups, labels]), axis=1)[0]
    return pairs[1:][pairs[1:] == pairs[:-1]]


def _check(name, count, missing, of_two):
    least = 1 + len(missing)
    if count < least:
        what = "3 images, to train, validate and test on" if least == 3 else f"{least} images"
        others = f" beside {of_two} that are in another class too" if of_two else ""
        raise ImageFolderError(
            f"{name} needs at least {what}, different ones; it has {count}{others}."
        )
