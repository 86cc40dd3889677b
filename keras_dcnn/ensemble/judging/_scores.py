"""How good class probabilities are, by integer labels: each score a few lines of NumPy.

`y` is (samples,), `p` (samples, classes), or (samples, 1) for two classes with one sigmoid output.
"""

import numpy as np

# As scikit-learn: p = 0 costs −log ε = 36 nats, which is finite.
EPSILON = np.finfo("float64").eps


def two_columns(p):
    """[1 − p, p] for one sigmoid output, all else as it is; float64."""
    p = np.asarray(p, "float64")
    return np.concatenate([1 - p, p], axis=-1) if p.shape[-1] == 1 else p


def accuracy(y, p):
    """Share of the samples whose highest probability, the first in a tie, is the label's."""
    return float(np.mean(two_columns(p).argmax(-1) == y))


def balanced_accuracy(y, p):
    """Mean over the classes that occur of the share of their samples that is right."""
    right = two_columns(p).argmax(-1) == y
    counts = np.bincount(y)
    return float(np.mean((np.bincount(y, right) / np.maximum(counts, 1))[counts > 0]))


def log_loss(y, p):
    """Mean −log of the label's probability, which is taken to be at least `EPSILON`."""
    return float(-np.log(np.maximum(two_columns(p)[np.arange(len(y)), y], EPSILON)).mean())


def brier(y, p):
    """Mean Σₖ (pₖ − [k is the label])²; of two classes one, as scikit-learn: from 0 to 1."""
    error = two_columns(p)
    error = error - np.eye(error.shape[-1])[y]
    return float(np.square(error).sum(-1).mean() / (2 if error.shape[-1] == 2 else 1))


def expected_calibration_error(y, p, bins=15):
    """Σ over bins of the highest probability, of equal width, of |share right − its mean| · share.

    A bin holds its upper end, not its lower one.
    """
    p = two_columns(p)
    highest = p.max(-1)
    which = np.clip(np.ceil(highest * bins) - 1, 0, bins - 1).astype(int)
    surplus = np.bincount(which, (p.argmax(-1) == y) - highest)
    return float(np.abs(surplus).sum() / len(y))
