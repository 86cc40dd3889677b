"""Which samples a model was trained on, so that nobody judges it by them unawares."""

import hashlib

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array

NAME = "_keras_dcnn_trained_on"


def fingerprints(x):
    """A uint64 for each sample of arrays, or of a list or dict of them; equal for equal values."""
    leaves = [as_array(leaf) for leaf in keras.tree.flatten(x)]
    return np.array([_fingerprint(sample) for sample in zip(*leaves, strict=True)], "uint64")


def _fingerprint(sample):
    hashed = hashlib.blake2b(digest_size=8)
    for part in sample:  # as float32, so that uint8 images and the same as floats are equal
        hashed.update(np.asarray(part, "float32").tobytes())
    return int.from_bytes(hashed.digest(), "little")


def remember_training(model, prints):
    """Note that the model was trained on samples of these fingerprints, beside earlier ones."""
    earlier = trained_on(model)
    prints = np.unique(prints)
    vars(model)[NAME] = prints if earlier is None else np.union1d(earlier, prints)


def trained_on(model):
    """The fingerprints of what the model was trained on, sorted; None where nobody noted them."""
    own = vars(model).get(NAME)
    inner = [trained_on(member) for member in getattr(model, "members", ())]
    known = [prints for prints in [own, *inner] if prints is not None]
    return np.unique(np.concatenate(known)) if known else None


def num_seen(model, prints):
    """How many of the samples the model was trained on; None where nobody noted its training."""
    known = trained_on(model)
    return None if known is None else int(np.isin(prints, known).sum())
