"""Batches of images that are read from their files while a network is at work on others."""

import os
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from keras_dcnn._images.pixels import read_pixels

_AHEAD = 3  # batches that are read before they are asked for
_THREADS = os.cpu_count() or 1


class ImageBatches(keras.utils.PyDataset):
    """(images, labels) of files, or images alone, for `fit` and `predict` on every backend.

    Batch after batch is read by threads, the next ones ahead, so that no more than a few batches
    are in memory.
    """

    def __init__(self, files, labels, reading, batch_size):
        super().__init__()
        self.files, self.labels, self.reading = list(files), labels, reading
        self.batch_size = batch_size
        self._order = np.arange(len(self.files))
        self._pool, self._coming = None, {}

    @property
    def num_batches(self):
        return -(-len(self.files) // self.batch_size)

    def __len__(self):
        return self.num_batches

    def __getitem__(self, index):
        index = range(self.num_batches)[index]
        self._read_ahead(index)
        x, shares = self._coming.pop(index)
        for share in shares:
            share.result()  # an error of a file is raised here
        return x if self.labels is None else (x, self.labels[self._rows(index)])

    def _rows(self, index):
        return self._order[index * self.batch_size : (index + 1) * self.batch_size]

    def _read_ahead(self, index):
        """Have this batch and the next ones read; what was read and not asked for is dropped."""
        self._pool = self._pool or ThreadPoolExecutor(_THREADS)
        wanted = range(index, min(index + _AHEAD, self.num_batches))
        coming = {one: self._coming.get(one) for one in wanted}
        self._coming = {one: there or self._start(one) for one, there in coming.items()}

    def _start(self, index):
        """The array of a batch, and the shares of it that the threads fill."""
        files = [self.files[row] for row in self._rows(index)]
        x = np.empty((len(files), self.reading.size, self.reading.size, 3), "uint8")
        shares = min(_THREADS, len(files))
        return x, [self._pool.submit(self._fill, x, files, k, shares) for k in range(shares)]

    def _fill(self, x, files, first, step):
        for place in range(first, len(files), step):
            x[place] = read_pixels(self.reading, files[place])


class ShuffledImages(ImageBatches):
    """The same to train on: each epoch has an order of its own, by a seed and its number.

    `fit` is to be called with shuffle=False, or nothing is read ahead.
    """

    def __init__(self, files, labels, reading, batch_size, seed):
        super().__init__(files, labels, reading, batch_size)
        self.seed, self._begun = seed, False
        self.epoch = 0

    @property
    def epoch(self):
        """The epoch whose order the batches have; to be set before one begins."""
        return self._epoch

    @epoch.setter
    def epoch(self, value):
        self._epoch, self._coming = int(value), {}
        self._order = np.random.default_rng([self.seed, self._epoch]).permutation(len(self.files))

    def on_epoch_begin(self):
        """Called by Keras where an epoch begins."""
        self._begun = True

    def on_epoch_end(self):
        """Called by Keras where an epoch ends, and before the first."""
        self.epoch += self._begun
        self._begun = False
