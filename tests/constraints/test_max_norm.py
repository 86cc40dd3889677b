"""MaxNorm: the identity within the limit, min(1, c/‖w‖) per neuron beyond it."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import jit

from keras_dcnn.constraints import MaxNorm

# For each kind a layer, and the kernel's slice that feeds output channel k.
KINDS = {
    "standard": (lambda: keras.layers.Conv2D(4, 3), lambda w, k: w[:, :, :, k]),
    "depthwise": (
        lambda: keras.layers.DepthwiseConv2D(3, depth_multiplier=2),
        lambda w, k: w[:, :, k // 2, k % 2],
    ),
    "transpose": (lambda: keras.layers.Conv2DTranspose(4, 3), lambda w, k: w[:, :, k, :]),
}


def constrain(w, **arguments):
    return keras.ops.convert_to_numpy(MaxNorm(**arguments)(w))


def reference(w, max_value, axis):
    norm = np.sqrt(np.sum(w.astype("float64") ** 2, axis=axis, keepdims=True))
    return w * np.minimum(1, max_value / np.maximum(norm, 1e-300))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.sampled_from([(4, 3), (3, 2, 4, 5)]))
def test_against_the_definition_and_exactly_the_identity_within(seed, max_value, shape):
    w = np.random.default_rng(seed).normal(size=shape).astype("float32")
    axis = tuple(range(len(shape) - 1))
    out = constrain(w, max_value=max_value)
    np.testing.assert_allclose(out, reference(w, max_value, axis), rtol=1e-5, atol=1e-7)
    within = np.sqrt(np.sum(w.astype("float64") ** 2, axis)) < max_value * (1 - 1e-6)
    np.testing.assert_array_equal(out[..., within], w[..., within])


@pytest.mark.parametrize("kind", KINDS)
def test_norm_of_each_neuron_of_real_layers(kind):
    make, incoming = KINDS[kind]
    layer = make()
    layer.build((None, 8, 8, 6))
    kernel = layer.get_weights()[0] * 20
    outputs = layer.compute_output_shape((None, 8, 8, 6))[-1]
    assert outputs == (12 if kind == "depthwise" else 4)
    constrained = constrain(kernel, max_value=2.0, kernel=kind)
    for k in range(outputs):
        before, after = incoming(kernel, k), incoming(constrained, k)
        np.testing.assert_allclose(after, before * min(1, 2 / np.linalg.norm(before)), rtol=1e-5)
    bias = np.zeros(outputs, "float32")
    layer.set_weights([constrained, bias])
    # The neuron's response to an input is bounded by ‖w‖·‖x‖ (Cauchy–Schwarz).
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 6)).astype("float32")
    assert np.abs(keras.ops.convert_to_numpy(layer(x))).max() <= 2 * np.linalg.norm(x)


def test_explicit_axis():
    w = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32") * 5
    for axis in (0, (0, 1), [1], -1):
        expected = reference(w, 1.0, tuple(axis) if isinstance(axis, list) else axis)
        np.testing.assert_allclose(constrain(w, max_value=1.0, axis=axis), expected, rtol=1e-5)
    assert np.linalg.norm(constrain(np.full(4, 9.0, "float32"), axis=0)) == pytest.approx(3.0)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e25, -1e30, 3e38])
def test_extreme_weights_stay_finite(value):
    out = constrain(np.full((4, 3), value, "float32"), max_value=3.0)
    assert np.isfinite(out).all()
    expected = 1.5 if abs(value) > 1 else abs(value)
    np.testing.assert_allclose(np.abs(out), expected, rtol=1e-5)


def test_no_filter_exceeds_the_limit_in_200_steps_at_a_rate_that_explodes():
    limit, axes = 1.5, {"conv": (0, 1, 2), "depthwise": (0, 1), "up": (0, 1, 3), "dense": 0}
    plain, depthwise, transpose = (MaxNorm(limit, kernel=kind) for kind in KINDS)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(4, 3, name="conv", use_bias=False, kernel_constraint=plain),
            layers.DepthwiseConv2D(
                3, 1, "same", 2, name="depthwise", use_bias=False, depthwise_constraint=depthwise
            ),
            layers.Conv2DTranspose(
                4, 3, name="up", activation="relu", use_bias=False, kernel_constraint=transpose
            ),
            layers.Flatten(),
            layers.Dense(3, name="dense", use_bias=False, kernel_constraint=plain),
        ]
    )
    norms = {name: [] for name in axes}
    model.compile(keras.optimizers.SGD(10.0), "mse", jit_compile=jit())
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 6, 6, 3)), rng.normal(size=(4, 3))
    for _ in range(200):
        model.train_on_batch(x, y)
        for name, axis in axes.items():
            kernel = model.get_layer(name).get_weights()[0].astype("float64")
            norms[name].append(np.sqrt(np.sum(kernel**2, axis)).max())
    for name, seen in norms.items():
        assert len(seen) == 200
        assert max(seen) <= limit * (1 + 1e-6), name
        assert max(seen) == pytest.approx(limit, rel=1e-5), name  # reached, not merely kept


def test_double_precision_within_the_limit_is_left_alone(backend):
    if backend == "jax":
        pytest.skip("JAX has no float64 unless told")
    w = np.array([[0.1, 0.2], [0.3, 1 / 3]])
    np.testing.assert_array_equal(constrain(w), w)


def test_half_precision_keeps_its_dtype():
    out = constrain(np.full((300, 2), 60.0, "float16"))  # squares overflow float16
    assert out.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(out.astype("float32"), axis=0), 3.0, rtol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_value": 0}, "`max_value` must be a finite number above 0; got 0"),
        ({"axis": "rows"}, "`axis` must be whole numbers, as in \\[1, 2\\], or None; got 'rows'"),
        ({"kernel": "conv"}, "`kernel` must be one of 'standard', 'depthwise', 'transpose'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaxNorm(**arguments)


def test_biases_are_refused():
    with pytest.raises(ValueError, match=r"needs a kernel of rank 2 or more; got shape \(4,\)"):
        MaxNorm()(np.ones(4, "float32"))


@pytest.mark.every_backend
def test_whole_numbers_doubles_and_complex_ones(backend):
    np.testing.assert_allclose(constrain([[3, 0], [4, 0]], max_value=2.0), [[1.2, 0], [1.6, 0]])
    whole = constrain(np.array([[3, 0], [4, 0]], "uint8"), max_value=2)
    np.testing.assert_allclose(whole, [[1.2, 0], [1.6, 0]])
    is_double = backend != "jax"  # which has none unless told
    huge = 1e200 if is_double else 1e30
    double = constrain(np.array([[3 * huge, 0.1], [4 * huge, 1 / 3]]), max_value=2.0)
    rtol = 1e-15 if is_double else 1e-6
    np.testing.assert_allclose(double, [[1.2, 0.1], [1.6, 1 / 3]], rtol=rtol)
    with pytest.raises(TypeError, match="MaxNorm: weights must be real numbers; got complex"):
        MaxNorm()(np.ones((2, 2)) * 1j)


def test_no_axes_limit_each_weight_alone_and_wrong_ones_are_refused():
    w = np.array([[3.0, 0.5], [-4.0, 1.0]], "float32")
    np.testing.assert_array_equal(constrain(w, max_value=2.0, axis=[]), [[2, 0.5], [-2, 1]])
    np.testing.assert_allclose(constrain(w, axis=np.int64(0)), constrain(w, axis=0))
    for axis in (2, [0, -2]):
        with pytest.raises(ValueError, match="must be different axes of the weights"):
            MaxNorm(axis=axis)(w)
