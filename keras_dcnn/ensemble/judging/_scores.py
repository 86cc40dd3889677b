"""How good class probabilities are, by integer labels: each score a few lines of NumPy.

`y` is (samples,), `p` (samples, classes), or (samples, 1) for two classes with one sigmoid output;
`weights` are those of the samples, or None for equal ones.
"""

import numpy as np

# As scikit-learn: p = 0 costs −log ε = 36 nats, which is finite.
EPSILON = np.finfo("float64").eps


def two_columns(p):
    """[1 − p, p] for one sigmoid output, all else as it is; float64."""
    p = np.asarray(p, "float64")
    return np.concatenate([1 - p, p], axis=-1) if p.shape[-1] == 1 else p


def accuracy(y, p, weights=None):
    """Share of the samples whose highest probability, the first in a tie, is the label's."""
    return float(np.average(two_columns(p).argmax(-1) == y, weights=weights))


def balanced(kinds, weights=None):
    """Weights of samples by which each kind of them that occurs counts alike."""
    counts = np.bincount(kinds, weights)
    return (1.0 if weights is None else weights) / counts[kinds]


def log_loss(y, p, weights=None):
    """Mean −log of the label's probability, which is taken to be at least `EPSILON`."""
    of_label = np.maximum(two_columns(p)[np.arange(len(y)), y], EPSILON)
    return float(-np.average(np.log(of_label), weights=weights))


def brier(y, p, weights=None):
    """Mean Σₖ (pₖ − [k is the label])²; of two classes one, as scikit-learn: from 0 to 1."""
    error = two_columns(p)
    error = error - np.eye(error.shape[-1])[y]
    square = np.average(np.square(error).sum(-1), weights=weights)
    return float(square / (2 if error.shape[-1] == 2 else 1))


def expected_calibration_error(y, p, weights=None, bins=15):
    """Σ over equal bins of the highest probability of |share right − its mean| · their share."""
    p, weights = two_columns(p), np.ones(len(y)) if weights is None else weights
    highest = p.max(-1)
    surplus = np.bincount(bins_of(highest, bins), weights * ((p.argmax(-1) == y) - highest))
    return float(np.abs(surplus).sum() / weights.sum())


def bins_of(highest, bins):
    """The bin of each probability, of so many of equal width; it holds its upper end only."""
    return np.clip(np.ceil(highest * bins) - 1, 0, bins - 1).astype(int)
