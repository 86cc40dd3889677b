"""Labelled images of every kind of data, batch by batch: those that count, with their classes."""

import numpy as np

from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.ends import check_ends
from keras_dcnn._reading.labels import class_numbers
from keras_dcnn._reading.rows import Rows, as_arrays, check_lengths, named


class LabelledImages:
    """`(x, y)` or `(x, y, sample_weight)`, of arrays or in batches; samples of weight 0 left out.

    Of arrays, which are sliced and never read whole, labels and weights are checked at once.
    `bound` is how many samples there are at most, and `num_classes` the columns of one-hot labels,
    or the highest label and one; both as far as is known by what was read, as is `one_hot`.
    `classes` are the labels of arrays, None of batches.
    """

    def __init__(self, data, batch_size):
        self.num_classes, self.bound, self.one_hot = 0, None, False
        self._data, self._is_arrays, self.classes = data, isinstance(data, (tuple, list)), None
        check_ends("the data", data)
        if self._is_arrays:
            if len(data) not in (2, 3):
                raise ValueError(
                    f"the data must be (x, y) or (x, y, sample_weight); got {len(data)}."
                )
            arrays = as_arrays(tuple(data))
            check_lengths(named(arrays))
            counts = slice(None) if len(arrays) == 2 else _weights(arrays[2]) != 0
            self.classes = self._labels(arrays[1])[counts]
            self.bound = len(self.classes)
            self._data = Rows(arrays, None, batch_size)
            self.num_batches = self._data.num_batches

    def __iter__(self):
        """Yield (x, classes, sample_weight or None) of the samples that count of each batch."""
        for x, y, weights in self._read():
            if y is None:
                raise ValueError("the data must be labelled images, (x, y); got no labels.")
            x, y, weights = as_array(x), self._labels(as_array(y)), _weights(weights)
            if weights is None or weights.all():
                yield x, y, weights
            elif weights.any():
                yield x[weights != 0], y[weights != 0], weights[weights != 0]

    def _read(self):
        if self._is_arrays:
            for i in range(self.num_batches):
                yield (*self._data[i], None)[:3]
            return
        self.num_batches, batches = batches_as_fit_takes_them(self._data)
        for batch in batches:
            if batch[1] is not None and np.ndim(as_array(batch[1])) == 0:
                raise ValueError("the data must come in batches; got single samples: `.batch(32)`.")
            if self.bound is None and self.num_batches:
                self.bound = self.num_batches * len(batch[0])
            yield batch

    def _labels(self, y):
        classes, count = class_numbers(y)
        self.one_hot = y.ndim == 2 and y.shape[1] > 1
        self.num_classes = max(self.num_classes, count)
        return classes


def _weights(weights=None):
    """Weights of samples as float64 (samples,), or None; ValueError for what are none."""
    if weights is None:
        return None
    weights = as_array(weights).astype("float64")
    weights = weights.reshape(len(weights), -1)
    if weights.shape[1] != 1 or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            "`sample_weight` must be a finite number ≥ 0 for each sample; got shape "
            f"{weights.shape}, from {weights.min()} to {weights.max()}."
        )
    return weights[:, 0]
