"""A curve of bounded size: when it is full, neighbours are merged in pairs."""

import itertools

import numpy as np


def merge(row, later):
    """Two neighbours (step, sum, count, low, high) as one; the last of an odd number has none."""
    if later is None:
        return row
    low, high = np.fmin(row[3], later[3]), np.fmax(row[4], later[4])
    return (later[0], row[1] + later[1], row[2] + later[2], low, high)


class MergedCurve:
    """Point k stands for the values k·block … (k + 1)·block − 1.

    `block` is the least power of two for which there are at most `max_points`.
    """

    def __init__(self, max_points):
        self._max_points = max_points
        self._rows, self._added, self._block = [], 0, 1

    def add(self, step, value, count):
        """Add the mean of `count` batches, the last of which is `step`."""
        while self._added // self._block >= self._max_points:
            pairs = itertools.zip_longest(self._rows[::2], self._rows[1::2])
            self._rows = list(itertools.starmap(merge, pairs))
            self._block *= 2
        row = (step, value * count, count, value, value)
        if self._added % self._block:
            row = merge(self._rows.pop(), row)
        self._rows.append(row)
        self._added += 1

    def points(self):
        """A dict of arrays: the last step, the mean, the least and the greatest of each point."""
        step, total, count, low, high = self._array().T
        return {"step": step.astype("int64"), "loss": total / count, "low": low, "high": high}

    def get_state(self):
        return {"rows": self._array(), "added": self._added, "block": self._block}

    def set_state(self, state):
        self._rows = [tuple(row) for row in state["rows"].tolist()]
        self._added, self._block = state["added"], state["block"]

    def _array(self):
        return np.array(self._rows, "float64").reshape(-1, 5)
