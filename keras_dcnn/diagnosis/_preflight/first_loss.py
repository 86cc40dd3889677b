"""The cross-entropy of outputs by NumPy, and that of guessing."""

import math
from typing import NamedTuple

import numpy as np

_LEAST = 1e-7  # of a probability, as Keras takes it
_LARGE = 4  # standard deviation of logits; of usual starts it is about 1, of normed depth up to 3


class Chance(NamedTuple):
    """Guessing among so many classes: its loss, and that above which a start is odd.

    For logits of a standard deviation σ the loss is above by σ²/2, where that is small, and at most
    by σ·√(2 ln C), what the largest of C normal numbers comes to.
    """

    classes: int
    loss: float
    limit: float


def chance_of(head):
    """The Chance for an output."""
    classes = 2 if head.loss.family == "binary" else max(head.units or 2, 2)
    loss = math.log(classes)
    return Chance(
        classes, loss, loss + min(_LARGE**2 / 2, _LARGE * math.sqrt(2 * math.log(classes)))
    )


def crossentropy_of(head, outputs, y):
    """Mean −ln p of the right classes, or None where the loss is no plain cross-entropy."""
    rules = {"sparse": _sparse, "categorical": _categorical, "binary": _binary}
    rule = rules.get(head.loss.family)
    if rule is None or outputs is None or not outputs.ndim or not np.isfinite(outputs).all():
        return None
    if getattr(head.loss.given, "ignore_class", None) is not None:
        return None
    return rule(outputs.astype("float64"), y, head.loss.from_logits)


def _sparse(outputs, y, from_logits):
    rows = _logarithms(outputs, from_logits).reshape(-1, outputs.shape[-1])
    classes = y.reshape(-1).astype(int)
    fits = len(classes) == len(rows) and classes.min() >= 0 and classes.max() < rows.shape[1]
    return float(-rows[np.arange(len(rows)), classes].mean()) if fits else None


def _categorical(outputs, y, from_logits):
    if y.shape != outputs.shape:
        return None
    return float(-(y * _logarithms(outputs, from_logits)).sum(-1).mean())


def _binary(outputs, y, from_logits):
    if y.size != outputs.size:
        return None
    y, outputs = y.reshape(-1), outputs.reshape(-1)
    if from_logits:
        return float(np.mean(np.logaddexp(0, outputs) - y * outputs))
    p = np.clip(outputs, _LEAST, 1 - _LEAST)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def _logarithms(outputs, from_logits):
    if from_logits:
        shifted = outputs - outputs.max(-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return np.log(np.clip(outputs, _LEAST, 1))
