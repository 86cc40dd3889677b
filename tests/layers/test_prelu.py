"""PReLU: one slope of 0.25 per channel, whatever the image size."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import PReLU

pytestmark = pytest.mark.every_backend


def test_one_slope_per_channel_against_the_definition():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    layer = PReLU()
    layer.build(x.shape)
    np.testing.assert_array_equal(np.ravel(layer.get_weights()[0]), [0.25] * 3)
    slopes = np.array([0.1, -0.5, 2.0], "float32")
    layer.set_weights([slopes.reshape(1, 1, 3)])
    expected = np.where(x >= 0, x, slopes * x)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, rtol=1e-6)
    first = PReLU(data_format="channels_first")
    first.build((2, 3, 4, 5))
    first.set_weights([slopes.reshape(3, 1, 1)])
    out = keras.ops.convert_to_numpy(first(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(out, 1, -1), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("data_format", "shape", "weights"),
    [
        ("channels_last", (None, None, None, 3), (1, 1, 3)),
        ("channels_first", (None, 3, None, None), (3, 1, 1)),
        ("channels_last", (None, 7, 3), (1, 3)),
        ("channels_last", (None, 2, 2, 2, 3), (1, 1, 1, 3)),
        ("channels_first", (None, 3), (3,)),
        ("channels_last", (None, 3), (3,)),
    ],
)
def test_any_rank_and_unknown_sizes(data_format, shape, weights):
    layer = PReLU(data_format=data_format)
    layer.build(shape)
    assert layer.alpha.shape == weights


def test_changing_image_size():
    layer = PReLU()
    for size in (4, 6):
        assert layer(np.ones((1, size, size, 2), "float32")).shape == (1, size, size, 2)


def test_shared_axes_as_in_keras():
    layer = PReLU(shared_axes=[1])
    layer.build((None, 4, 5, 3))
    assert layer.alpha.shape == (1, 5, 3)


def test_slopes_can_be_kept_out_of_the_optimizers_weight_decay():
    model = keras.Sequential([keras.Input((3,)), PReLU(), keras.layers.Dense(1, use_bias=False)])
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["alpha"])
    slopes, kernel = model.trainable_variables
    before = keras.ops.convert_to_numpy(kernel).copy()
    optimizer.apply([keras.ops.zeros((3,)), keras.ops.zeros((3, 1))], [slopes, kernel])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(slopes), [0.25] * 3)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(kernel), before * 0.95, rtol=1e-5)


def test_no_regularizer_by_default_and_one_on_request():
    for regularizer, count in ((None, 0), ("l2", 1)):
        layer = PReLU(alpha_regularizer=regularizer)
        layer.build((None, 3))
        assert len(layer.losses) == count


def test_bad_arguments():
    with pytest.raises(ValueError, match="known number of channels on axis 3"):
        PReLU().build((None, 4, 4, None))
    with pytest.raises(ValueError, match="`data_format` must be one of"):
        PReLU(data_format="NHWC")


def test_whole_numbers_are_computed_and_complex_ones_refused():
    out = keras.ops.convert_to_numpy(PReLU(0.5)(np.array([[-4, 3]])))
    np.testing.assert_array_equal(out, [[-2, 3]])
    with pytest.raises(TypeError, match=r"PReLU `.*inputs must be real numbers; got complex64"):
        PReLU()(np.ones((2, 3), "complex64"))
