"""Fingerprints tell samples apart, and models know what they were trained on."""

import keras
import numpy as np

from keras_dcnn._reading.fingerprints import fingerprints, num_seen, remember_training, trained_on
from keras_dcnn.ensemble import Ensemble

X = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), "uint8")


def model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])


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


def test_models_know_their_samples_and_ensembles_those_of_their_members():
    one, other, prints = model(), model(), fingerprints(X)
    assert num_seen(one, prints) is trained_on(one) is None
    remember_training(one, prints[:8])
    remember_training(one, prints[6:10])
    assert num_seen(one, prints) == 10
    assert num_seen(Ensemble([one, other]), prints[5:]) == 5
