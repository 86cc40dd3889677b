"""Labelled images of every kind of data, batch by batch: those that count, with their classes."""

import keras
import numpy as np

from keras_dcnn._checks import check_real
from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.ends import check_ends
from keras_dcnn._reading.epochs import draws_epochs
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._reading.labels import class_numbers
from keras_dcnn._reading.rows import Rows, as_arrays, check_lengths, named, take


class LabelledImages:
    """`(x, y)` or `(x, y, sample_weight)`, of arrays or in batches; samples of weight 0 left out.

    Of arrays, which are sliced and never read whole, labels and weights are checked at once.
    `bound` is how many samples there are at most, and `num_classes` the columns of one-hot labels,
    or the highest label and one; both as far as is known by what was read, as is `one_hot`.
    `classes` are the labels of arrays, None of batches; `name` begins what is refused. Data that
    draw each epoch anew give each sample once: its weight rises, in place, with each time it comes.
    """

    def __init__(self, data, batch_size, name="the data"):
        self.num_classes, self.bound, self.one_hot = 0, None, False
        self._data, self._is_arrays, self.classes = data, isinstance(data, (tuple, list)), None
        self._name = name
        check_ends(name, data)
        if hasattr(data, "shape") or (self._is_arrays and len(data) not in (2, 3)):
            got = f"{len(data)} in it" if self._is_arrays else "one array"
            raise ValueError(
                f"{name} must be (x, y) or (x, y, sample_weight), or batches of these; got {got}."
            )
        if self._is_arrays:
            arrays = as_arrays(tuple(data))
            check_lengths(named(arrays))
            counts = None if len(arrays) == 2 else as_weights(arrays[2]) != 0
            self.classes = self._labels(take(arrays[1], counts))
            self.bound = len(self.classes)
            self._data = Rows(arrays, None, batch_size)
            self.num_batches = self._data.num_batches

    def __iter__(self):
        """Yield (x, classes, sample_weight or None) of the samples that count of each batch."""
        seen = {} if draws_epochs(self._data) else None
        for x, y, weights in self._read():
            if y is None:
                raise ValueError(f"{self._name} must have labels, (x, y); got none.")
            batch = keras.tree.map_structure(as_array, x), as_array(y), as_weights(weights)
            counts = None if weights is None or batch[2].all() else batch[2] != 0
            if counts is None or counts.any():
                x, y, weights = take(batch, counts)
                batch = x, self._labels(y), weights
                batch = batch if seen is None else _once(*batch, seen)
                if len(batch[1]):
                    yield batch

    def _read(self):
        if self._is_arrays:
            for i in range(self.num_batches):
                yield (*self._data[i], None)[:3]
            return
        self.num_batches, batches = batches_as_fit_takes_them(self._data)
        for batch in batches:
            if batch[1] is not None and np.ndim(as_array(batch[1])) == 0:
                raise ValueError(
                    f"{self._name} must come in batches; got single samples: `.batch(32)`."
                )
            if self.bound is None and self.num_batches:
                self.bound = self.num_batches * len(keras.tree.flatten(batch[0])[0])
            yield batch

    def _labels(self, y):
        classes, count = class_numbers(y)
        self.one_hot = y.ndim == 2 and y.shape[1] > 1
        self.num_classes = max(self.num_classes, count)
        return classes


def _once(x, y, weights, seen):
    """Those of a batch that are not `seen`; else the weight is added to what was given then."""
    first, times = [], np.zeros(len(y))
    weights = np.ones(len(y)) if weights is None else weights
    samples = zip(fingerprints(x).tolist(), y.tolist(), strict=True)
    for at, sample in enumerate(samples):
        if sample not in seen:
            seen[sample] = times, len(first)
            first.append(at)
        given, place = seen[sample]
        given[place] += weights[at]
    return *take((x, y), first), times[: len(first)]


def as_weights(weights):
    """Weights of samples as float64 (samples,), or None; ValueError for what are none."""
    if weights is None:
        return None
    weights = np.atleast_1d(as_array(weights))
    check_real("sample weights", weights)
    weights = weights.astype("float64").reshape(len(weights), -1)
    if weights.shape[1] != 1 or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            "`sample_weight` must be a finite number ≥ 0 for each sample; got shape "
            f"{weights.shape}, from {weights.min()} to {weights.max()}."
        )
    return weights[:, 0]
