"""CalibratedNormal: variance 1/fan-in for each kernel kind; a linear layer keeps the variance."""

import keras
import numpy as np
import pytest
from fans import KERNELS, check_normal, fans
from hypothesis import given, settings

from keras_dcnn.initializers import CalibratedNormal


@settings(deadline=None, max_examples=25)
@given(**KERNELS)
def test_variance_is_within_sampling_error_of_one_over_the_fan_in(kind, spatial, a, b, seed):
    shape = (*spatial, a, b)
    w = keras.ops.convert_to_numpy(CalibratedNormal(kind, seed=seed)(shape))
    check_normal(w.astype("float64"), 1 / fans(kind, shape)[0])


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Dense(2000, kernel_initializer=CalibratedNormal(seed=0)),
        keras.layers.Conv2D(300, 3, kernel_initializer=CalibratedNormal(seed=0)),
        keras.layers.DepthwiseConv2D(
            3, depth_multiplier=5, depthwise_initializer=CalibratedNormal("depthwise", seed=0)
        ),
    ],
    ids=["dense", "convolution", "depthwise"],
)
def test_a_linear_layer_keeps_the_variance(layer):
    x = np.random.default_rng(0).normal(size=(8, 9, 9, 100)).astype("float32")
    assert keras.ops.convert_to_numpy(layer(x)).var() == pytest.approx(
        1, rel=0.1
    )  # a wrong fan is off by 9 or more


def test_bad_arguments():
    with pytest.raises(ValueError, match="`kernel` must be one of"):
        CalibratedNormal("conv")
    with pytest.raises(ValueError, match="needs a kernel of rank 2 or more"):
        CalibratedNormal()((3,))
