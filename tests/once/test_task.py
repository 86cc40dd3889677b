"""The task is found alike wherever labels and predictions are judged."""

import numpy as np
import pytest

from keras_dcnn._reading.labels import check_labels
from keras_dcnn.ensemble.judging._task import Task, task_of, task_of_activation, task_of_labels

Y = np.arange(6) % 3
SOFTMAX, SIGMOIDS = np.full((6, 3), 1 / 3), np.full((6, 3), 0.8)
ROWS = np.eye(3)[Y]


@pytest.mark.parametrize(
    ("y", "predictions", "task"),
    [
        (Y, SOFTMAX, Task.ONE_CLASS),
        (Y[:, None], SOFTMAX, Task.ONE_CLASS),
        (Y.astype("float32"), SOFTMAX, Task.ONE_CLASS),
        (ROWS, SOFTMAX, Task.ONE_CLASS),
        (ROWS, SOFTMAX.astype("float16"), Task.ONE_CLASS),
        (ROWS, 9 * SOFTMAX, Task.ONE_CLASS),  # before a softmax
        (ROWS, SIGMOIDS, Task.SEVERAL_LABELS),
        (ROWS.astype(bool), SIGMOIDS, Task.SEVERAL_LABELS),
        (1 - ROWS, SIGMOIDS, Task.SEVERAL_LABELS),
        (1 - ROWS, 9 * SIGMOIDS, Task.SEVERAL_LABELS),
        (0 * ROWS, SIGMOIDS, Task.SEVERAL_LABELS),
        (Y % 2, SIGMOIDS[:, :1], Task.TWO_CLASSES),
        (Y[:, None] % 2 == 1, SIGMOIDS[:, :1], Task.TWO_CLASSES),
        (0.9 * ROWS + 0.1 / 3, SOFTMAX, Task.NUMBERS),
        (Y / 2, SIGMOIDS[:, :1], Task.NUMBERS),
        (Y / 2, SOFTMAX, Task.NUMBERS),
        (np.zeros((6, 2, 2)), np.full((6, 2, 2, 3), 1 / 3), Task.ONE_CLASS),
        (np.ones((6, 2, 2, 3)), np.full((6, 2, 2, 3), 0.8), Task.SEVERAL_LABELS),
        (np.array(["cat"] * 6), SOFTMAX, Task.NUMBERS),
    ],
)
def test_by_labels_and_predictions(y, predictions, task):
    assert task_of(y, predictions) is task


def test_by_labels_alone_and_by_the_last_activation():
    assert task_of_labels(ROWS, (None, 3)) is Task.ONE_CLASS
    assert task_of_labels(1 - ROWS, (None, 3)) is Task.SEVERAL_LABELS
    assert task_of_activation("sigmoid", 1) is Task.TWO_CLASSES
    assert task_of_activation("sigmoid", 3) is Task.SEVERAL_LABELS
    assert task_of_activation("softmax", 3) is Task.ONE_CLASS
    assert task_of_activation("linear", 3) is None


@pytest.mark.parametrize(
    "y", [[0, 3], [-1, 0], [0.5, 1], [np.nan, 1], [[0, 1], [1, 3]], ["a", "b"]]
)
def test_labels_outside_the_classes_are_refused(y):
    with pytest.raises(ValueError, match="`y` must be whole numbers"):
        check_labels("y", y, 3)


def test_labels_in_the_classes_are_taken():
    for y in ([0, 1, 2], [[0], [2]], np.zeros((2, 4, 4)), np.array([2], "uint8"), [True, False]):
        assert check_labels("y", y, 3) is None
    with pytest.raises(ValueError, match="from 0 to 1, the two classes of one output; got 2"):
        check_labels("y", [0, 2], 1)
