"""Checks of labels and of what models predicted for them."""

import numpy as np

from keras_dcnn._reading.batches import as_array

_SUM_TOLERANCE = 0.01  # float16 probabilities of many classes come no nearer to a sum of 1


def as_labels(y, samples, columns):
    """Integer labels (samples,) of integers or one-hot rows, for so many samples and columns."""
    y = as_array(y)
    if y.dtype.kind not in "biuf":
        raise ValueError(f"`y` must be whole numbers or one-hot rows; got dtype {y.dtype}.")
    if y.ndim == 2 and y.shape[1] == columns > 1:
        wrong = np.flatnonzero(((y != 0) & (y != 1)).any(1) | (y.sum(1) != 1))
        if len(wrong):
            raise ValueError(
                f"`y` must be labels or one-hot rows; got {y[wrong[0]]} for sample {wrong[0]}: for "
                "soft labels, as of mixup, give the labels before mixing."
            )
        y = y.argmax(1)
    elif y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (samples,):
        raise ValueError(
            f"`y` must be one label for each of {samples} samples, or one-hot rows of {columns} "
            f"columns; got shape {y.shape}."
        )
    wrong = np.flatnonzero(~((y >= 0) & (y < max(columns, 2)) & (y == np.floor(y))))
    if len(wrong):
        raise ValueError(
            f"`y` must be whole numbers from 0 to {max(columns, 2) - 1}, for that many outputs; "
            f"got {y[wrong[0]]} for sample {wrong[0]}."
        )
    return y.astype("int64")


def as_predictions(name, predictions, axes=("members", "samples", "classes")):
    """The predictions as an array with these axes, finite, none of them empty."""
    predictions = as_array(predictions)
    kind, shape = predictions.dtype, predictions.shape
    if kind.kind not in "biuf" or len(shape) != len(axes) or 0 in shape:
        raise ValueError(
            f"`{name}` must be numbers of shape ({', '.join(axes)}), none of these 0; got dtype "
            f"{kind}, shape {shape}."
        )
    finite = np.isfinite(predictions)
    if not finite.all():
        raise ValueError(
            f"`{name}` must be finite; {_place(name, ~finite)} is the first that is NaN or "
            "infinite: leave out what predicts that."
        )
    return predictions


def check_probabilities(name, predictions, what):
    """Raise ValueError unless all lie in [0, 1] and those of a sample sum to 1, if there are more.

    `what` says who needs them.
    """
    lowest, highest = predictions.min(-1), predictions.max(-1)
    sums = predictions.sum(-1, dtype="float32")
    wrong = (lowest < -1e-5) | (highest > 1 + 1e-5)
    if predictions.shape[-1] > 1:
        wrong |= np.abs(sums - 1) > _SUM_TOLERANCE
    if wrong.any():
        raise ValueError(
            f"{what} needs probabilities, from 0 to 1 and with a sum of 1 over the classes; "
            f"{_place(name, wrong)} lies between {lowest[wrong][0]:.4g} and "
            f"{highest[wrong][0]:.4g} with a sum of {sums[wrong][0]:.4g}: apply a softmax or "
            "sigmoid first."
        )


def _place(name, wrong):
    """The first place that is wrong, as one writes it in NumPy."""
    return f"`{name}[{', '.join(map(str, np.argwhere(wrong)[0]))}]`"
