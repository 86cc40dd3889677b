"""LogME, the H-score and the ridge probe are what their definitions say, computed otherwise."""

import numpy as np
import pytest
from scipy import optimize
from sklearn.covariance import ledoit_wolf

from keras_dcnn.fine_tuning._ridge_probe import STRENGTHS
from keras_dcnn.fine_tuning._ridge_probe import ridge_probe as probe_with_moments
from keras_dcnn.fine_tuning._transferability import h_score, logme, moments


def ridge_probe(features, y):
    return probe_with_moments(features, moments(features, y), y)


def task(samples, channels, classes, seed=0, signal=0.5):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    centres = rng.normal(0, signal, (classes, channels))
    return 1 + centres[y] + rng.normal(size=(samples, channels)), y


def highest_evidence(features, y):
    """Mean over the classes of max log N(y; 0, F Fᵀ/α + I/β) / samples, by Nelder and Mead."""
    values = []
    for one in np.unique(y):
        target = (y == one).astype("float64")

        def loss(logs, target=target):
            alpha, beta = np.exp(logs)
            covariance = features @ features.T / alpha + np.eye(len(y)) / beta
            (_, log_det), quadratic = (
                np.linalg.slogdet(2 * np.pi * covariance),
                target @ np.linalg.solve(covariance, target),
            )
            return (log_det + quadratic) / 2 / len(y)

        options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 600}
        starts = ([0, 0], [4, 1], [1, 5])
        values.append(
            -min(
                optimize.minimize(loss, s, method="Nelder-Mead", options=options).fun
                for s in starts
            )
        )
    return np.mean(values)


@pytest.mark.parametrize(("samples", "channels", "classes"), [(60, 5, 3), (30, 40, 2)])
def test_logme_is_the_highest_evidence(samples, channels, classes):
    features, y = task(samples, channels, classes)
    assert logme(moments(features, y)) == pytest.approx(highest_evidence(features, y), abs=1e-6)


def test_logme_of_float16_features_is_that_of_the_same_values():
    features, y = task(50, 4, 2)
    features = features.astype("float16")
    of_wide = logme(moments(features.astype("float64"), y))
    assert logme(moments(features, y)) == pytest.approx(of_wide, abs=1e-9)


def between(features, y):
    means = np.stack([features[y == one].mean(0) for one in y])
    return np.cov(means, rowvar=False, bias=True)


@pytest.mark.parametrize(("samples", "channels"), [(80, 6), (20, 30)])
def test_h_score_is_its_definition_and_shrunk_that_of_ledoit_and_wolf(samples, channels):
    features, y = task(samples, channels, 4)
    of = moments(features, y)
    inverse = np.linalg.pinv(np.cov(features, rowvar=False, bias=True), rcond=1e-10)
    assert h_score(of, shrinkage=0) == pytest.approx(np.trace(inverse @ between(features, y)))
    covariance, delta = ledoit_wolf(features)
    shrunk = np.trace(np.linalg.solve(covariance, (1 - delta) * between(features, y)))
    assert h_score(of) == pytest.approx(shrunk)


def test_more_samples_than_are_read_at_a_time():
    features, y = task(5000, 3, 2)
    found = moments(features, y)
    centred = features - features.mean(0)
    np.testing.assert_allclose(found.scatter, centred.T @ centred)
    assert found.fourth_powers == pytest.approx((np.square(centred).sum(1) ** 2).sum())


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_features_know_nothing(value):
    y = np.arange(20) % 2
    features = np.full((20, 3), value, "float32")
    assert h_score(moments(features, y)) == h_score(moments(features, y), 0) == 0
    assert logme(moments(features, y)) == pytest.approx(
        highest_evidence(features.astype("float64") + 1e-9, y), abs=1e-6
    )
    assert ridge_probe(features, y).mean() == 0.5


@pytest.mark.parametrize(
    ("features", "y"),
    [
        (np.array([[0.0, 1, 2], [3, 4, 6]]), np.array([0, 1])),
        (np.eye(2)[np.arange(30) % 2], np.arange(30) % 2),
        (np.random.default_rng(0).normal(size=(8, 200)), np.arange(8) % 4),
        (1e-30 * np.eye(3)[[0, 1, 2, 0]], np.array([0, 5, 2, 0])),
    ],
    ids=[
        "two samples",
        "features that say it all",
        "many channels",
        "a class of none, tiny values",
    ],
)
def test_finite_scores_of_odd_features(features, y):
    of = moments(features.astype("float32"), y)
    scores = logme(of), h_score(of), h_score(of, 0)
    assert np.isfinite(scores).all()
    assert -1e-9 <= scores[1] <= scores[2] + 1e-9 <= len(np.unique(y)) - 1 + 2e-9


def left_out_by_loop(features, y):
    """Ridge with an intercept on all but one, for each; λ of the best GCV on all."""
    x, targets = (features - features.mean(0)) / features.std(0), np.eye(y.max() + 1)[y]
    n, centred, gcv = len(y), targets - targets.mean(0), []
    units = np.linalg.matrix_rank(x)
    penalties = STRENGTHS * np.square(x).sum() / units
    for penalty in penalties:
        hat = x @ np.linalg.solve(x.T @ x + penalty * np.eye(len(x.T)), x.T)
        gcv.append(np.square(centred - hat @ centred).sum() / (1 - (1 + np.trace(hat)) / n) ** 2)
    penalty, right = penalties[np.argmin(gcv)], []
    for i in range(n):
        others = np.arange(n) != i
        a, b = x[others] - x[others].mean(0), targets[others] - targets[others].mean(0)
        kernel = np.linalg.solve(a.T @ a + penalty * np.eye(len(a.T)), a.T @ b)
        answer = targets.mean(0) + (x[i] - x[others].mean(0)) @ kernel
        right.append(answer.argmax() == y[i])
    return np.array(right)


@pytest.mark.parametrize(("samples", "channels"), [(60, 5), (24, 50)])
def test_ridge_probe_leaves_each_sample_out(samples, channels):
    features, y = task(samples, channels, 3, signal=0.4)
    np.testing.assert_array_equal(ridge_probe(features, y), left_out_by_loop(features, y))


def test_ridge_probe_of_noise_is_at_chance():
    """Neither above, by what a sample knows of itself, nor at 0, by the share its class loses."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4
    for channels in (5, 1000):
        assert 0.15 < ridge_probe(rng.normal(size=(400, channels)), y).mean() < 0.35
