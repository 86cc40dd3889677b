"""The losses of single batches, out of the means that Keras logs, as a curve of bounded size."""

import math

from keras_dcnn.callbacks._logs import BatchSums
from keras_dcnn.callbacks._merged_curve import MergedCurve


class BatchLosses:
    """Notes the mean that is logged after each batch; takes the batches' own losses when asked.

    A note needs no wait for the device, and may come from any thread, in any order.
    """

    def __init__(self, max_points):
        self._curve, self._step = MergedCurve(max_points), 0
        self._means = {}  # of batches that have ended, by their number
        self._steps = math.inf

    def begin_epoch(self, steps):
        """Say how many batches the epoch has, or None."""
        self._steps = steps or math.inf

    def note(self, batch, logs):
        self._means[batch] = (logs or {}).get("loss", math.nan)

    def take(self):
        """Add what was noted to the curve; a list of (step, batch, loss), both counted from 1."""
        sums, taken = BatchSums(), []
        for batch, mean in sorted(self._means.items()):
            batch = min(batch, self._steps - 1)  # an execution may reach past the last
            total, count = sums.step(batch, mean)
            self._step += count
            self._curve.add(self._step, total / count, count)
            taken.append((self._step, batch + 1, total / count))
        self._means = {}
        return taken

    def points(self):
        return self._curve.points()

    def get_state(self):
        return {"curve": self._curve.get_state(), "step": self._step}

    def set_state(self, state):
        self._curve.set_state(state["curve"])
        self._step, self._means = state["step"], {}
