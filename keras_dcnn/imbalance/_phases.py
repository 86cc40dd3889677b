"""The data of two phases: which samples each phase reads, and how."""

from typing import Any, NamedTuple

import numpy as np

from keras_dcnn._checks import check_count, is_whole
from keras_dcnn._reading.labelled import as_weights
from keras_dcnn._reading.labels import check_labels, class_numbers
from keras_dcnn._reading.rows import Rows, as_arrays, check_lengths, named
from keras_dcnn.imbalance.balanced_dataset import BalancedDataset
from keras_dcnn.imbalance.class_weights import class_counts


class Samples(NamedTuple):
    """Arrays of samples, which of them count, and of which class these are."""

    arrays: tuple[Any, ...]
    rows: np.ndarray
    classes: np.ndarray
    counts: np.ndarray  # of each class

    def natural(self, chosen, batch_size, seed):
        """All samples of the chosen classes, in another order each epoch."""
        return Rows(self.arrays, self.rows[chosen[self.classes]], batch_size, seed)

    def balanced(self, batch_size, seed):
        """As many samples of each class as the largest has."""
        return BalancedDataset(*self.arrays, batch_size=batch_size, seed=seed, verbose=0)


def samples_of(data, columns):
    """The Samples of `(x, y)` or `(x, y, sample_weight)`; TypeError or ValueError for others."""
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(
            "`data` must be arrays, (x, y) or (x, y, sample_weight), of which classes can be "
            f"drawn; got {type(data).__name__}: for batches, such as of tf.data, use the callback "
            "TwoPhaseTraining in `fit`."
        )
    arrays = as_arrays(tuple(data))
    check_lengths(named(arrays))
    rows = np.arange(len(arrays[1]))
    if len(arrays) == 3:
        rows = rows[as_weights(arrays[2]) != 0]
    classes, known = class_numbers(arrays[1][rows])
    if columns is not None:
        check_labels("y", classes, columns)
    counts = class_counts(classes, max(known, 2))
    if counts.min() == counts.max():
        raise ValueError(
            f"classes must differ in their number of samples; all {len(counts)} have "
            f"{counts[0]:,}: there is nothing to balance, so train in one phase."
        )
    return Samples(arrays, rows, classes, counts)


def few_of(counts, few):
    """For each class whether it is of few samples: below the mean, below a number, or listed."""
    if few is None:
        return counts < counts.mean()
    if is_whole(few):
        check_count("few", few)
        found = counts < few
    else:
        listed = np.asarray(few).reshape(-1)
        for one in listed:
            if not is_whole(one) or not 0 <= one < len(counts):
                raise ValueError(
                    f"`few` must be a number of samples, or classes from 0 to {len(counts) - 1}; "
                    f"got {one}."
                )
        found = np.isin(np.arange(len(counts)), listed)
    if found.all() or not found.any():
        raise ValueError(
            f"`few` must leave classes for both phases; with few={few!r} "
            f"{'all' if found.all() else 'none'} of {len(counts)} classes have few: the classes "
            f"have {counts.min():,} to {counts.max():,} samples."
        )
    return found
