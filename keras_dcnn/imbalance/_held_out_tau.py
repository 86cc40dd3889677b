"""τ of the logit adjustment, chosen on held-out data; NumPy but for the model's outputs."""

import keras
import numpy as np

from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn._reading.batches import as_array, counting
from keras_dcnn._reading.ends import check_ends
from keras_dcnn._reading.labels import check_labels, class_numbers
from keras_dcnn._reading.rows import as_arrays, check_lengths, named

GRID = np.arange(81) / 20  # 0, 0.05, … 4


def choose_tau(logits, y, log_priors, weights=None):
    """The τ of the grid with the least balanced cross-entropy of f − τ·log π, the lowest of ties.

    That is the mean over the classes of each class's mean cross-entropy. In τ it is convex, and
    each sample moves it a little, so a class of a few samples chooses well.

    Args:
        logits: f up to a constant, (samples, classes); log-probabilities do.
        y: Classes, (samples,), each of them at least once.
        log_priors: log π, (classes,).
        weights: Of the samples, above 0, or None.
    """
    logits = np.asarray(logits, "float64")
    weights = np.ones(len(y)) if weights is None else weights
    weights = weights / np.bincount(y, weights)[y]
    return float(min(GRID, key=lambda tau: weights @ _losses(logits - tau * log_priors, y)))


def _losses(logits, y):
    return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y]


def held_out_logits(model, data, from_logits, num_classes):
    """(logits, classes, weights) of the samples of `validation_data` that count, all checked."""
    check_ends("`validation_data`", data)
    is_arrays = isinstance(data, (tuple, list))
    if hasattr(data, "shape") or (is_arrays and len(data) not in (2, 3)):
        got = f"{len(data)} in it" if is_arrays else "one array"
        raise ValueError(
            f"`validation_data` must be (x, y) or (x, y, sample_weight), or batches of these; got "
            f"{got}."
        )
    if is_arrays:  # before the model runs
        data = as_arrays(tuple(data))
        check_lengths(named(data))
        _check_classes(_counting(data[1], *data[1:])[1], num_classes)
    data = data if is_arrays else (data,)
    batches = (_counting(*batch) for batch in batches_as_fit_takes_them(*data)[1])
    parts = [(_logits(model, x, from_logits), *rest) for x, *rest in batches if len(rest[0])]
    _check_classes(np.concatenate([y for _, y, _ in parts] or [[]]), num_classes)
    logits, y, weights = map(np.concatenate, zip(*parts, strict=True))
    if not np.isfinite(logits).all():
        raise ValueError(f"`{model.name}` must predict finite numbers of `validation_data`.")
    return logits, y, weights


def _check_classes(y, num_classes):
    if not len(y):
        raise ValueError("`validation_data` must hold at least one sample that counts; got none.")
    check_labels("y of validation_data", y, num_classes)
    counts = np.bincount(y, minlength=num_classes)
    if not counts.all():
        raise ValueError(
            "each class must have samples in `validation_data` to choose `tau` by; class "
            f"{int(counts.argmin())} has none: add some, or give `tau=1`."
        )


def _counting(x, y=None, weights=None):
    """Inputs, classes and weights of those samples of a batch that count."""
    if y is None:
        raise ValueError("`validation_data` must have labels, (x, y); got none.")
    weights = np.ones(len(y)) if weights is None else as_array(weights).astype("float64")
    if weights.size != len(y) or not ((weights >= 0) & (weights < np.inf)).all():
        raise ValueError(
            "the `sample_weight` of `validation_data` must be a finite number ≥ 0 for each of "
            f"{len(y)} samples; got {weights.size}, from {weights.min()} to {weights.max()}."
        )
    kept = counting(weights)
    x = keras.tree.map_structure(lambda leaf: as_array(leaf)[kept], x)
    return x, class_numbers(as_array(y)[kept])[0], weights.reshape(-1)[kept]


def _logits(model, x, from_logits):
    """What the model says, as logits of all classes; of one unit of two."""
    outputs = as_array(model.predict_on_batch(x)).astype("float64")
    tiny = np.finfo("float32").tiny
    if outputs.shape[-1] == 1 and from_logits:
        return np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
    if outputs.shape[-1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=-1)
    return outputs if from_logits else np.log(np.maximum(outputs, tiny))
