"""Fingerprints tell samples apart, whatever holds them."""

import keras
import numpy as np

from keras_dcnn._reading.fingerprints import as_fingerprints, fingerprints

X = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), "uint8")


def test_equal_for_equal_values_of_any_kind_and_different_for_others():
    prints = fingerprints(X)
    assert prints.dtype == np.uint64
    assert len(set(prints)) == 20
    np.testing.assert_array_equal(prints, fingerprints(X.astype("float32")))
    np.testing.assert_array_equal(prints[::2], fingerprints(keras.ops.convert_to_tensor(X[::2])))
    changed = X.copy()
    changed[3, 2, 1, 0] ^= 1
    assert list(np.flatnonzero(fingerprints(changed) != prints)) == [3]


def test_several_inputs_count_together():
    both = fingerprints({"a": X, "b": X[::-1]})
    assert not set(both) & set(fingerprints({"a": X, "b": X}))


def test_of_data_of_any_kind_and_of_fingerprints_themselves():
    prints, labels = fingerprints(X), np.arange(20)
    batches = [(X[:12], labels[:12]), (X[12:], labels[12:])]
    for data in (X, (X, labels), batches_of(batches), prints):
        np.testing.assert_array_equal(as_fingerprints(data), prints)


def batches_of(batches):
    yield from batches
