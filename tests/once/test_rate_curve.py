"""The suggestions of find_learning_rate: on the descent, by curves of which it is known."""

import numpy as np
import pytest
from simulated_rates import SHAPES, simulate, until_divergence

from keras_dcnn.diagnosis._learning_rate.curve import (
    averages_so_far,
    descent_of,
    fall_of,
    has_diverged,
    smooth,
    steepest_place,
    valley_place,
    without_outliers,
)

ONE_STEEPEST = ("logistic", "at once", "late")  # not as steep over much of the fall


def suggestions(losses, smoothing=0.85):
    """Places of the steepest descent and the valley, or None where they can't be told."""
    fall = fall_of(losses, smoothing)
    if not fall.is_clear:
        return None
    smoothed = smooth(losses, smoothing)
    descent = descent_of(losses, smoothed, fall)
    return steepest_place(smoothed, descent), valley_place(smoothed, descent)


# Averages


@pytest.mark.parametrize("beta", [0, 0.5, 0.98])
def test_averages_are_the_recursion_with_bias_correction(beta):
    losses = np.random.default_rng(0).normal(size=50)
    average, expected = 0.0, []
    for k, loss in enumerate(losses, 1):
        average = beta * average + (1 - beta) * loss
        expected.append(average / (1 - beta**k))
    np.testing.assert_allclose(averages_so_far(losses, beta), expected, rtol=1e-12)


@pytest.mark.parametrize("beta", [0, 0.5, 0.98])
def test_smoothed_losses_are_averages_to_both_sides(beta):
    losses = np.linspace(3, 1, 30) ** 2  # falling: nothing is left out or bounded
    weights = (beta / (2 - beta)) ** abs(np.subtract.outer(range(30), range(30)))
    np.testing.assert_allclose(smooth(losses, beta), weights @ losses / weights.sum(1))
    assert smooth(losses, 0) == pytest.approx(losses)
    width = ((0.85 / 1.15) ** abs(np.arange(-300.0, 301))).sum()
    assert width == pytest.approx(1 / (1 - 0.85))


def test_smoothed_losses_do_not_lag_and_do_not_see_the_divergence():
    rates = np.linspace(-6, 1, 100)
    falls = 2 - np.tanh(4 * (rates + 2))
    np.testing.assert_allclose(rates[np.argmin(np.diff(smooth(falls, 0.85)))], -2, atol=0.1)
    diverged = np.append(falls[:80], [1e30] * 20)
    assert smooth(diverged, 0.85)[:70] == pytest.approx(smooth(falls, 0.85)[:70], abs=0.1)


def test_single_losses_far_from_all_others_are_left_out():
    losses = np.random.default_rng(0).normal(2, 0.1, 50)
    spiked = losses.copy()
    spiked[[10, 30, 47]] = 50, -50, 9
    assert abs(without_outliers(spiked) - losses).max() < 0.5
    steps = np.repeat([3.0, 2.0, 1.0], 10)
    np.testing.assert_array_equal(without_outliers(steps), steps)


def test_divergence():
    assert not has_diverged([1.0, 0.5, 2.0])
    assert has_diverged([1.0, 0.5, 2.01])
    assert not has_diverged([1.0, -2.0, -1.0])  # negative losses: as far above the best
    assert has_diverged([1.0, -2.0, 4.1])
    assert not has_diverged([3.0])


# Suggestions


def test_two_hundred_curves():
    curves = [simulate(seed) for seed in range(200)]
    places = [suggestions(curve.losses) for curve in curves]
    told = [(c, p) for c, p in zip(curves, places, strict=True) if p is not None]
    assert len(told) >= 196
    on_descent = [[c.is_on_descent(c.rates[place]) for place in p] for c, p in told]
    assert np.mean(on_descent, axis=0) == pytest.approx([1, 1], abs=0.025)  # steepest, valley
    assert all(c.rates[place] <= c.ends * 1.001 for c, p in told for place in p)
    assert all(valley <= steepest for _, (steepest, valley) in told)
    ratios = [c.rates[p[0]] / c.steepest for c, p in told if c.shape in ONE_STEEPEST]
    assert np.median(ratios) == pytest.approx(1, rel=0.15)
    assert np.mean([1 / 3 < ratio < 2 for ratio in ratios]) > 0.95


@pytest.mark.parametrize("shape", SHAPES)
def test_curves_without_noise(shape):
    for seed in range(20):
        curve = simulate(seed, shape, noise=0)
        steepest, valley = (curve.rates[place] for place in suggestions(curve.losses))
        step = curve.rates[1] / curve.rates[0]
        assert curve.begins / step < valley <= steepest < curve.ends
        if shape in ONE_STEEPEST:
            assert 1 / 2 < steepest / curve.steepest < 2


def test_where_it_only_fluctuates_nothing_is_suggested():
    rng = np.random.default_rng(0)
    told = [
        suggestions(rng.normal(2, 0.3, count)) for count in (10, 20, 50, 100) for _ in range(50)
    ]
    assert sum(one is not None for one in told) <= 8
    rate = np.linspace(-6, 1, 100)
    falls_back = np.where(rate < -1, 2, 9 - 6 * np.clip(rate, 0, 1)) + rng.normal(0, 0.3, 100)
    assert suggestions(falls_back) is None  # the fall is from the peaks of a divergence


def test_curves_that_do_not_fall():
    rising = np.linspace(1, 2, 40)
    for losses in (np.ones(40), rising, rising**9, np.ones(10), np.append(2, np.ones(39))):
        assert fall_of(losses, 0.85).depth <= 0
        assert suggestions(losses) is None


def test_falls_to_the_last_rate_and_from_the_first():
    losses = 2 - 1 / (1 + np.exp(-np.linspace(-9, 2, 100)))
    steepest, valley = suggestions(losses)
    assert 60 < valley <= steepest < 95
    assert np.linspace(-9, 2, 100)[steepest] == pytest.approx(0, abs=0.5)
    steepest, valley = suggestions(np.linspace(2, 1, 100))
    assert 20 < valley <= steepest < 95


def test_of_two_falls_the_first_that_reaches_nearly_all():
    place = np.arange(100)
    first, peak = 1 / (1 + np.exp(30.0 - place)), 1 / (1 + np.exp(50.0 - place))
    second = 1 / (1 + np.exp(80.0 - place))
    assert suggestions(2.5 - first + 1.2 * peak - 1.21 * second)[0] == pytest.approx(30, abs=2)
    assert suggestions(2.5 - 0.3 * first + 0.2 * peak - second)[0] == pytest.approx(80, abs=2)


def test_as_many_losses_as_are_needed_at_least():
    losses = [2.3, 2.3, 2.3, 2.2, 1.9, 1.3, 0.8, 0.6, 0.9, 3.0]
    steepest, valley = suggestions(np.array(losses))
    assert 3 <= valley <= steepest <= 6


def test_batches_that_differ_in_turn():
    """As in a list of three batches: their differences are no noise that would hide the fall."""
    place = np.arange(100)
    losses = 2 - 1 / (1 + np.exp((60.0 - place) / 3)) + np.array([0.3, -0.1, -0.2])[place % 3]
    assert suggestions(losses)[0] == pytest.approx(60, abs=4)


def test_a_curve_ends_where_it_diverged():
    assert until_divergence(np.ones(30)) == 30
    assert until_divergence(np.append(np.ones(30), [100.0] * 9)) == 31
