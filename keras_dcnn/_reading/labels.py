"""Labels as numbers of classes; those that are none, refused in words, on every backend."""

import numpy as np

from keras_dcnn._reading.batches import as_array

_MOST = 2**24  # classes: up to here float32 tells numbers apart, and their counts fit in memory
_NUMBERING = "number the classes, as `np.unique(y, return_inverse=True)[1]` does"


def check_labels(name, y, columns):
    """Raise ValueError unless all are numbers of classes, 0, 1, … for so many outputs.

    For labels of any shape; one output has two classes. Booleans are 0 and 1. To be called where
    nothing is trained or computed yet, as JAX takes every number for a class.
    """
    y, classes = as_numbers(name, y), max(columns, 2)
    wrong = np.argwhere(~((y >= 0) & (y < classes) & (y == np.floor(y))))
    if len(wrong):
        of = (
            "the two classes of one output" if columns == 1 else f"the classes of {columns} outputs"
        )
        value, place = y[tuple(wrong[0])], ", ".join(map(str, wrong[0]))
        advice = "number the classes from 0, and leave out samples of none"
        if np.isnan(value):
            advice = "leave out samples without a label"
        elif value != np.floor(value):
            advice = "numbers that are no classes, as of regression, need another loss or measure"
        raise ValueError(
            f"`{name}` must be whole numbers from 0 to {classes - 1}, {of}; got {value} for "
            f"sample {place}: {advice}."
        )


def as_numbers(name, y):
    """Labels as an array of real numbers; ValueError for others, such as names of classes."""
    try:
        y = as_array(y)
        got = f"dtype {y.dtype}: {_NUMBERING}"
    except ValueError:
        got = "lists of several lengths: give rows of one length, as of 0 and 1 by class"
    else:
        if y.dtype.kind in "biuf" or y.dtype.name == "bfloat16":
            return y
    raise ValueError(f"`{name}` must be whole numbers or one-hot rows; got {got}.")


def class_numbers(y):
    """Labels as numbers of classes (samples,), and how many classes they know of."""
    y = as_numbers("y", y)
    if y.ndim == 2 and y.shape[1] > 1:
        if not (np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all()):
            raise ValueError(
                f"`y` must be classes, whole numbers or one-hot rows; got rows of shape {y.shape} "
                "that are not 0 but for one 1: each sample must have one class, as `y.argmax(1)`."
            )
        return y.argmax(1), y.shape[1]
    if y.ndim not in (1, 2) or y.shape[1:] not in ((), (1,)):
        raise ValueError(f"`y` must be (samples,) or one-hot rows; got shape {y.shape}.")
    y = y.reshape(-1)
    wrong = y[~((y >= 0) & (y == np.floor(y)) & (y < _MOST))]
    if len(wrong):
        below = f" and below {_MOST:,}" if wrong[0] >= _MOST else ""
        raise ValueError(
            f"`y` must be classes, whole numbers from 0{below}; got {wrong[0]}: "
            f"{'leave out samples without a label' if np.isnan(wrong[0]) else _NUMBERING}."
        )
    y = y.astype("int64")
    return y, int(y.max(initial=-1)) + 1


def check_two_classes(name, counts):
    """Raise ValueError unless two classes at least have samples; `name` says in what."""
    present = np.flatnonzero(counts)
    if len(present) < 2:
        which = f"samples of class {present[0]} alone" if len(present) else "none"
        raise ValueError(
            f"{name} must have samples of at least two classes; got {which}: there is nothing to "
            "tell apart."
        )


def check_each_class(name, counts, fix="add some, or number the classes without it"):
    """Raise ValueError unless two classes at least, and each of them, have samples."""
    check_two_classes(name, counts)
    if not counts.all():
        raise ValueError(
            f"each of the {len(counts)} classes must have samples in {name}; class "
            f"{int(counts.argmin())} has none: {fix}."
        )
