"""Labels, and what models predicted for them, as questions with one answer each."""

from dataclasses import dataclass

import numpy as np

from keras_dcnn._reading.labels import check_labels
from keras_dcnn.ensemble.judging._predictions import (
    as_weights,
    for_each,
    labels_of_shape,
    numbers_of_shape,
    raise_not_finite,
)
from keras_dcnn.ensemble.judging._task import Task, has_rows, sum_to_1, task_of


@dataclass(frozen=True)
class Judged:
    """What counts of labels and predictions, a question for each sample, place and label.

    For several labels each is a question with two answers, as of one unit.

    Args:
        name: What the predictions are called.
        task: The `Task`.
        y: (questions,), whole numbers.
        predictions: (…, questions, columns).
        weights: (questions,), above 0, or None.
        where: (questions,), the place of each in `shape`, flat.
        shape: (samples, …), for several labels (samples, …, labels).
    """

    name: str
    task: Task
    y: np.ndarray
    predictions: np.ndarray
    weights: np.ndarray | None
    where: np.ndarray
    shape: tuple

    @property
    def num_classes(self):
        """Number of classes, or of labels."""
        several = self.task is Task.SEVERAL_LABELS
        return self.shape[-1] if several else max(2, self.predictions.shape[-1])

    def kinds(self):
        """For each question the class that is right; for several labels another for each label."""
        if self.task is not Task.SEVERAL_LABELS:
            return self.y
        return 2 * (self.where % self.shape[-1]) + self.y

    def against_rest(self, k):
        """Labels, probabilities (questions, 1) and weights of the question "is it class k?"."""
        y, p, weights = self.y, self.predictions, self.weights
        if self.task is Task.ONE_CLASS:
            return (y == k).astype(y.dtype), p[:, [k]], weights
        if self.task is Task.TWO_CLASSES:
            return (y, p, weights) if k else (1 - y, 1 - p.astype("float64"), weights)
        rows = self.where % self.shape[-1] == k
        return y[rows], p[rows], None if weights is None else weights[rows]

    def check_probabilities(self, what):
        """Raise ValueError unless all lie in [0, 1], those of a class with a sum of 1.

        `what` says who needs them.
        """
        p = self.predictions
        lowest, highest, sums = p.min(-1), p.max(-1), p.sum(-1, dtype="float32")
        outside = (lowest < -1e-5) | (highest > 1 + 1e-5)
        if p.shape[-1] == 1:
            if outside.any():
                raise ValueError(
                    f"{what} needs probabilities, from 0 to 1; {self._place(outside)} is "
                    f"{lowest[outside][0]:.4g}: apply a sigmoid first."
                )
            return
        wrong = outside | ~sum_to_1(p)
        if wrong.any():
            advice = "apply a softmax or sigmoid first"
            if not outside.any():
                advice = "apply a softmax, or for several labels give `y` as rows of 0 and 1"
            raise ValueError(
                f"{what} needs probabilities, from 0 to 1 and with a sum of 1 over the classes; "
                f"{self._place(wrong)} lies between {lowest[wrong][0]:.4g} and "
                f"{highest[wrong][0]:.4g} with a sum of {sums[wrong][0]:.4g}: {advice}."
            )

    def check_finite(self):
        """Raise ValueError for the first prediction that is NaN or infinite."""
        wrong = ~np.isfinite(self.predictions)
        if wrong.any():
            column = np.argwhere(wrong)[0, -1:] if self.predictions.shape[-1] > 1 else ()
            raise_not_finite(self.name, self._place(wrong.any(-1), column))

    def _place(self, wrong, column=()):
        """The first question that is wrong, as one writes it in NumPy."""
        *member, question = np.argwhere(wrong)[0]
        place = np.unravel_index(self.where[question], self.shape)
        return f"`{self.name}[{', '.join(map(str, (*member, *place, *column)))}]`"


def judged(name, predictions, y, sample_weight=None, members=False, task=None):
    """The `Judged` of predictions (samples, …, columns), with `members` those of each in front.

    What has the weight 0 is left out before it is looked at. The `task` is that of rows, where it
    is known already. Raises ValueError for labels that don't fit, and for NaN.
    """
    axes = ("members",) * members + ("samples", "…", "classes")
    predictions = numbers_of_shape(name, predictions, axes)
    shape, columns = predictions.shape[members:], predictions.shape[-1]
    y = labels_of_shape(y, shape)
    weights = as_weights(sample_weight, shape, has_rows(y, shape))
    if not has_rows(y, shape):
        task = Task.TWO_CLASSES if columns == 1 else Task.ONE_CLASS
    elif task is None:
        task = _task(y, predictions, weights)
    if task is Task.SEVERAL_LABELS:
        columns = 1
    elif has_rows(y, shape):
        y = y.argmax(-1)
    shape = y.shape  # of the questions
    predictions = predictions.reshape(*predictions.shape[:members], -1, columns)
    where = np.arange(y.size)
    if weights is not None:
        weights = for_each(weights, shape)
        y, where = np.where(weights > 0, y, 0), np.flatnonzero(weights)
        weights, predictions = weights.ravel()[where], predictions[..., where, :]
    check_labels("y", y, columns)
    y = y.ravel()[where].astype("int64")
    found = Judged(name, task, y, predictions, weights, where, shape)
    found.check_finite()
    return found


def _task(y, predictions, weights):
    """The task by those rows and predictions that count; refuses rows that are no labels."""
    columns = predictions.shape[-1]
    each, outputs = y.reshape(-1, columns), predictions.reshape(-1, y.size // columns, columns)
    numbers = np.arange(len(each))
    if weights is not None:
        counts = for_each(weights, y.shape).reshape(-1, columns) > 0
        numbers = np.flatnonzero(counts.any(1))
        each, outputs = np.where(counts, each, 0)[numbers], outputs[:, numbers]
    outputs = outputs.reshape(-1, columns)
    task = task_of(each, outputs)
    if task is Task.NUMBERS:
        i = np.flatnonzero(((each != 0) & (each != 1)).any(1))[0]
        _refuse_row(each[i], np.unravel_index(numbers[i], y.shape[:-1]))
    if weights is not None and weights.shape == y.shape:
        return Task.SEVERAL_LABELS
    if task is Task.SEVERAL_LABELS and sum_to_1(outputs).all():
        i = np.flatnonzero(each.sum(1) != 1)[0]
        place = ", ".join(map(str, np.unravel_index(numbers[i], y.shape[:-1])))
        raise ValueError(
            "predictions that sum to 1, as of a softmax, say one class for each sample; "
            f"`y` has {each[i]} for sample {place}: give one-hot rows or whole numbers, or for "
            "several labels (multi-label) what sigmoids predict."
        )
    return task


def _refuse_row(row, place):
    """Raise ValueError for a row that is neither one-hot nor labels that are there or not."""
    rule, advice = (
        "labels or one-hot rows",
        "for soft labels, as of mixup, give the labels before mixing",
    )
    if not sum_to_1(row):
        rule, advice = (
            f"{rule}, or for several labels (multi-label) rows of 0 and 1",
            "give labels that are no shares",
        )
    if not ((row >= 0) & (row <= 1)).all():
        advice = "write 0 and 1, and give what is not to count the `sample_weight` 0"
    place = ", ".join(map(str, place))
    raise ValueError(f"`y` must be {rule}; got {row} for sample {place}: {advice}.")
