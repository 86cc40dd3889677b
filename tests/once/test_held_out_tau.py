"""choose_tau: the minimum of the balanced cross-entropy, and what τ should be where one knows."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from keras_dcnn.imbalance._held_out_tau import choose_tau

COUNTS = np.array([600, 60, 12])
LOGS = np.log(COUNTS / COUNTS.sum())


def bayes_logits(seed, size):
    """Classes that come as in training, and log p(x | y) + log π of unit normals about means."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(3, 4))
    y = np.repeat(np.arange(3), size * COUNTS)
    x = means[y] + rng.normal(size=(len(y), 4))
    return -np.square(x[:, None] - means).sum(-1) / 2 + LOGS, y


def balanced_crossentropy(factors, logits, y, weights):
    losses = -log_softmax(factors[0] * logits - factors[1] * LOGS, axis=1)[np.arange(len(y)), y]
    return np.mean([np.average(losses[y == k], weights=weights[y == k]) for k in range(3)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1, 4])
def test_against_a_minimiser_of_scipy(weighted, scale):
    logits, y = bayes_logits(0, 1)
    logits = scale * logits
    weights = np.random.default_rng(1).uniform(0.1, 5, len(y)) if weighted else np.ones(len(y))
    a, b = minimize(
        balanced_crossentropy, (1 / scale, 1), (logits, y, weights), method="Nelder-Mead", tol=1e-9
    ).x
    found = choose_tau(logits, y, LOGS, weights if weighted else None)
    assert found == pytest.approx(min(b / a, 4), abs=0.01)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_logits_too_large_by_a_factor_need_that_tau(scale):
    """By Bayes's rule exactly that. Seen: within 0.06 · scale."""
    logits, y = bayes_logits(2, 10)
    assert choose_tau(scale * logits, y, LOGS) == pytest.approx(scale, rel=0.1)


def test_where_there_is_nothing_to_adjust():
    y = np.repeat(np.arange(3), 3)
    assert choose_tau(np.zeros((9, 3)), y, np.log([1 / 3] * 3)) == 0
    assert choose_tau(np.eye(3)[y], y, np.log([1 / 3] * 3)) == 0
    assert choose_tau(LOGS - np.eye(3)[y], y, LOGS) == 0  # all wrong
    assert 0 <= choose_tau(900 * np.eye(3)[y], y, LOGS) <= 4  # all right
