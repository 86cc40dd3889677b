"""ZeroCenter: x minus the mean of the data, per channel or per pixel."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import ZeroCenter

pytestmark = pytest.mark.every_backend
X = np.random.default_rng(0).integers(0, 256, (30, 5, 4, 3), dtype="uint8")


def centered(layer, x, data=X):
    layer.adapt(data)
    return keras.ops.convert_to_numpy(layer(x))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_equals_numpy(dtype):
    x = X.astype(dtype)
    np.testing.assert_allclose(centered(ZeroCenter(), x, x), x - X.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(centered(ZeroCenter("dimension"), x, x), x - X.mean(0), atol=1e-4)


def test_vectors_and_channels_first():
    vectors, first = X.reshape(30, -1), np.moveaxis(X, -1, 1)
    out = centered(ZeroCenter("dimension"), vectors, vectors)
    np.testing.assert_allclose(out, vectors - vectors.mean(0), atol=1e-4)
    out = centered(ZeroCenter(data_format="channels_first"), first, first)
    np.testing.assert_allclose(out, first - first.mean((0, 2, 3), keepdims=True), atol=1e-4)


def test_sizes_other_than_those_of_adapt():
    x = X[:, :2]
    np.testing.assert_allclose(centered(ZeroCenter(), x), x - X.mean((0, 1, 2)), atol=1e-4)


@pytest.mark.parametrize("per", ["channel", "dimension"])
def test_one_colour_becomes_zero(per):
    gray = np.full((4, 5, 4, 3), 77.7, "float32")
    np.testing.assert_allclose(centered(ZeroCenter(per), gray, gray), 0, atol=1e-5)


def test_a_mean_that_is_known():
    layer = ZeroCenter()
    layer.build((None, None, None, 3))
    layer.mean.assign([1.0, 2.0, 3.0])
    out = keras.ops.convert_to_numpy(layer(np.zeros((2, 2, 3), "uint8")))
    np.testing.assert_array_equal(out[0, 0], [-1, -2, -3])
