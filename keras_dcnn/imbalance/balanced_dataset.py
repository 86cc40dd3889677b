"""BalancedDataset: batches in which the rare classes are not rare."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_choice, check_count
from keras_dcnn._keras.fitting import print_message
from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.labelled import as_weights
from keras_dcnn._reading.labels import as_numbers
from keras_dcnn._reading.rows import check_lengths
from keras_dcnn.imbalance._groups import class_table, groups_of
from keras_dcnn.imbalance._sampling import arranged, draw, members
from keras_dcnn.imbalance._sources import source_of


class BalancedDataset(keras.utils.PyDataset):
    """Draws rare classes more often, or common ones less, for `fit` on every backend.

    A network that sees 500 cats and 5 dogs learns to say "cat". Here each epoch draws from the
    classes as `mode` says. With n_c images of class c, of C classes, n in all:

    | `mode` | images of class c an epoch |
    |---|---|
    | `"over"` | max n_c: every image of a rare class comes, again and again |
    | `"under"` | min n_c: of a common class others each epoch, until all had their turn |
    | `"sqrt"` | n·√n_c / Σ√n_c |
    | `"progressive"` | from n_c at the first epoch, in a straight line, to n/C at the last |
    | numbers | as given, 0 too: a list of one for each class, or a dict, where classes not in it |
    | | keep n_c |

    No image comes more than once more often in an epoch than another of its class, and over the
    epochs all of a class come alike. Each epoch's order depends on the seed and the number of the
    epoch alone, on every backend. The last part-batch is kept. `fit(shuffle=True)`, the default,
    also shuffles which batch comes when; nothing is read twice.

    Where samples have several labels (rows of 0 and 1), a sample comes as often as its rarest label
    asks: max f / f_c for "over", √(max f / f_c) for "sqrt", f_c the samples with label c; so the
    labels end nearer to each other, and not equal. Samples of weight 0 are not drawn.

    Resampling from the first epoch on can hurt the features of a network that is trained from
    scratch: 3 points for "over" in Zhang et al. on CIFAR-100 of 100 : 1, while a second stage with
    it gains; so have a look at `TwoPhaseTraining`. Validation data are to stay as they are:
    `weights_of` balances what is measured on them. Divide the data before, not after: of a rare
    image's copies none may train while another validates.

    `epoch` counts the passes over all batches in `fit`, and may be set. `ResumeTraining` sets it
    when it resumes a training. `counts` are the samples of each class, `class_names` their names.

    Args:
        x: The samples: an array, or a list or dict of arrays for several inputs; memory maps are
            read a batch at a time. Or a list of files, or a folder of images with a subfolder for
            each class.
        y: Labels: classes from 0, (samples,) or (samples, 1), one-hot rows, or rows of 0 and 1
            where a sample has several labels. None for a folder.
        sample_weight: Weights of samples, (samples,), or None.
        mode: `"over"`, `"under"`, `"sqrt"`, `"progressive"`, or numbers by class.
        per_batch: None to shuffle; `"balanced"` to have each class in each batch as often as in
            the others, give or take one (of several labels the rarest).
        batch_size: Samples in a batch, ≥ 1.
        epochs: Epochs that "progressive" takes; None for the other modes.
        seed: Integer ≥ 0 that fixes the order.
        load: Function of a path that returns the array of one sample, for files; None to read them
            as `datasets.image_folder` does.
        image_size: Height and width, in pixels, ≥ 8, that images are resized to without a `load`.
        threads: Files that are read at a time, ≥ 1. (Keras's `workers` stay 1: on JAX and PyTorch
            those of Keras 3.15 give `fit` some batches twice and others late.)
        verbose: 1 prints, class by class, the samples, their effective number
            (1 − β^n_c)/(1 − β), β = .999, and how many an epoch draws; 0 nothing.

    Raises:
        ValueError: for an argument outside the ranges above, lengths that differ, no data, labels
            that are none, such as NaN and soft ones, one class alone, and a class without a sample.
        TypeError: for data whose samples can't be had one by one, such as a tf.data set.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    x, y = np.zeros((110, 8, 8, 3), "uint8"), np.repeat([0, 1], [100, 10])
    data = keras_dcnn.imbalance.BalancedDataset(x, y, mode="over", per_batch="balanced")
    images, labels = data[0]
    print(len(data), np.bincount(labels))
    # model.fit(data, epochs=10)
    ```

    Reference:
        Buda et al.: A Systematic Study of the Class Imbalance Problem in Convolutional Neural
        Networks (2018), "over" and "under". https://arxiv.org/abs/1710.05381
        Kang et al.: Decoupling Representation and Classifier for Long-Tailed Recognition (2020),
        "sqrt" and "progressive". https://arxiv.org/abs/1910.09217
        Zhang et al.: Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional
        Neural Networks (2021). https://ojs.aaai.org/index.php/AAAI/article/view/16458
        Gupta et al.: LVIS (2019), several labels. https://arxiv.org/abs/1908.03195
        Cui et al.: Class-Balanced Loss Based on Effective Number of Samples (2019).
        https://arxiv.org/abs/1901.05555
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        mode: str | Sequence[int] | Mapping[int, int] | np.ndarray = "over",
        per_batch: str | None = None,
        batch_size: int = 32,
        epochs: int | None = None,
        seed: int = 0,
        load: Callable[[Any], Any] | None = None,
        image_size: int = 64,
        threads: int = 1,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        check_choice("per_batch", per_batch, (None, "balanced"))
        for name, value in (("batch_size", batch_size), ("threads", threads)):
            check_count(name, value)
        check_count("seed", seed, minimum=0)
        check_count("image_size", image_size, minimum=8)
        _check_epochs(epochs, mode)
        self.mode, self.per_batch, self.batch_size = mode, per_batch, int(batch_size)
        self.epochs, self.seed, self.threads = epochs, int(seed), int(threads)
        self._source, y, names = source_of(x, y, load, image_size)
        self._y = np.atleast_1d(as_numbers("y", y))
        self._weights = None if sample_weight is None else np.atleast_1d(as_array(sample_weight))
        self._prepare(names, verbose)

    def _prepare(self, names, verbose):
        arrays = {"x": self._source.x, "y": self._y, "sample_weight": self._weights}
        check_lengths({name: one for name, one in arrays.items() if one is not None})
        kept = None if self._weights is None else as_weights(self._weights) != 0
        self._groups = groups_of(self._y, self.mode, kept)
        self.counts = self._groups.counts
        self.class_names = names or [str(number) for number in range(len(self.counts))]
        of_sample, size = self._groups.of_sample, len(self._groups.sizes)
        if kept is not None:
            of_sample, size = np.where(kept, of_sample, size), size + 1
        random = np.random.default_rng([self.seed])
        self._members = members(of_sample, size, random)[: len(self._groups.sizes)]
        self._has_begun, self._seen = False, set()
        self.epoch = 0
        if verbose:
            last = (self.epochs or 1) - 1
            titles = {"first epoch": 0, "last epoch": last} if last else {"an epoch": 0}
            drawn = {t: self._groups.drawn(self._wanted(epoch)) for t, epoch in titles.items()}
            print_message(class_table(self.class_names, self.counts, drawn))

    def _wanted(self, epoch):
        return self._groups.wanted(self.mode, epoch, self.epochs)

    @property
    def epoch(self) -> int:
        """The epoch whose batches are given; to be set before one begins."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        check_count("epoch", value, minimum=0)
        sizes = np.maximum(self._groups.sizes, 1)
        walked = sum((self._wanted(e) % sizes for e in range(value)), start=np.zeros_like(sizes))
        random = np.random.default_rng([self.seed, value])
        drawn = draw(self._members, self._wanted(value), walked)
        groups = self._groups.of_sample
        order = arranged(drawn, groups, self.batch_size, self.per_batch, random)
        order.flags.writeable = False
        # At once, as threads may be reading; what they hold stays as it was.
        self._epoch, self._order, self._seen = int(value), order, set()

    @property
    def num_batches(self) -> int:
        """Batches of an epoch, the last part-batch among them."""
        return -(-len(self._order) // self.batch_size)

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, index: int | np.integer) -> tuple[Any, ...]:
        order, seen = self._order, self._seen
        index = range(-(-len(order) // self.batch_size))[index]
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        rest = [one[rows] for one in (self._y, self._weights) if one is not None]
        batch = (self._read(rows, order, index), *rest)
        seen.add(index)
        return batch

    def _read(self, rows, order, index):
        """The samples of the rows of a batch of this order."""
        return self._source.rows(rows, self.threads)

    def on_epoch_begin(self) -> None:
        """Called by Keras where an epoch begins, and before it builds a model."""
        self._has_begun = True
        if len(self._seen) == self.num_batches:  # by others, before
            self._seen = set()

    def on_epoch_end(self) -> None:
        """Called by Keras where an epoch ends: the next order, once all of this one was read.

        Keras also calls it before the first epoch, where it may have read a batch to build a model;
        and `steps_per_epoch` leaves batches unread, which come first in the next.
        """
        if self._has_begun and len(self._seen) == self.num_batches:
            self.epoch += 1
        self._has_begun = False


def _check_epochs(epochs, mode):
    progressive = isinstance(mode, str) and mode == "progressive"
    if epochs is not None:
        check_count("epochs", epochs)
    if progressive and epochs is None:
        raise ValueError(
            '`epochs` must be given for mode="progressive", as `fit(epochs=…)` gets them; got None.'
        )
    if epochs is not None and not progressive:
        raise ValueError(
            f'`epochs` must be left out but for mode="progressive"; got epochs={epochs} for '
            f"mode={mode!r}."
        )
