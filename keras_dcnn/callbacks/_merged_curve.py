"""A curve of bounded size: when it is full, neighbours are merged in pairs."""

import numpy as np

_COLUMNS = ("step", "sum", "count", "low", "high")


def merge_pairs(rows):
    """Rows of two neighbours each as one; the last of an odd number stays as it is."""
    first, second = rows[::2], rows[1::2]
    merged = first.copy()
    n = len(second)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        merged[:n, 1:3] += second[:, 1:3]
    merged[:n, 0] = second[:, 0]
    merged[:n, 3] = np.fmin(first[:n, 3], second[:, 3])
    merged[:n, 4] = np.fmax(first[:n, 4], second[:, 4])
    return merged


class MergedCurve:
    """Point k stands for the values k·block … (k + 1)·block − 1.

    `block` is the least power of two for which there are at most `max_points`.
    """

    def __init__(self, max_points):
        self._max_points = max_points
        self._rows = np.empty((0, len(_COLUMNS)))
        self._added, self._block = 0, 1

    def add(self, step, value, count):
        """Add the mean of `count` batches, the last of which is `step`."""
        while self._added // self._block >= self._max_points:
            self._rows[: self._length // 2 + self._length % 2] = merge_pairs(self._held())
            self._block *= 2
        place = self._added // self._block
        if place == len(self._rows):
            self._grow()
        row = np.array([step, value * count, count, value, value])
        if self._added % self._block:
            row = merge_pairs(np.stack([self._rows[place], row]))
        self._rows[place] = row
        self._added += 1

    def points(self):
        """A dict of arrays: the last step, the mean, the least and the greatest of each point."""
        step, total, count, low, high = self._held().T
        return {"step": step.astype("int64"), "loss": total / count, "low": low, "high": high}

    def get_state(self):
        return {"rows": self._held().copy(), "added": self._added, "block": self._block}

    def set_state(self, state):
        self._rows = np.array(state["rows"], "float64").reshape(-1, len(_COLUMNS))
        self._added, self._block = state["added"], state["block"]

    @property
    def _length(self):
        return -(-self._added // self._block)

    def _held(self):
        return self._rows[: self._length]

    def _grow(self):
        more = np.empty((max(64, len(self._rows)), len(_COLUMNS)))
        self._rows = np.concatenate([self._rows, more])
