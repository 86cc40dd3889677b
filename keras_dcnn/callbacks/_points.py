"""A curve in bounded memory."""

import numpy as np


class Points:
    """Values in order, at most `limit` points; a point is the mean, least and greatest of a block.

    When they are full, neighbours become one and blocks twice as long.
    """

    def __init__(self, limit):
        self._limit = limit - limit % 2
        self.step = 0
        self._block = 1
        self._rows = []  # step, mean, low, high
        self._open = []

    def add(self, value, count=1):
        """Add a value that stands for `count` steps."""
        self.step += count
        self._open.append(value)
        if len(self._open) < self._block:
            return
        self._rows.append(self._closed())
        self._open = []
        if len(self._rows) == self._limit:
            self._rows = [_merged(a, b) for a, b in zip(self._rows[::2], self._rows[1::2])]
            self._block *= 2

    def _closed(self):
        values = np.array(self._open)
        return [self.step, values.mean(), np.fmin.reduce(values), np.fmax.reduce(values)]

    def arrays(self):
        """The points, the unfinished block as the last."""
        rows = self._rows + ([self._closed()] if self._open else [])
        step, loss, low, high = np.array(rows, "float64").reshape(-1, 4).T
        return {"step": step.astype("int64"), "loss": loss, "low": low, "high": high}

    def get_state(self):
        return {
            "step": self.step,
            "block": self._block,
            "rows": np.array(self._rows, "float64").reshape(-1, 4),
            "open": np.array(self._open, "float64"),
        }

    def set_state(self, state):
        self.step, self._block = state["step"], state["block"]
        self._rows, self._open = state["rows"].tolist(), state["open"].tolist()


def _merged(first, second):
    low, high = np.fmin(first[2], second[2]), np.fmax(first[3], second[3])
    return [second[0], (first[1] + second[1]) / 2, low, high]
