"""Looks at a model by `examine` while it is trained, as often as their cost allows."""

import time

from keras_dcnn._reading.ends import check_readable_again
from keras_dcnn._reading.rows import as_arrays, check_lengths, named
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn.callbacks._live_curves import unread
from keras_dcnn.diagnosis.examine import examine

_SHARE = 0.05  # of the training's time, that looks may take


class ModelLooks:
    """Looks after the first epoch and each `every`-th, or once the last is paid for."""

    def __init__(self, every):
        self._every = every
        self._cost, self._at = 0.0, None  # seconds that the last took, and when that was

    def is_due(self, epochs):
        """Whether to look after so many epochs."""
        if self._every:
            return epochs == 1 or epochs % self._every == 0
        return self._at is None or time.monotonic() - self._at >= self._cost / _SHARE

    def look(self, model, data, batch_size):
        """The findings; that the model can't be examined is one."""
        start = time.monotonic()
        try:
            with random_state_kept():
                found = examine(model, data, batch_size=batch_size)
        except Exception as error:  # whatever it is, the training goes on
            found = [unread("not_examined", "the model can't be examined", error)]
        self._at = time.monotonic()
        self._cost = self._at - start
        return found


def check_data(data):
    """Raise for data that `examine` could not read, or not more than once."""
    check_readable_again("`data`", data)
    if isinstance(data, tuple):
        check_lengths(named(as_arrays(one for one in data if one is not None)))
    elif isinstance(data, str) or not (hasattr(data, "num_batches") or hasattr(data, "__iter__")):
        raise TypeError(
            "`data` must be x or (x, y) of arrays, or batches of them, such as a tf.data set; got "
            f"{type(data).__name__}."
        )
