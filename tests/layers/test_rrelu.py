"""RReLU: the paper's draw and test slope, PyTorch's under "uniform"."""

import keras
import numpy as np
import pytest
from autodiff import pull_back
from scipy import stats

from keras_dcnn.layers import RReLU

pytestmark = pytest.mark.every_backend
X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")
UPSTREAM = np.random.default_rng(1).normal(size=X.shape).astype("float32")


def run(layer, x=X, **kwargs):
    return keras.ops.convert_to_numpy(layer(x, **kwargs))


def test_inference_slopes_of_the_literature():
    assert RReLU().inference_slope == pytest.approx(2 / 11)  # x / mean of a in U(3, 8)
    assert RReLU(sampling="uniform").inference_slope == pytest.approx(11 / 48)
    np.testing.assert_allclose(run(RReLU()), np.where(X >= 0, X, X * 2 / 11), rtol=1e-6)


@pytest.mark.parametrize(("lower", "upper"), [(1 / 8, 1 / 3), (0.0, 0.5), (-0.1, 0.7)])
def test_uniform_equals_pytorch_at_inference(lower, upper):
    torch = pytest.importorskip("torch")
    expected = torch.nn.functional.rrelu(torch.from_numpy(X), lower, upper, training=False)
    np.testing.assert_allclose(run(RReLU(lower, upper, "uniform")), expected.numpy(), rtol=1e-6)


def in_mode(mode, function):
    """`function` as it is, or in a graph of TensorFlow, with or without XLA."""
    if mode == "eager":
        return function
    tf = pytest.importorskip("tensorflow")
    return tf.function(function, jit_compile=mode == "xla", autograph=False)


def value_and_gradient(layer, mode="eager", x=X, upstream=UPSTREAM):
    """The layer's output in training, and the gradient by its input, as NumPy."""

    def step(x, upstream):
        return pull_back(lambda x: layer(x, training=True), x, upstream)

    tensors = map(keras.ops.convert_to_tensor, (x, upstream))
    return [keras.ops.convert_to_numpy(out) for out in in_mode(mode, step)(*tensors)]


@pytest.fixture(params=["eager", "graph", "xla"])
def mode(request, backend):
    if request.param != "eager" and backend != "tensorflow":
        pytest.skip("TensorFlow's modes")
    return request.param


@pytest.mark.parametrize("sampling", ["reciprocal", "uniform"])
@pytest.mark.parametrize("training", [False, True])
def test_equal_bounds_are_leaky_relu(sampling, training):
    leaky = keras.layers.LeakyReLU(negative_slope=0.3)
    ours, theirs = (
        pull_back(lambda x, layer=layer: layer(x, training=training), X, UPSTREAM)
        for layer in (RReLU(0.3, 0.3, sampling), leaky)
    )
    for mine, expected in zip(ours, theirs, strict=True):
        mine, expected = map(keras.ops.convert_to_numpy, (mine, expected))
        np.testing.assert_allclose(mine, expected, rtol=1e-6)


@pytest.mark.parametrize("sampling", ["reciprocal", "uniform"])
def test_one_slope_per_element_from_the_stated_distribution(sampling):
    slopes = -run(RReLU(sampling=sampling, seed=7), np.full((2**20,), -1.0, "float32"), training=1)
    assert slopes.min() >= 1 / 8 * (1 - 1e-6)
    assert slopes.max() <= 1 / 3 * (1 + 1e-6)
    drawn, low, high = (1 / slopes, 3, 8) if sampling == "reciprocal" else (slopes, 1 / 8, 1 / 3)
    assert stats.kstest(drawn, "uniform", (low, high - low)).pvalue > 1e-3
    mean = {"reciprocal": np.log(8 / 3) / 5, "uniform": 11 / 48}[sampling]
    assert slopes.mean(dtype="float64") == pytest.approx(mean, abs=4 * float(slopes.std()) / 2**10)
    layer = RReLU(sampling=sampling)
    assert np.mean(slopes**2, dtype="float64") == pytest.approx(layer.rms_slope**2, rel=2e-3)


@pytest.mark.parametrize("sampling", ["reciprocal", "uniform"])
@pytest.mark.parametrize("shared_axes", [None, [2]])
def test_gradient_is_the_slope_of_the_forward_pass(sampling, shared_axes, mode):
    layer = RReLU(sampling=sampling, shared_axes=shared_axes, seed=2)
    for _ in range(2):  # of each step its own
        y, gradient = value_and_gradient(layer, mode, upstream=np.ones_like(X))
        np.testing.assert_allclose(gradient, np.where(X >= 0, 1, y / X), rtol=1e-6)
        assert len(np.unique(gradient)) > 20
    y, gradient = value_and_gradient(layer, mode)
    np.testing.assert_allclose(gradient, np.where(X >= 0, 1, y / X) * UPSTREAM, rtol=1e-6)


