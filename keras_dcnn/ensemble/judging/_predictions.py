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
        y = _from_one_hot(y)
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


def _from_one_hot(y):
    wrong = np.flatnonzero(((y != 0) & (y != 1)).any(1) | (y.sum(1) != 1))
    if len(wrong):
        raise ValueError(
            f"`y` must be labels or one-hot rows; got {y[wrong[0]]} for sample {wrong[0]}: for "
            "soft labels, as of mixup, give the labels before mixing."
        )
    return y.argmax(1)


def as_predictions(name, predictions, axes=("members", "samples", "classes")):
    """The predictions as an array with these axes, finite, none of them empty."""
    predictions = as_array(predictions)
    if predictions.dtype.kind not in "biuf" or predictions.ndim != len(axes):
        raise ValueError(
            f"`{name}` must be numbers of shape ({', '.join(axes)}); got dtype "
            f"{predictions.dtype}, shape {predictions.shape}."
        )
    if predictions.size == 0:
        raise ValueError(
            f"`{name}` must hold something, shape ({', '.join(axes)}); got {predictions.shape}."
        )
    members = predictions if axes[0] == "members" else predictions[None]
    for i, member in enumerate(members):
        if not np.isfinite(member).all():
            where = _where(members, i, np.argwhere(~np.isfinite(member))[0][0])
            raise ValueError(
                f"`{name}` must be finite; got NaN or infinity, first for {where}: leave out what "
                "predicts that."
            )
    return predictions


def _where(members, member, sample):
    return f"member {member}, sample {sample}" if len(members) > 1 else f"sample {sample}"


def check_probabilities(name, predictions, what):
    """Raise ValueError unless all lie in [0, 1] and those of a sample sum to 1, if there are more.

    `what` says who needs them.
    """
    for i, member in enumerate(predictions):
        outside = (member < -1e-5) | (member > 1 + 1e-5)
        if outside.any():
            sample = np.argwhere(outside)[0][0]
            got = f"{member[sample][outside[sample]].flat[0]:.4g}"
        elif member.shape[-1] > 1:
            sums = member.sum(-1, dtype="float32")
            off = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
            if len(off) == 0:
                continue
            sample, got = off[0], f"a sum of {sums[off[0]]:.4g}"
        else:
            continue
        raise ValueError(
            f"{what} needs probabilities, from 0 to 1 and with a sum of 1 over the classes; "
            f"`{name}` has {got} for {_where(predictions, i, sample)}: apply a softmax or sigmoid "
            "first."
        )
