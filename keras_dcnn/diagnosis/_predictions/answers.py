"""What a model answered to test samples: checked, and counted by class."""

from typing import NamedTuple

import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.labels import check_labels, class_numbers

_MOST_CLASSES = 1_000_000  # where nothing says how many there are


class Answers(NamedTuple):
    """By class: how many samples are of it, were called it, and rightly so; and its name.

    `spoken_of` are the classes that one may say something about: all, or, where only numbers are
    given, those that come.
    """

    samples: np.ndarray
    called: np.ndarray
    right: np.ndarray
    spoken_of: np.ndarray
    names: list[str] | None

    def name(self, number):
        """What the class is called in a sentence."""
        return repr(self.names[number]) if self.names else f"class {number}"


def read_answers(y, predictions, class_names):
    """The Answers; ValueError, a sentence, for what can't be compared."""
    return _count(*read_pairs(y, predictions, class_names))


def read_pairs(y, predictions, class_names):
    """True and predicted classes, how many are surely there, and their names or None.

    ValueError, a sentence, for what can't be compared.
    """
    y, predictions = _samples("y", y), _samples("predictions", predictions)
    if len(y) != len(predictions) or not len(y):
        raise ValueError(
            "`y` and `predictions` must have equally many samples, one or more; got "
            f"{len(y)} and {len(predictions)}: predict the samples that `y` has, in its order."
        )
    predicted, columns = _predicted(predictions)
    names, classes = _names(class_names, columns)
    y, of_y = _true(y, classes or _MOST_CLASSES)
    classes = classes or of_y
    check_labels("predictions", predicted, classes or _MOST_CLASSES)
    return y, predicted.astype("int64"), max(classes or 0, 2 if columns else 0), names


def _names(names, columns):
    """The names as texts, and how many classes they or the columns say there are, or None."""
    if names is None:
        return None, columns
    names = [str(name) for name in _samples("class_names", names)]
    if len(names) != max(columns or len(names), 2):
        raise ValueError(
            "`class_names` must have a name for each class, "
            f"{max(columns or 2, 2)}{'' if columns else ' or more'}; got {len(names)}."
        )
    return names, columns or len(names)


def _samples(name, values):
    """An array with an axis of samples."""
    try:
        values = as_array(values)
    except (TypeError, ValueError):
        values = np.asarray(None)
    if not values.ndim:
        raise ValueError(f"`{name}` must be one array, a row for each sample, all of one length.")
    return values


def _predicted(predictions):
    """The class that each row says, and how many columns said it, None for classes."""
    shape, kind = predictions.shape, predictions.dtype
    if len(shape) > 2 or 0 in shape or (kind.kind not in "biuf" and kind.name != "bfloat16"):
        raise ValueError(
            "`predictions` must be numbers, (samples, classes) of scores, or (samples,) of one "
            f"sigmoid or of classes; got shape {shape} of {kind}."
        )
    if kind.kind in "biu" and predictions.size == len(predictions):
        return predictions.reshape(-1), None
    scores = predictions.astype("float64")
    if np.isnan(scores).any():
        raise ValueError(
            f"`predictions` must not be NaN; got {np.isnan(scores).sum()} of {scores.size}: the "
            "model's weights are NaN, or the images are."
        )
    if scores.size > len(scores):
        return scores.argmax(1), scores.shape[1]
    threshold = 0.5 if scores.min() >= 0 and scores.max() <= 1 else 0
    return (scores.reshape(-1) > threshold).astype("int64"), 1


def _true(y, classes):
    """The classes of `y`, and how many the one-hot rows know, None for numbers."""
    one_hot = y.ndim == 2 and y.shape[1] > 1
    if not one_hot:
        check_labels("y", y, classes)
    numbers, known = class_numbers(y)
    if one_hot and known > max(classes, 2):
        raise ValueError(
            f"`y` must have at most the {classes} classes of `predictions` or `class_names`; got "
            f"one-hot rows of {known}."
        )
    return numbers, known if one_hot else None


def _count(y, predicted, classes, names):
    """The Answers of class numbers; of `classes` 0, those that come are spoken of."""
    length = max(classes, int(y.max()) + 1, int(predicted.max()) + 1)
    samples, called = (np.bincount(numbers, minlength=length) for numbers in (y, predicted))
    right = np.bincount(y[y == predicted], minlength=length)
    spoken_of = (samples + called > 0) | (np.arange(length) < classes)
    return Answers(samples, called, right, np.flatnonzero(spoken_of), names)
