"""WeightDecay is ½λ‖w‖² with gradient λw; ElasticNet is λ₁‖w‖₁ + λ₂‖w‖²."""

import keras
import numpy as np
import pytest
from trainings import jit

from keras_dcnn.regularizers import ElasticNet, WeightDecay

W = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def step(regularizer, learning_rate):
    """The kernel after one SGD step on a loss that is the penalty alone."""
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(4, use_bias=False, kernel_regularizer=regularizer),
        ]
    )
    model.set_weights([W])
    model.compile(keras.optimizers.SGD(learning_rate), "mse", jit_compile=jit())
    zeros = np.zeros((2, 5), "float32")  # the outputs, and so their loss, are 0
    model.train_on_batch(zeros, np.zeros((2, 4), "float32"))
    return model.get_weights()[0]


def test_weight_decay_against_the_definition():
    value = float(WeightDecay(0.3)(keras.ops.convert_to_tensor(W)))
    assert value == pytest.approx(0.5 * 0.3 * np.sum(W.astype("float64") ** 2), rel=1e-6)
    half = float(keras.regularizers.L2(0.3)(keras.ops.convert_to_tensor(W))) / 2
    assert value == pytest.approx(half, rel=1e-6)


def test_gradient_of_weight_decay_is_decay_times_w():
    np.testing.assert_allclose(step(WeightDecay(0.3), 0.1), W - 0.1 * 0.3 * W, rtol=1e-5)


def test_elastic_net_against_the_definition():
    value = float(ElasticNet(0.2, 0.3)(keras.ops.convert_to_tensor(W)))
    expected = 0.2 * np.abs(W).sum() + 0.3 * np.sum(W.astype("float64") ** 2)
    assert value == pytest.approx(expected, rel=1e-6)
    expected = W - 0.1 * (0.2 * np.sign(W) + 2 * 0.3 * W)
    np.testing.assert_allclose(step(ElasticNet(0.2, 0.3), 0.1), expected, rtol=1e-5)


def share_of_small_weights(penalty):
    """Of a hidden layer of 32 units that learns what 2 units compute; and the unexplained part."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 8)).astype("float32")
    y = np.maximum(x @ rng.normal(size=(8, 2)), 0) @ [[1.0], [-1.0]]
    hidden = keras.layers.Dense(32, activation="relu", kernel_regularizer=penalty)
    model = keras.Sequential(
        [keras.Input((8,)), hidden, keras.layers.Dense(1, kernel_regularizer=penalty)]
    )
    # Gradient descent on |w| does not end at 0 but swings about it, by the order of rate · l1: with
    # 2e-4 well within the 1e-3 that count as 0.
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse", jit_compile=jit())
    epoch = np.tile(np.arange(256), 50)  # 50 steps, each of all the data
    model.fit(x[epoch], y[epoch], batch_size=256, shuffle=False, epochs=8, verbose=0)
    error = np.mean((model.predict(x, verbose=0) - y) ** 2) / np.var(y)
    return np.mean(np.abs(hidden.get_weights()[0]) < 1e-3), error


@pytest.mark.slow
def test_elastic_net_empties_a_redundant_layer_and_l2_does_not():
    """The same l2, and both learn the function. Seen: 88 to 91 % and under 1 % of the weights."""
    share, error = share_of_small_weights(ElasticNet(l1=0.01, l2=0.001))
    assert share >= 0.5
    assert error < 0.01
    share, error = share_of_small_weights(keras.regularizers.L2(0.001))
    assert share < 0.1
    assert error < 0.01


def test_defaults_are_not_zero():
    for regularizer in (WeightDecay(), ElasticNet()):
        assert float(regularizer(keras.ops.convert_to_tensor(W))) > 0


@pytest.mark.parametrize("make", [lambda: WeightDecay(0), lambda: ElasticNet(0, 0)])
def test_a_penalty_of_zero_warns(make):
    with pytest.warns(UserWarning, match="changes nothing: leave it out"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeightDecay(-1), "`decay` must be a finite number of at least 0; got -1"),
        (lambda: WeightDecay(float("inf")), "`decay` must be a finite number"),
        (lambda: ElasticNet(l1=-1), "`l1` must be a finite number of at least 0"),
        (lambda: ElasticNet(l2=None), "`l2` must be a finite number of at least 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.every_backend
@pytest.mark.parametrize("dtype", ["int32", "float16", "bfloat16"])
def test_squares_of_whole_numbers_and_half_precision_are_finite(dtype):
    w = keras.ops.cast(np.full((4, 2), 256.0), dtype)  # 8 · 2¹⁶, beyond float16's 65504
    assert float(WeightDecay(0.5)(w)) == pytest.approx(0.25 * 8 * 65536)
    assert float(ElasticNet(0.5, 0.25)(w)) == pytest.approx(0.5 * 8 * 256 + 0.25 * 8 * 65536)


@pytest.mark.every_backend
@pytest.mark.parametrize("penalty", [WeightDecay(0.1), ElasticNet(0.1, 0.1)])
def test_doubles_keep_their_digits_and_complex_numbers_are_refused(penalty):
    w = keras.ops.convert_to_tensor(np.full((4, 2), 300.0))
    value = keras.ops.convert_to_numpy(penalty(w))
    expected = 36_000 if isinstance(penalty, WeightDecay) else 72_240
    is_double = keras.backend.standardize_dtype(w.dtype) == "float64"  # not on JAX unless told
    assert float(value) == pytest.approx(expected, rel=1e-12 if is_double else 1e-6)
    with pytest.raises(TypeError, match="must be real numbers; got complex"):
        penalty(np.ones((2, 2)) * 1j)
