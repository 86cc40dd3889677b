"""What is to be learnt: samples for training and for validation, and their classes, checked."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._checks import check_count
from keras_dcnn._reading.batches import counting
from keras_dcnn._reading.ends import check_readable_again
from keras_dcnn._reading.epochs import draws_epochs
from keras_dcnn._reading.labelled import LabelledImages
from keras_dcnn._reading.labels import check_two_classes, class_numbers
from keras_dcnn._reading.rows import as_arrays, check_finite, check_lengths, named, take

SHARE_HELD_OUT = 0.2


class Part(NamedTuple):
    """Data of one kind, and what one reading of them showed."""

    data: Any
    y: np.ndarray  # classes of the samples that count
    num_classes: int
    one_hot: bool
    images: np.ndarray  # some of them


class FineTuningTask(NamedTuple):
    """The data to learn from, those to choose by, and the number of classes."""

    training: Part
    validation: Part
    num_classes: int
    whole: Any  # the data to learn from, and what was held out of them
    trained_on: np.ndarray | None  # which samples of these are to learn from; None for all

    @property
    def loss(self):
        return ("sparse_" * (not self.training.one_hot)) + "categorical_crossentropy"

    @property
    def summary(self):
        """How much there is to learn from, in a sentence."""
        counts = np.bincount(self.training.y, minlength=self.num_classes)
        each = " to ".join(f"{count:,}" for count in sorted({counts.min(), counts.max()}))
        held_out = "" if self.trained_on is None else ", held out of the data"
        return (
            f"{len(self.training.y):,} samples of {self.num_classes} classes, {each} of each, to "
            f"learn from; {len(self.validation.y):,}{held_out}, to choose by."
        )


def fine_tuning_task(data, validation_data, num_classes, batch_size):
    """The FineTuningTask; ValueError or TypeError, in words, for data that can't be learnt from."""
    check_count("batch_size", batch_size)
    if num_classes is not None:
        check_count("num_classes", num_classes, minimum=2)
    data = _as_given("`data`", data)
    whole, trained_on = data, None
    if validation_data is None:
        whole, trained_on = hold_out(data)
        data, validation_data = take(whole, trained_on), take(whole, ~trained_on)
    training = _part("`data`", data, batch_size)
    validation = _as_given("`validation_data`", validation_data)
    validation = _part("`validation_data`", validation, batch_size)
    if training.one_hot != validation.one_hot:
        raise ValueError(
            "the labels of `data` and `validation_data` must be alike; one has numbers and the "
            "other one-hot rows."
        )
    classes = int(num_classes or training.num_classes)
    _check_classes(training, validation, classes, num_classes)
    return FineTuningTask(training, validation, classes, whole, trained_on)


def _as_given(name, data):
    """A tuple of NumPy arrays, or batches; TypeError for a bare array, and for several inputs."""
    if hasattr(data, "shape"):
        raise TypeError(f"{name} must be images and their labels, (x, y); got one array.")
    if not isinstance(data, (tuple, list)):
        return data
    arrays = as_arrays(tuple(data))
    if not hasattr(arrays[0], "shape"):
        raise TypeError(
            f"the images of {name} must be one array; got a {type(arrays[0]).__name__} of them: "
            "fine-tuning is for networks of one input."
        )
    return arrays


def _part(name, data, batch_size):
    check_readable_again(name, data)
    images = LabelledImages(data, batch_size)
    first, labels = None, images.classes
    if labels is None:
        labels = [np.zeros(0, "int64")]
        for x, y, _ in images:
            first = x if first is None else first
            check_finite(f"the images of {name}", x)
            labels.append(y)
        labels = np.concatenate(labels)
    else:
        first = np.asarray(data[0][:batch_size])
        check_finite(f"the images of {name}", data[0])
    if not len(labels):
        raise ValueError(f"{name} must hold at least one sample that counts; got none.")
    return Part(data, labels, images.num_classes, images.one_hot, first)


def hold_out(data):
    """Arrays of the samples that count, and which of them are to learn from.

    A fifth of each class, at least one sample, is held out, evenly spread.
    """
    if not isinstance(data, tuple):
        raise ValueError(
            "`validation_data` can be left out for arrays, (x, y), of which a fifth is held out; "
            f"got a {type(data).__name__}: give `validation_data`."
        )
    arrays = data
    check_lengths(named(arrays))
    if len(arrays) > 2 and not (counts := counting(arrays[2])).all():
        if not counts.any():
            raise ValueError("`data` must hold at least one sample that counts; got none.")
        arrays = take(arrays, counts)
    y = class_numbers(arrays[1])[0]
    trained_on = np.ones(len(y), bool)
    for one in np.unique(y):
        samples = np.flatnonzero(y == one)
        if len(samples) < 2:
            raise ValueError(
                "each class must have at least two samples, for one of them is held out to choose "
                f"by; class {one} has one: add images of it, or give `validation_data`."
            )
        count = max(1, round(SHARE_HELD_OUT * len(samples)))
        trained_on[samples[:: len(samples) // count][:count]] = False
    return arrays, trained_on


def _check_classes(training, validation, classes, given):
    check_two_classes("`data`", np.bincount(training.y))
    for name, part in (("data", training), ("validation_data", validation)):
        if part.num_classes > classes:
            of = f"num_classes={given}" if given else f"the {classes} classes of `data`"
            raise ValueError(
                f"labels must be whole numbers from 0 to {classes - 1}, {of}; got "
                f"{part.num_classes - 1} in `{name}`: number the classes from 0, or give "
                "`num_classes`."
            )


def as_fit_takes(part, batch_size):
    """The arguments of `fit` for data."""
    if not isinstance(part.data, tuple):
        return {"x": part.data}
    return {**named(part.data), "batch_size": batch_size}


def may_be_shuffled(data):
    """Whether `fit` may choose the order: not of tf.data and loaders, of which it warns."""
    return isinstance(data, (tuple, keras.utils.PyDataset)) and not draws_epochs(data)
