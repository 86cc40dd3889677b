"""Which samples a model was trained on, so that nobody judges it by them unawares."""

import hashlib

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array, input_batches


def fingerprints(x):
    """A uint64 for each sample of arrays, or of a list or dict of them; equal for equal values."""
    leaves = [as_array(leaf) for leaf in keras.tree.flatten(x)]
    return np.array([_fingerprint(sample) for sample in zip(*leaves, strict=True)], "uint64")


def _fingerprint(sample):
    hashed = hashlib.blake2b(digest_size=8)
    for part in sample:  # as float32, so that uint8 images and the same as floats are equal
        hashed.update(np.asarray(part, "float32").tobytes())
    return int.from_bytes(hashed.digest(), "little")


def as_fingerprints(trained_on):
    """Those of data of any kind that `fit` takes; fingerprints, a row of uint64, as they are."""
    if getattr(trained_on, "dtype", None) == np.uint64 and np.ndim(trained_on) == 1:
        return as_array(trained_on)
    return np.concatenate([*map(fingerprints, input_batches(trained_on))])
