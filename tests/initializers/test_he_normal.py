"""HeNormal: variance 2 / ((1 + a²)·fan) for each kernel kind, untruncated, never twice the same."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dcnn.initializers import HeNormal


def draw(initializer, shape):
    return keras.ops.convert_to_numpy(initializer(shape)).astype("float64")


def fans(kind, shape):
    """Fan-in and fan-out counted on a kernel of one-hot connections (the definition)."""
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
    # Var of the sample variance of a normal: 2σ⁴/n; 5 standard errors.
    assert np.mean(w**2) == pytest.approx(expected, rel=5 * math.sqrt(2 / w.size))
    assert abs(w.mean()) < 5 * math.sqrt(expected / w.size)


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


def test_string_id():
    assert isinstance(keras.initializers.get("keras_dcnn>HeNormal"), HeNormal)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"negative_slope": "relu"}, "`negative_slope` must be a finite number"),
        ({"mode": "fan_avg"}, "`mode` must be one of"),
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
