"""HeNormal: variance 2 / ((1 + a²)·fan) for each kernel kind, untruncated, never twice the same."""

import math

import keras
import numpy as np
import pytest
from fans import KERNELS, check_normal, fans
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dcnn.initializers import HeNormal
from keras_dcnn.layers import PReLU, RReLU


def draw(initializer, shape):
    return keras.ops.convert_to_numpy(initializer(shape)).astype("float64")


@settings(deadline=None, max_examples=25)
@given(
    **KERNELS,
    mode=st.sampled_from(["fan_in", "fan_out"]),
    slope=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_variance_is_within_sampling_error_of_the_paper(kind, spatial, a, b, seed, mode, slope):
    shape = (*spatial, a, b)
    w = draw(HeNormal(slope, mode, kind, seed=seed), shape)
    check_normal(w, 2 / ((1 + slope**2) * fans(kind, shape)[mode == "fan_out"]))


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
    groups = getattr(layer, "groups", 1)
    assert (fan_in, fan_out * groups) == fans(kind, kernel.shape)
    for mode, fan in (("fan_in", fan_in), ("fan_out", fan_out)):
        initializer = HeNormal(mode=mode, kernel=kind, groups=groups)
        assert initializer.stddev_for(kernel.shape) == pytest.approx(math.sqrt(2 / fan))


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


@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        (keras.layers.ReLU(), 0),
        (keras.layers.LeakyReLU(0.1), 0.1),
        (keras.layers.PReLU(), 0),
        (PReLU(), 0.25),
        (PReLU(0.1), 0.1),
        (RReLU(), math.sqrt(1 / 24)),  # REFERENCE: E[α²] of 1/U(3, 8)
        (RReLU(sampling="uniform"), math.sqrt(0.0561)),
        (RReLU(0.25, 0.25), 0.25),
    ],
)
def test_slope_read_off_an_activation(activation, slope):
    initializer = HeNormal.for_activation(activation, mode="fan_out", seed=3)
    assert initializer.negative_slope == pytest.approx(slope, rel=1e-3)
    assert (initializer.mode, initializer.seed) == ("fan_out", 3)


@pytest.mark.parametrize("sampling", ["reciprocal", "uniform"])
def test_slope_of_rrelu_is_the_root_of_the_mean_square(sampling):
    layer = RReLU(1 / 10, 1 / 2, sampling)
    a = np.linspace(2, 10, 1_000_001)
    slopes = 1 / a if sampling == "reciprocal" else 1 / 10 + (a - 2) / 20
    expected = math.sqrt(np.mean(slopes**2))
    assert HeNormal.for_activation(layer).negative_slope == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "activation", [keras.layers.ELU(), keras.layers.PReLU("uniform"), "relu", None]
)
def test_slope_of_no_rectifier(activation):
    with pytest.raises(ValueError, match="must be a ReLU, LeakyReLU, RReLU, or PReLU"):
        HeNormal.for_activation(activation)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["reciprocal", "uniform"])
def test_variance_stays_within_a_factor_of_two_through_30_layers_of_rrelu(sampling):
    """The mean of five nets: of one, 512 wide, the chance of its kernels is a factor of 1.45."""

    def mean_squares(initializer, seed):
        x = np.random.default_rng(seed).normal(size=(32, 512)).astype("float32")
        for _ in range(30):
            x = x @ keras.ops.convert_to_numpy(initializer((512, 512)))
            yield np.mean(x**2)
            x = keras.ops.convert_to_numpy(activation(x, training=True))

    activation = RReLU(sampling=sampling, seed=0)
    right = [HeNormal.for_activation(activation, seed=seed) for seed in range(5)]
    for nets, stays in ((right, True), ([HeNormal(seed=seed) for seed in range(5)], False)):
        first, *others = np.mean([list(mean_squares(he, he.seed)) for he in nets], axis=0)
        assert (min(others) / first > 0.5 and max(others) / first < 2) == stays


def test_string_id():
    assert isinstance(keras.initializers.get("keras_dcnn>HeNormal"), HeNormal)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"negative_slope": "relu"}, "`negative_slope` must be a finite number"),
        ({"mode": "fan_avg"}, "`mode` must be one of"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0; got -1"),
        ({"groups": 0}, "`groups` must be a whole number of at least 1"),
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
    with pytest.raises(ValueError, match="5 outputs, which are not to be divided into groups=2"):
        HeNormal(groups=2)((3, 3, 4, 5))
    with pytest.raises(ValueError, match="5 outputs, which are not to be divided into groups=2"):
        HeNormal(groups=2, kernel="transpose")((3, 3, 5, 4))


@pytest.mark.every_backend
def test_half_precision_has_the_tails_and_only_floats_are_drawn():
    for dtype in ("float16", "bfloat16", "float8_e4m3fn"):
        drawn = keras.ops.cast(HeNormal(seed=0)((2, 20_000), dtype=dtype), "float32")
        beyond = np.mean(np.abs(keras.ops.convert_to_numpy(drawn)) > 3)  # of N(0, 1) 0.27 %
        assert 0.001 < beyond < 0.005  # JAX's own draws in half precision end at 2.9
    for dtype in ("int32", "complex64"):
        with pytest.raises(ValueError, match="HeNormal draws real numbers, for weights of floats"):
            HeNormal()((3, 3), dtype=dtype)


def test_axes_given_by_hand():
    he = HeNormal(mode="fan_out", groups=2, input_axes=[1], output_axes=(0, 2))
    assert he.stddev_for((2, 3, 5)) == pytest.approx(math.sqrt(2 / 5))
    assert HeNormal(input_axes=[1], output_axes=[0]).stddev_for((4, 3)) == math.sqrt(2 / 3)
    with pytest.raises(ValueError, match="`input_axes` and `output_axes` go together"):
        HeNormal(input_axes=[0])
