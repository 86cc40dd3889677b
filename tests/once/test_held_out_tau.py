"""choose_tau: the minimum of the balanced cross-entropy, and what τ should be where one knows."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
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


def balanced_crossentropy(logits, y, tau, weights):
    losses = -log_softmax(logits - tau * LOGS, axis=1)[np.arange(len(y)), y]
    return np.mean([np.average(losses[y == k], weights=weights[y == k]) for k in range(3)])


@pytest.mark.parametrize("weighted", [False, True])
def test_against_a_minimiser_of_scipy(weighted):
    logits, y = bayes_logits(0, 1)
    weights = np.random.default_rng(1).uniform(0.1, 5, len(y)) if weighted else np.ones(len(y))
    best = minimize_scalar(
        lambda tau: balanced_crossentropy(logits, y, tau, weights), bounds=(0, 4), method="bounded"
    ).x
    found = choose_tau(logits, y, LOGS, weights if weighted else None)
    assert found == pytest.approx(best, abs=0.0251)
    assert found * 20 == pytest.approx(round(found * 20), abs=1e-9)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_logits_too_large_by_a_factor_need_that_tau(scale):
    """By Bayes's rule exactly that. Seen: within 0.06 · scale."""
    logits, y = bayes_logits(2, 10)
    assert choose_tau(scale * logits, y, LOGS) == pytest.approx(scale, rel=0.1)


def test_of_ties_the_lowest():
    assert choose_tau(np.zeros((3, 3)), np.arange(3), np.log([1 / 3] * 3)) == 0
