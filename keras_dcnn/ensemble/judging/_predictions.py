"""Checks of labels, of what models predicted for them, and of weights."""

import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.labels import as_numbers


def as_weights(sample_weight, shape, rows=False):
    """Weights of samples, of places, or with `rows` of labels, as float64, or None for None.

    `shape` is that of the predictions, (samples, …, columns).
    """
    if sample_weight is None:
        return None
    weights = as_array(sample_weight)
    fit = [shape[:i] for i in range(1, len(shape) + rows)] + [(*shape[:-1], 1)]
    if weights.dtype.kind not in "biuf" or weights.shape not in fit:
        raise ValueError(
            f"`sample_weight` must be numbers of shape {' or '.join(map(str, dict.fromkeys(fit)))}"
            f"; got dtype {weights.dtype}, shape {weights.shape}."
        )
    weights = weights.astype("float64")
    if weights.shape not in fit[:-1]:
        weights = weights[..., 0]
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            "`sample_weight` must be finite numbers of at least 0, not all 0; got numbers from "
            f"{weights.min()} to {weights.max()}."
        )
    return weights


def as_predictions(name, predictions, axes):
    """The predictions as an array with these axes, finite, none of them empty."""
    predictions = numbers_of_shape(name, predictions, axes)
    wrong = ~np.isfinite(predictions)
    if wrong.any():
        raise_not_finite(name, place_in(name, wrong))
    return predictions


def place_in(name, wrong):
    """The first place that is wrong, as one writes it in NumPy."""
    return f"`{name}[{', '.join(map(str, np.argwhere(wrong)[0]))}]`"


def raise_not_finite(name, place):
    leave_out = "" if name == "y" else "leave out what predicts that, or "
    raise ValueError(
        f"`{name}` must be finite; {place} is the first that is NaN or infinite: {leave_out}give a "
        "sample that is not to count the weight 0."
    )


def numbers_of_shape(name, predictions, axes):
    """An array of real numbers with these axes, of which "…" may be any number or none."""
    predictions = as_array(predictions)
    if predictions.dtype.name == "bfloat16":  # which NumPy itself does not know
        predictions = predictions.astype("float32")
    kind, shape, some = predictions.dtype, predictions.shape, "…" in axes
    fits = len(shape) >= len(axes) - 1 if some else len(shape) == len(axes)
    if kind.kind not in "biuf" or not fits or 0 in shape:
        listed = ", ".join(axis for axis in axes if axis != "…")
        raise ValueError(
            f"`{name}` must be numbers of shape ({listed}), none of these 0; got dtype {kind}, "
            f"shape {shape}."
        )
    return predictions


def labels_of_shape(y, shape):
    """Labels (samples, …), or rows of as many columns as the predictions of this shape have."""
    y, places = as_numbers("y", y), shape[:-1]
    if y.shape == (*places, 1):
        return y[..., 0]
    if y.shape != places and not (y.shape == shape and shape[-1] > 1):
        of = f"{places[0]} samples" if len(places) == 1 else f"{places} places"
        rows = f", or rows of {shape[-1]} columns, one-hot or of several labels"
        raise ValueError(
            f"`y` must be one label for each of {of}{rows if shape[-1] > 1 else ''}; got shape "
            f"{y.shape}."
        )
    return y


def for_each(weights, shape):
    """Weights of samples or of places for each question of this shape."""
    weights = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    return np.broadcast_to(weights, shape)
