"""Reads the losses of a learning-rate range test: pure functions of NumPy arrays.

The rates rise evenly in their logarithm, so that places on the curve stand for it.
"""

from typing import NamedTuple

import numpy as np

DIVERGES_AT = 4  # times the best loss, as fastai's lr_find has it
CLEAR = 5  # deviations of the noise; where the loss only fluctuates, 99 of 100 curves stay below
NEIGHBOURS = 2  # on each side, with which a loss is compared
FEWEST_AT_FIRST = 5  # losses that say from where it falls


class Fall(NamedTuple):
    """From the loss at first to the lowest one, smoothed, and the noise of that."""

    level: float
    lowest: int
    depth: float
    noise: float

    @property
    def is_clear(self):
        """Whether it is more than noise, and than the rounding of losses in float32."""
        rounding = np.finfo("float32").eps * abs(self.level)
        return self.depth > CLEAR * max(self.noise, rounding)

    @property
    def is_hidden(self):
        """Whether there may be one in the noise."""
        return self.noise > 0 and abs(self.depth) <= CLEAR * self.noise


def has_diverged(averages):
    """Whether the last loss is above 4 × the best; of negative ones, as far above it."""
    best = np.min(averages)
    return bool(averages[-1] - best > (DIVERGES_AT - 1) * abs(best))


def averages_so_far(losses, smoothing):
    """Exponential averages Σ_i β^(k−i) l_i / Σ_i β^(k−i) of the losses up to each, i ≤ k."""
    return _decaying_sums(losses, smoothing) / _decaying_sums(np.ones(len(losses)), smoothing)


def smooth(losses, smoothing):
    """Exponential averages to both sides, which do not lag: Σ_i γ^|k−i| l_i / Σ_i γ^|k−i|.

    γ = β / (2 − β), so that they are as wide as those of one side, 1/(1−β) losses. Single losses
    far from those around them are left out, and those of a divergence count as the highest before.
    """
    losses = without_outliers(losses)
    reached = np.argmin(averages_so_far(losses, smoothing)) + 1
    losses = np.minimum(losses, losses[: max(reached, _at_first(losses))].max())
    return _sums(losses, smoothing) / _sums(np.ones(len(losses)), smoothing)


def without_outliers(losses):
    """The losses; for one far outside the range of its neighbours, the median of these and it."""
    losses = np.array(losses, "float64")
    windows = np.sort(_windows(losses), axis=1)
    own = losses[NEIGHBOURS:-NEIGHBOURS]
    outside = np.maximum(own - windows[:, -2], windows[:, 1] - own)
    own[:] = np.where(outside > 3 * _usual_deviation(losses), windows[:, NEIGHBOURS], own)
    return losses


def fall_of(losses, smoothing):
    """The fall of the smoothed losses, and how far one would see them fall without any.

    The noise is the mean distance of a loss from the mean of its neighbours, as that of normal
    ones, before the lowest, and in their average.
    """
    losses, smoothed = without_outliers(losses), smooth(losses, smoothing)
    first = _at_first(losses)
    level = float(np.median(losses[:first]))
    lowest = first + int(np.argmin(smoothed[first:]))
    residuals = _residuals(losses)[: max(lowest - 2 * NEIGHBOURS, len(losses) // 2)]
    deviation = np.sqrt(np.pi / 2) * abs(residuals).mean()
    noise = deviation * _spread_of_average(len(losses), lowest, smoothing)
    return Fall(level, lowest, level - smoothed[lowest], noise)


def descent_of(losses, smoothed, fall):
    """First and last place of the stretch in which the smoothed loss goes down.

    From where it is at last a quarter of the fall, and beyond the noise, below the first ones, and
    after single losses as high as those, to where nine tenths are reached.
    """
    bottom = smoothed[fall.lowest] + max(fall.depth / 10, fall.noise)
    begin = _at_first(smoothed)
    last = begin + int(np.argmax(smoothed[begin:] <= bottom))
    top = fall.level - max(fall.depth / 4, 3 * fall.noise)
    losses = without_outliers(losses)
    top_of_one = fall.level - fall.depth / 10 + 2 * _usual_deviation(losses)
    is_high = (smoothed > top) | (losses > top_of_one)
    before = np.flatnonzero(is_high[: last + 1])
    return min(int(before[-1]) + 1 if len(before) else 0, last), last


def steepest_place(smoothed, descent):
    """Where in a descent the smoothed loss falls most, over a quarter of it to each side."""
    first, last = descent
    reach = max(1, round((last - first) / 4))
    places = np.arange(first, last + 1)
    before, after = np.maximum(places - reach, 0), np.minimum(places + reach, len(smoothed) - 1)
    slopes = (smoothed[after] - smoothed[before]) / (after - before)
    return first + int(np.argmin(slopes))


def valley_place(smoothed, descent):
    """The middle of a descent, or the steepest place where that comes before."""
    first, last = descent
    return min(first + round((last - first) / 2), steepest_place(smoothed, descent))


def _decaying_sums(values, decay):
    sums, total = [], 0.0
    for value in values:
        total = decay * total + value
        sums.append(total)
    return np.array(sums)


def _sums(values, smoothing):
    """Sums that decay to both sides."""
    decay = smoothing / (2 - smoothing)
    forth, back = _decaying_sums(values, decay), _decaying_sums(values[::-1], decay)[::-1]
    return forth + back - values


def _spread_of_average(count, place, smoothing):
    """The deviation of an average as part of that of a single loss."""
    weights = (smoothing / (2 - smoothing)) ** abs(np.arange(count, dtype="float64") - place)
    return np.sqrt((weights**2).sum()) / weights.sum()


def _at_first(losses):
    return max(FEWEST_AT_FIRST, len(losses) // 5)


def _windows(losses):
    """Each loss with its neighbours, but for the first and the last, which have fewer."""
    return np.lib.stride_tricks.sliding_window_view(losses, 2 * NEIGHBOURS + 1)


def _usual_deviation(losses):
    """That of a normal distribution, which the few losses on a steep descent do not change."""
    return 1.4826 * np.median(abs(_residuals(losses)))


def _residuals(losses):
    """Losses less the mean of their neighbours, of as much noise as the losses."""
    windows, neighbours = _windows(losses), 2 * NEIGHBOURS
    own = windows[:, NEIGHBOURS]
    return (own - (windows.sum(1) - own) / neighbours) / np.sqrt(1 + 1 / neighbours)
