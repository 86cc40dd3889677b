"""LogME and the H-score: how well linear heads on features can know the classes, untrained."""

from typing import NamedTuple

import numpy as np

ROWS = 4096  # samples that are taken to float64 at a time
# What rounding leaves of labels that the features explain wholly, as a share of ‖y‖².
RESIDUAL = 1e-12
# The ratio of prior to noise is looked for where it matters for one feature at least, and so near.
GRID, HALVINGS, BEYOND = 128, 50, 1e9


class Moments(NamedTuple):
    """What both scores need of features (samples, channels) and their labels, in float64."""

    num_samples: int
    counts: np.ndarray  # (classes,), of those that occur
    mean: np.ndarray  # (channels,)
    scatter: np.ndarray  # Σ x xᵀ of the features less their mean
    sums: np.ndarray  # (channels, classes), Σ x of each class
    fourth_powers: float  # Σ ‖x‖⁴


def moments(features, y):
    """The `Moments`, in two passes, the memory of which does not grow with the samples."""
    y, counts = np.unique(y, return_inverse=True, return_counts=True)[1:]
    mean = features.mean(0, dtype="float64")
    mean = np.where(features.max(0) == features.min(0), features[0], mean)  # 0 of what is constant
    scatter, sums = np.zeros((len(mean), len(mean))), np.zeros((len(mean), len(counts)))
    fourth_powers = 0.0
    for start in range(0, len(y), ROWS):
        x = features[start : start + ROWS] - mean
        scatter += x.T @ x
        sums += x.T @ np.eye(len(counts))[y[start : start + ROWS]]
        fourth_powers += float(np.square(np.square(x).sum(1)).sum())
    return Moments(len(y), counts, mean, scatter, sums, fourth_powers)


def logme(of):
    """LogME: the mean over the classes of the highest log p(y | F, α, β), by sample.

    y is 1 for the samples of a class, else 0; y ~ N(F w, 1/β), w ~ N(0, 1/α). With t = β/α the
    best β is known, and the evidence is a function of t alone, of which the highest of a grid's
    places is refined by halving: certain where fixed-point steps may stop early.
    """
    n = of.num_samples
    s2, v = np.linalg.eigh(of.scatter + n * np.outer(of.mean, of.mean))
    kept = s2 > max(n, len(s2)) * np.finfo("float64").eps * s2[-1]
    s2, v = s2[kept], v[:, kept]
    z2 = np.square(v.T @ (of.sums + np.outer(of.mean, of.counts))).T / s2  # (classes, rank)
    free, squares = n - len(s2), of.counts[:, None]
    residual = np.maximum(squares - z2.sum(1, keepdims=True), free * RESIDUAL * squares)
    return float(_highest(s2, z2, residual if free else 0 * squares, n).mean() / n)


def _highest(s2, z2, residual, n):
    """For each class the highest log evidence of labels that are z along s, and n of them."""
    if not len(s2):
        return -n / 2 * (np.log(2 * np.pi * residual / n) + 1)
    grid = np.linspace(-np.log(BEYOND * s2[-1]), np.log(BEYOND / s2[0]), GRID)
    values = [
        _evidence(np.full_like(residual, at, "float64"), s2, z2, residual, n)[0] for at in grid
    ]
    best = np.concatenate(values, 1).argmax(1)
    low, high = (grid[np.clip(best + step, 0, GRID - 1)][:, None] for step in (-1, 1))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rises = _evidence(middle, s2, z2, residual, n)[1]
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return _evidence(low, s2, z2, residual, n)[0]


def _evidence(log_t, s2, z2, residual, n):
    """log p(y | F, t) with the best β, and whether it rises with t; each (classes, 1)."""
    spread = 1 + np.exp(log_t) * s2
    variance = ((z2 / spread).sum(1, keepdims=True) + residual) / n
    value = -n / 2 * (np.log(2 * np.pi * variance) + 1) - np.log(spread).sum(1)[:, None] / 2
    gain = (z2 / spread * (1 - 1 / spread)).sum(1, keepdims=True) / variance
    return value, gain > (1 - 1 / spread).sum(1)[:, None]


def h_score(of, shrinkage=None):
    """H-score, tr(cov(f)⁻¹ cov(E[f|y])), from 0 to classes − 1, of a covariance that is shrunk.

    cov_δ(f) = (1 − δ) cov(f) + δ σ² I and (1 − δ) cov(E[f|y]), with δ of Ledoit and Wolf for None;
    δ = 0 is the definition, with the pseudo-inverse: classes − 1 for any features without ties, as
    soon as there are as many channels as samples.
    """
    between = of.sums / np.sqrt(of.counts * of.num_samples)
    covariance = of.scatter / of.num_samples
    delta = _ledoit_wolf(covariance, of) if shrinkage is None else shrinkage
    sigma2 = np.trace(covariance) / len(covariance)
    shrunk = (1 - delta) * covariance + delta * sigma2 * np.eye(len(covariance))
    return float((1 - delta) * (between * (np.linalg.pinv(shrunk, hermitian=True) @ between)).sum())


def _ledoit_wolf(covariance, of):
    """δ = min(1, mean ‖x xᵀ − S‖² / n / ‖S − σ² I‖²)."""
    square = np.square(covariance).sum()
    apart = square - np.trace(covariance) ** 2 / len(covariance)
    noise = max(of.fourth_powers / of.num_samples - square, 0) / of.num_samples
    return min(noise / apart, 1.0) if apart > 1e-12 * square else 0.0
