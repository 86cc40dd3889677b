"""MinMaxScaling: the data's range becomes [−1, 1]; what is constant becomes 0."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import MinMaxScaling

pytestmark = pytest.mark.every_backend
X = np.random.default_rng(0).integers(20, 200, (30, 5, 4, 3), dtype="uint8")


def scaled(layer, x, data=X):
    layer.adapt(data)
    return keras.ops.convert_to_numpy(layer(x))


@pytest.mark.parametrize(("per", "axes"), [("channel", (0, 1, 2)), ("dimension", 0)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_equals_numpy(per, axes, dtype):
    x = X.astype(dtype)
    low, high = X.min(axes).astype("float64"), X.max(axes).astype("float64")
    out = scaled(MinMaxScaling(per), x, x)
    np.testing.assert_allclose(out, 2 * (X - low) / (high - low) - 1, atol=1e-5)
    np.testing.assert_allclose(out.min(axes), -1, atol=1e-6)
    np.testing.assert_allclose(out.max(axes), 1, atol=1e-6)


def test_equals_scikit_learn_on_vectors():
    from sklearn.preprocessing import MinMaxScaler

    vectors = X.reshape(30, -1).astype("float32")
    expected = MinMaxScaler((-1, 1)).fit_transform(vectors)
    out = scaled(MinMaxScaling("dimension"), vectors, vectors)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_channels_first():
    first = np.moveaxis(X, -1, 1)
    out = scaled(MinMaxScaling(data_format="channels_first"), first, first)
    np.testing.assert_allclose(np.moveaxis(out, 1, -1), scaled(MinMaxScaling(), X), atol=1e-6)


def test_what_is_constant_becomes_zero_also_where_new_data_differ():
    data = X.copy()
    data[..., 1] = 9
    np.testing.assert_array_equal(scaled(MinMaxScaling(), X, data)[..., 1], 0)
    out = scaled(MinMaxScaling("dimension"), X, data)
    np.testing.assert_array_equal(out[..., 1], 0)
    assert np.isfinite(out).all()


def test_new_data_may_go_beyond():
    assert scaled(MinMaxScaling(), np.full((5, 4, 3), 255, "uint8")).min() > 1


@pytest.mark.parametrize("value", [77, 77.7])
def test_data_of_one_value_are_refused(value):
    data = np.full((4, 5, 4, 3), value, "float32")
    with pytest.raises(ValueError, match="there must be channels that vary; all 3 are constant"):
        MinMaxScaling().adapt(data)
    with pytest.raises(ValueError, match="there must be dimensions that vary; all 60"):
        MinMaxScaling("dimension").adapt(X[:1])
