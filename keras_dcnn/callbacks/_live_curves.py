"""The curves of a training that goes on, and what `diagnose` is let say of them by then."""

import contextlib

import numpy as np

from keras_dcnn.callbacks._batch_losses import BatchLosses
from keras_dcnn.diagnosis.diagnose import diagnose
from keras_dcnn.diagnosis.finding import Finding

AT_THE_END = ("too_short", "not_converged", "learning_rate_good")
_FEWEST = 5  # epochs, of fewer `diagnose` tells no trend
_WHILE_SHORT = ("not_finite", "negative_loss", "constant_loss", "no_validation")  # need none
_EACH = 50  # epochs up to which each is read; from then on a fiftieth of them lies in between
_POINTS = 2000  # of the curve of batches


class LiveCurves:
    """The numbers in the logs by epoch, from 1, and the losses of batches."""

    def __init__(self):
        self.batches = BatchLosses(_POINTS)
        self.epoch = 0  # the last, as Keras counts or, after other fits, beyond
        self.count = 0  # of epochs that were seen
        self._values = {}  # by name and epoch

    def begin_epoch(self, epoch):
        self.epoch, self.count = max(self.epoch, epoch) + 1, self.count + 1

    def note(self, logs):
        """Note the numbers of the epoch, also once more when there are more of them."""
        for name, value in logs.items():
            with contextlib.suppress(TypeError, ValueError, RuntimeError):  # no single number
                self._values.setdefault(name, {})[self.epoch] = float(np.reshape(value, ()))

    def is_to_read(self):
        """Whether they are read after this epoch: less than 240 times in the first 1,000."""
        return self.count % max(self.count // _EACH, 1) == 0

    def read(self, validates, at_the_end, **known):
        """The findings of now; that the curves can't be read is one.

        `validates` is whether `fit` does, or None where nobody knows.
        """
        epochs = range(1, self.epoch + 1)
        history = {name: [one.get(i) for i in epochs] for name, one in self._values.items()}
        batches = self.batches if len(self.batches.points()["loss"]) else None
        try:
            found = diagnose(history, batch_losses=batches, **known)
        except Exception as error:  # whatever it is, the training goes on
            return [unread("not_read", "the curves can't be read", error)]
        return [
            one
            for one in found
            if (validates is False or one.rule != "no_validation")
            and (at_the_end or self._is_for_now(one.rule))
        ]

    def _is_for_now(self, rule):
        return rule not in AT_THE_END and (self.count >= _FEWEST or rule in _WHILE_SHORT)

    def get_state(self):
        values = {
            name: [np.array(list(one)), np.array(list(one.values()), "float64")]
            for name, one in self._values.items()
        }
        own = {"values": values, "epoch": self.epoch, "count": self.count}
        return own | {"batches": self.batches.get_state()}

    def set_state(self, state):
        self._values = {
            name: dict(zip(*(one.tolist() for one in arrays), strict=True))
            for name, arrays in state["values"].items()
        }
        self.epoch, self.count = state["epoch"], state["count"]
        self.batches.set_state(state["batches"])


def unread(rule, message, error):
    """A reading that could not be had, as a finding."""
    sentence = str(error).partition("\n")[0].rstrip(". ") or "no reason was given"
    return Finding(rule, f"{message} ({type(error).__name__})", sentence, severity="info")
