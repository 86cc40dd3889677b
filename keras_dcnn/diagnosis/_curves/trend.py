"""Robust statistics of a curve: medians, Theil and Sen's slope, Mann and Kendall's test."""

import math
from functools import cached_property

import numpy as np

from keras_dcnn.diagnosis._curves.limits import BLOCKS, JUMP, MOST, TAIL

_NORMAL = 1.4826  # the deviation of a normal distribution, as so many median distances


def block_means(values, size):
    """Means of blocks of `size` values; what is left over at the end goes with the last block."""
    whole = max(len(values) // size, 1)
    first = np.arange(whole) * size
    return np.add.reduceat(values, first) / np.diff(first, append=len(values))


def shortened(values):
    """The values, or the means of at most `BLOCKS` blocks of as many."""
    return block_means(values, -(-len(values) // BLOCKS)) if len(values) > BLOCKS else values


def slope_of(values):
    """Theil and Sen's slope: the median of those of all pairs; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    i, j = np.triu_indices(len(values), 1)
    return float(np.median((values[j] - values[i]) / (j - i)))


def trend_score(values):
    """Mann and Kendall's z: above 2, or below −2, hardly any series without a trend is."""
    n = len(values)
    if n < 3:
        return 0.0
    i, j = np.triu_indices(n, 1)
    return float(np.sign(values[j] - values[i]).sum() / math.sqrt(n * (n - 1) * (2 * n + 5) / 18))


def noise_of(values):
    """The deviation of values from the mean of both neighbours, by the median of the distances."""
    if len(values) < 3:
        return 0.0
    distances = values[1:-1] - (values[:-2] + values[2:]) / 2
    return float(_NORMAL * np.median(abs(distances)) / math.sqrt(1.5))


def smoothed(values):
    """Medians of three neighbours; the two ends stay."""
    if len(values) < 3:
        return values
    left, own, right = values[:-2], values[1:-1], values[2:]
    medians = np.maximum(np.minimum(left, own), np.minimum(np.maximum(left, own), right))
    return np.concatenate([values[:1], medians, values[-1:]])


def tail_of(values):
    """The last third, and at least three values."""
    return values[-max(3, math.ceil(TAIL * len(values))) :]


class Trend:
    """What a loss does from its first epoch to its last.

    `last` is the median of the last third; `lowest` the least of medians of three. Of more than
    200 values the means of blocks stand for these.
    """

    def __init__(self, values):
        self.values = shortened(values)
        self.first = float(self.values[0])
        self.tail = tail_of(self.values)
        self.last = float(np.median(self.tail))
        self.lowest = float(smoothed(self.values).min())
        self.fall = self.first - self.lowest
        self.noise = noise_of(self.values)

    @property
    def progress(self):
        """Which part of the first loss has gone: 1 − last / first."""
        return 1 - self.last / self.first if self.first > 0 else 0.0

    @cached_property
    def jumps(self):
        """The share of the values that jump up by a tenth of the one before, or of a tenth of the
        first where this is more: losses near 0 always jump."""
        before = np.maximum(abs(self.values[:-1]), abs(self.first) / 10)
        return float(np.mean(np.diff(self.values) > JUMP * before))

    @property
    def lost(self):
        """Which part of the fall was lost again by the end."""
        return (self.last - self.lowest) / self.fall if self.fall > 0 else 0.0

    @cached_property
    def fallen(self):
        """The share of the epochs after which nine tenths of the fall to `last` were reached."""
        goal = self.first - MOST * (self.first - self.last)
        return float(np.argmax(smoothed(self.values) <= goal) / len(self.values))

    @cached_property
    def score(self):
        """Mann and Kendall's z of the whole; negative where it falls."""
        return trend_score(self.values)

    @cached_property
    def tail_score(self):
        """The same of the last third."""
        return trend_score(self.tail)

    @cached_property
    def tail_fall(self):
        """How far the loss falls over the last third, by its slope."""
        return -slope_of(self.tail) * (len(self.tail) - 1)

    @cached_property
    def straightness(self):
        """The slope of the second half over that of the first: 1 of a straight line."""
        half = (len(self.values) + 1) // 2
        first, second = slope_of(self.values[:half]), slope_of(self.values[-half:])
        return second / first if first < 0 else 0.0
