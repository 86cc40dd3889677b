"""Task: what models say of a sample, and what labels fit; the one place that tells these apart.

`task_of` tells it by labels and predictions, `task_of_labels` by labels alone, `task_of_activation`
by the last layer alone.
"""

import enum

import numpy as np

from keras_dcnn._reading.batches import as_array

_SUM_TOLERANCE = 0.01  # float16 probabilities of many classes come no nearer to a sum of 1


class Task(enum.Enum):
    """What a model says of a sample, or of each place in it."""

    ONE_CLASS = "one class among several"
    TWO_CLASSES = "two classes in one unit"
    SEVERAL_LABELS = "several labels, each there or not"
    NUMBERS = "numbers"


def task_of_activation(name, columns):
    """The task that the name of the last activation shows, with so many outputs; None for most."""
    if name == "sigmoid":
        return Task.TWO_CLASSES if columns == 1 else Task.SEVERAL_LABELS
    return Task.ONE_CLASS if name == "softmax" else None


def task_of_labels(y, shape):
    """The task that labels or values show for outputs of this shape, (samples, …, columns).

    Rows of 0 and 1 with a 1 each are one class: `task_of` knows better. Labels may be outside the
    classes, see `check_labels`; soft labels, as of mixup, are numbers.
    """
    y, columns = as_array(y), shape[-1]
    if y.dtype.kind not in "biuf":
        return Task.NUMBERS
    if has_rows(y, shape):
        if not ((y == 0) | (y == 1)).all():
            return Task.NUMBERS
        return Task.ONE_CLASS if (y.sum(-1) == 1).all() else Task.SEVERAL_LABELS
    if columns == 1:
        return Task.TWO_CLASSES if ((y == 0) | (y == 1)).all() else Task.NUMBERS
    return Task.ONE_CLASS if (y == np.floor(y)).all() else Task.NUMBERS


def task_of(y, predictions):
    """The task that labels show, and predictions for them (samples, …, columns).

    What members predict may be given one below the other, (members · samples, …, columns). Rows of
    0 and 1 with a 1 each are labels of several where the predictions lie in [0, 1] and do not sum
    to 1.
    """
    task = task_of_labels(y, predictions.shape)
    rows = has_rows(as_array(y), predictions.shape)
    if task is Task.ONE_CLASS and rows and task_of_outputs(predictions) is Task.SEVERAL_LABELS:
        return Task.SEVERAL_LABELS
    return task


def task_of_outputs(outputs):
    """The task that outputs (…, columns) show by themselves.

    Most rows decide, so that one that is wrong does not hide: k sigmoids sum to 1 by chance only.
    """
    if outputs.size and ((outputs < -1e-5) | (outputs > 1 + 1e-5)).any():
        return Task.NUMBERS
    if outputs.shape[-1] == 1:
        return Task.TWO_CLASSES
    return Task.ONE_CLASS if sum_to_1(outputs).mean() >= 0.5 else Task.SEVERAL_LABELS


def sum_to_1(outputs):
    """For each row of outputs (…, columns) whether it sums to 1."""
    return np.abs(outputs.sum(-1, dtype="float32") - 1) <= _SUM_TOLERANCE


def has_rows(y, shape):
    """Whether labels have a column for each of the outputs, of shape (samples, …, columns)."""
    return y.ndim == len(shape) and y.shape[-1] == shape[-1] > 1
