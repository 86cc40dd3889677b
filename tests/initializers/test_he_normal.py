"""HeNormal: variance 2 / ((1 + a²)·fan) for each kernel kind, untruncated, never twice the same."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from keras_dcnn.initializers import HeNormal


def draw(initializer, shape):
    return keras.ops.convert_to_numpy(initializer(shape)).astype("float64")


def fans(kind, shape):
    """Fan-in and fan-out in closed form; the next test counts them on real layers."""
    *spatial, a, b = shape
    area = math.prod(spatial)
    return {
        "standard": (area * a, area * b),  # a inputs, b outputs
        "transpose": (area * b, area * a),  # a outputs, b inputs
        "depthwise": (area, area * b),  # each output sees one of a channels; each feeds b
    }[kind]


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(["standard", "depthwise", "transpose"]),
    mode=st.sampled_from(["fan_in", "fan_out"]),
    spatial=st.sampled_from([(3, 3), (1, 1), (5,), (2, 3, 2)]),
    a=st.integers(8, 64),
    b=st.integers(8, 64),
    slope=st.sampled_from([0.0, 0.25, 1.0]),
    seed=st.integers(0, 1000),
)
def test_variance_is_within_sampling_error_of_the_paper(kind, mode, spatial, a, b, slope, seed):
    shape = (*spatial, a, b)
    w = draw(HeNormal(slope, mode, kind, seed), shape)
    expected = 2 / ((1 + slope**2) * fans(kind, shape)[mode == "fan_out"])
    # n·(mean square)/σ² is χ² with n degrees of freedom: a false alarm in 5 million draws.
    low, high = stats.chi2.ppf([1e-7, 1 - 1e-7], w.size) / w.size
    assert low < np.mean(w**2) / expected < high
    assert abs(w.mean()) < 5.3 * math.sqrt(expected / w.size)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("standard", keras.layers.Conv2D(5, 3)),
        ("standard", keras.layers.Conv2D(4, 3, groups=2)),
        ("depthwise", keras.layers.DepthwiseConv2D(3, depth_multiplier=2)),
        ("transpose", keras.layers.Conv2DTranspose(5, 3)),
    ],
)
def test_fans_are_the_connections_of_a_real_layer(kind, layer):
    layer.build((None, 9, 9, 6))
    kernel = np.ones(layer.get_weights()[0].shape, "float32")
    layer.set_weights([kernel, layer.get_weights()[1] * 0])

    def outputs(x):
        return keras.ops.convert_to_numpy(layer(x.astype("float32")))

    ones, pixel = np.ones((1, 9, 9, 6)), np.zeros((1, 9, 9, 6))
    pixel[0, 4, 4, 0] = 1
    fan_in = outputs(ones)[0].max()  # inputs that reach one output away from the border
    fan_out = outputs(pixel).sum()  # outputs that one input reaches
    grouped = getattr(layer, "groups", 1)  # of which the shape does not tell the fan-out
    assert (fan_in, fan_out * grouped) == fans(kind, kernel.shape)


def test_it_is_not_truncated():
    w = draw(HeNormal(seed=0), (200, 500))
    share = np.mean(np.abs(w) > 2 * math.sqrt(2 / 200))
    assert share == pytest.approx(0.0455, abs=0.004)  # N(0, 1) beyond 2σ; Keras's has none


def test_layers_that_share_an_instance_differ():
    shared = HeNormal(seed=0)
    one, other = (keras.layers.Dense(4, kernel_initializer=shared) for _ in range(2))
    one.build((None, 4))
    other.build((None, 4))
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_without_a_seed_it_follows_set_random_seed():
    draws = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        draws.append(draw(HeNormal(), (3, 4)))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_string_id():
    assert isinstance(keras.initializers.get("keras_dcnn>HeNormal"), HeNormal)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"negative_slope": "relu"}, "`negative_slope` must be a finite number"),
        ({"mode": "fan_avg"}, "`mode` must be one of"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0; got -1"),
        ({"kernel": "conv"}, "`kernel` must be one of"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        HeNormal(**arguments)


def test_only_kernels():
    with pytest.raises(ValueError, match=r"needs a kernel of rank 2 or more; got shape \(3,\)"):
        HeNormal()((3,))
    with pytest.raises(ValueError, match="rank 3"):
        HeNormal(kernel="depthwise")((3, 3))
