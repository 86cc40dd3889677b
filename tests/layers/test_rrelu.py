"""RReLU: the paper's draw and test slope, PyTorch's under "uniform"."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import RReLU

X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")


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


@pytest.mark.parametrize("sampling", ["reciprocal", "uniform"])
@pytest.mark.parametrize("training", [False, True])
def test_equal_bounds_are_leaky_relu(sampling, training):
    leaky = keras.layers.LeakyReLU(negative_slope=0.25)
    out = run(RReLU(0.25, 0.25, sampling), training=training)
    np.testing.assert_allclose(out, run(leaky), rtol=1e-6)


@pytest.mark.parametrize("sampling", ["reciprocal", "uniform"])
def test_training_draws_one_slope_per_element_from_the_stated_distribution(sampling):
    n = 100_000
    slopes = -run(RReLU(sampling=sampling, seed=7), np.full((n,), -1.0, "float32"), training=True)
    uniform = (1 / slopes - 3) / 5 if sampling == "reciprocal" else (slopes - 1 / 8) / (5 / 24)
    assert uniform.min() > -1e-5
    assert uniform.max() < 1 + 1e-5
    counts, _ = np.histogram(uniform, 20, (0, 1))
    chi_square = ((counts - n / 20) ** 2 / (n / 20)).sum()
    assert chi_square < 43.8  # 19 degrees of freedom, significance 0.001
    if sampling == "reciprocal":  # mean of 1/U(3, 8), standard error 1.9e-4
        assert slopes.mean() == pytest.approx(np.log(8 / 3) / 5, abs=8e-4)


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
        ({"lower": 0.5, "upper": 0.2}, "lower ≤ upper; got lower=0.5, upper=0.2"),
        ({"lower": 0}, "above 0 to draw 1/α; got lower=0"),
        ({"lower": float("nan")}, "finite numbers"),
        ({"upper": "1"}, "finite numbers"),
        ({"sampling": "log"}, "`sampling` must be one of 'reciprocal', 'uniform'; got 'log'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RReLU(**arguments)