def test_a_seed_gives_the_same_slopes_in_every_mode(mode):
    expected = value_and_gradient(RReLU(seed=5))
    for mine, theirs in zip(value_and_gradient(RReLU(seed=5), mode), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_unknown_sizes_in_a_graph(backend):
    if backend != "tensorflow":
        pytest.skip("TensorFlow's graphs")
    import tensorflow as tf

    layer = RReLU(seed=5)
    signature = [tf.TensorSpec((None, None, None))]
    graph = tf.function(lambda x: layer(x, training=True), input_signature=signature)
    np.testing.assert_allclose(graph(X).numpy(), run(RReLU(seed=5), training=True), rtol=1e-6)


def test_a_gpu_without_xla(backend, monkeypatch):
    if backend != "tensorflow":
        pytest.skip("other backends do not compile by themselves")
    import tensorflow as tf

    expected = value_and_gradient(RReLU(seed=5))
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(tf, "function", None)  # nothing is compiled
    for mine, theirs in zip(value_and_gradient(RReLU(seed=5)), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_second_derivatives(mode):
    """With y = s·x, y²/2 has the derivative s²·x, and that has s²."""
    layer = RReLU(seed=2)

    def derivative(x):
        return pull_back(lambda x: layer(x, training=True) ** 2 / 2, x, np.ones_like(X))[1]

    twice = in_mode(mode, lambda x, upstream: pull_back(derivative, x, upstream))
    first, second = twice(*map(keras.ops.convert_to_tensor, (X, UPSTREAM)))
    squares = keras.ops.convert_to_numpy(first) / X
    np.testing.assert_allclose(keras.ops.convert_to_numpy(second), squares * UPSTREAM, rtol=1e-5)
    assert len(np.unique(squares)) > 20


def test_nothing_but_the_sign_is_kept_for_the_backward_pass(backend):
    if backend != "jax":
        pytest.skip("only JAX shows what it keeps")
    import jax

    layer = RReLU()
    kept = jax.vjp(lambda x: layer(x, training=True), X)[1]
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(kept)) <= X.size + 2 * 4  # and the key


def test_vectorized_transformations(backend):
    """JAX's vmap maps the examples and not the step, so that they share slopes."""
    layer, x = RReLU(seed=4), -np.ones((3, 50), "float32")
    if backend == "jax":
        import jax

        rows = jax.vmap(lambda x: layer(x[None], training=True)[0])(x)
        np.testing.assert_array_equal(rows[0], rows[1])
        with pytest.raises(TypeError, match="forward-mode"):
            jax.jvp(lambda x: layer(x, training=True), (x,), (x,))
    elif backend == "tensorflow":
        import tensorflow as tf

        rows = tf.vectorized_map(lambda x: layer(x[None], training=True)[0], tf.constant(x))
        assert len(np.unique(rows, axis=0)) == 3
    else:
        import torch

        with pytest.raises(RuntimeError, match="vmap"):
            torch.vmap(lambda x: layer(x[None], training=True)[0])(torch.from_numpy(x))
        return
    assert np.all((rows > -0.34) & (rows < -0.12))


@pytest.mark.parametrize(
    ("axes", "count"), [([1, 2], 8), ((1, 2, -1), 4), ([0, 1, 2], 2), (0, 60), ([], 240)]
)
def test_shared_axes(axes, count):
    x = np.full((4, 5, 6, 2), -1.0, "float32")
    slopes = run(RReLU(shared_axes=axes, seed=1), x, training=True)
    assert len(np.unique(slopes)) == count
    for axis in [axes] if axes == 0 else axes:
        np.testing.assert_array_equal(slopes, slopes.take([0] * x.shape[axis], axis))


def test_positive_inputs_and_zero_pass_in_training():
    x = np.abs(X)
    x[0] = 0
    np.testing.assert_array_equal(run(RReLU(), x, training=True), x)


def test_integers_are_cast():
    out = run(RReLU(0.5, 0.5), np.array([-2, 3]))
    np.testing.assert_array_equal(out, [-1, 3])


def test_keeps_the_mask():
    x = np.array([[[1.0], [0.0], [2.0]]], "float32")
    out = RReLU()(keras.layers.Masking()(x))
    mask = keras.ops.convert_to_numpy(out._keras_mask)
    np.testing.assert_array_equal(mask, [[True, False, True]])


def test_without_a_seed_it_follows_set_random_seed():
    outs = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        outs.append(run(RReLU(), -np.abs(X), training=True))
    np.testing.assert_array_equal(outs[0], outs[1])
    assert not np.array_equal(outs[0], outs[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lower": 0.5, "upper": 0.2}, "`upper` must be a finite number of at least 0.5; got 0.2"),
        ({"lower": 0}, "above 0 to draw 1/α; got lower=0"),
        ({"lower": float("nan")}, "`lower` must be a finite number; got nan"),
        ({"upper": "1"}, "`upper` must be a finite number of at least 0.125; got '1'"),
        ({"shared_axes": [1.5]}, "`shared_axes` must be whole numbers, as in"),
        ({"shared_axes": "channels"}, "`shared_axes` must be whole numbers, as in"),
        ({"seed": -1}, "`seed` must be a whole number"),
        ({"sampling": "log"}, "`sampling` must be one of 'reciprocal', 'uniform'; got 'log'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RReLU(**arguments)


@pytest.mark.parametrize("axis", [3, -4])
def test_shared_axes_that_the_input_does_not_have(axis):
    with pytest.raises(ValueError, match=f"lie between -3 and 2 for inputs of rank 3; got .{axis}"):
        RReLU(shared_axes=[axis])(X)


def test_whole_numbers_are_computed_and_complex_ones_refused():
    out = keras.ops.convert_to_numpy(RReLU(0.5, 0.5)(np.array([[-4, 3]]), training=True))
    np.testing.assert_array_equal(out, [[-2, 3]])
    with pytest.raises(TypeError, match=r"RReLU `.*inputs must be real numbers; got complex64"):
        RReLU()(np.ones((2, 3), "complex64"))
