"""Pixels of 0 to 1 in a layer of (0, 255): one warning, where one can be given."""

import warnings

import keras
import numpy as np
import pytest

from keras_dcnn.layers import FancyPCA, RandomHSV

SCALE = "got images whose pixels all lie between 0 and 1"


def images(high=1.0):
    return np.random.default_rng(0).uniform(0, high, (4, 6, 5, 3)).astype("float32")


@pytest.mark.every_backend
def test_faint_images_are_warned_of_once():
    check_warned_once(FancyPCA)


def check_warned_once(part):
    layer = part()
    layer(np.zeros((4, 6, 5, 3), "float32"), training=True)  # black may be black
    with pytest.warns(UserWarning, match=f"{SCALE}.*value_range=\\(0, 255\\)"):
        layer(images(), training=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer(images(), training=True)
        part(value_range=(0, 1))(images(), training=True)
        part(value_range=(-128, 127))(images() - 0.5, training=True)  # half grey, not black
        part()(images(255), training=True)
        part()(np.ones((2, 6, 5, 3), "uint8"), training=True)
        part()(images(), training=False)
    assert not [w for w in caught if SCALE in str(w.message)]


def test_random_hsv_warns_as_well():
    check_warned_once(RandomHSV)


@pytest.mark.every_backend
def test_in_tf_data_too():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(images()).repeat(3).map(FancyPCA())
    with pytest.warns(UserWarning, match=SCALE) as caught:
        list(dataset)
    assert sum(SCALE in str(w.message) for w in caught) == 1
    list(tf.data.Dataset.from_tensor_slices(images(255)).map(FancyPCA()))


def test_where_xla_compiles_nothing_is_said():
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the function is one of TensorFlow")
    layer = RandomHSV()
    step = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    assert np.isfinite(step(images())).all()
    list(tf.data.Dataset.from_tensors(images()).map(step))
