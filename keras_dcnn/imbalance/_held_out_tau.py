"""τ of the logit adjustment, chosen on held-out data; NumPy but for the model's outputs."""

import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.labelled import LabelledImages
from keras_dcnn._reading.labels import check_each_class, check_labels

MOST = 4.0  # that τ may be
_STEPS = 50  # of Newton's method; ten are usual


def choose_tau(logits, y, log_priors, weights=None):
    """τ = b / a of the least balanced cross-entropy of a·f − b·log π, from 0 to MOST.

    That is the mean over the classes of each class's mean cross-entropy. It is convex in a and b,
    and each sample moves them a little, so a class of a few samples chooses well. Without a, τ
    would have to make up for logits that are too large as well, and do neither.

    Args:
        logits: f up to a constant, (samples, classes); log-probabilities do.
        y: Classes, (samples,), each of them at least once.
        log_priors: log π, (classes,).
        weights: Of the samples, above 0, or None.
    """
    logits = np.asarray(logits, "float64")
    weights = np.ones(len(y)) if weights is None else np.asarray(weights, "float64")
    weights = weights / np.bincount(y, weights)[y]
    parts = np.stack([logits, np.broadcast_to(-log_priors, logits.shape)])
    factors = np.array([1.0, 0.0])
    loss, slope, bend = _cross_entropy(parts, factors, y, weights)
    for _ in range(_STEPS):
        step = np.linalg.solve(bend + 1e-9 * np.eye(2), slope)
        before = loss
        loss, slope, bend = _cross_entropy(parts, factors - step, y, weights)
        while loss > before:
            step = step / 2
            loss, slope, bend = _cross_entropy(parts, factors - step, y, weights)
        factors = factors - step
        if before - loss < 1e-9:
            break
    scale, shift = factors
    return round(float(np.clip(shift / scale, 0, MOST)), 2) if scale > 0 else 0.0


def _cross_entropy(parts, factors, y, weights):
    """The weighted cross-entropy of the logits Σ factors·parts, its gradient and Hessian."""
    logits, own = np.tensordot(factors, parts, 1), np.arange(len(y))
    log_shares = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    shares = np.exp(log_shares)
    means = (shares * parts).sum(axis=2)
    slope = (means - parts[:, own, y]) @ weights
    bend = np.einsum("inc,jnc,nc,n->ij", parts, parts, shares, weights, optimize=True)
    bend -= np.einsum("in,jn,n->ij", means, means, weights)
    return -weights @ log_shares[own, y], slope, bend


def held_out_logits(model, data, from_logits, num_classes):
    """(logits, classes, weights) of the samples of `validation_data` that count, all checked."""
    images = LabelledImages(data, 32, "`validation_data`")
    if images.classes is not None:  # before the model runs
        _check_classes(images.classes, num_classes)
    parts = [
        (_logits(model, x, from_logits), y, np.ones(len(y)) if weights is None else weights)
        for x, y, weights in images
    ]
    _check_classes(np.concatenate([y for _, y, _ in parts] or [[]]), num_classes)
    logits, y, weights = map(np.concatenate, zip(*parts, strict=True))
    if not np.isfinite(logits).all():
        raise ValueError(
            f"`{model.name}` must predict finite numbers of `validation_data`; got NaN or "
            "infinity: look for them in the data and in the weights of the model."
        )
    return logits, y, weights


def _check_classes(y, num_classes):
    if not len(y):
        raise ValueError("`validation_data` must hold at least one sample that counts; got none.")
    check_labels("y of validation_data", y, num_classes)
    counts = np.bincount(y, minlength=num_classes)
    check_each_class("`validation_data`", counts, "add some, or give `tau=1`")


def _logits(model, x, from_logits):
    """What the model says, as logits of all classes; of one unit of two."""
    outputs = as_array(model.predict_on_batch(x)).astype("float64")
    tiny = np.finfo("float32").tiny
    if outputs.shape[-1] == 1 and from_logits:
        return np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
    if outputs.shape[-1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=-1)
    return outputs if from_logits else np.log(np.maximum(outputs, tiny))
