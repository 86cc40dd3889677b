"""What callbacks read from the logs of Keras."""

import math
import warnings

import numpy as np

from keras_dcnn._checks import check_choice
from keras_dcnn._keras.fitting import infer_mode, variables_of_fit


def number_in(logs, name):
    """The value of a quantity of the logs as a float; NaN where it is missing."""
    value = logs.get(name, math.nan)
    if np.size(value) != 1:
        raise ValueError(
            f"a quantity that is monitored must be one number; '{name}' has the shape "
            f"{np.shape(value)}: monitor another, or have the metric average."
        )
    return float(np.reshape(value, ()))


class Monitor:
    """Reads one quantity of the logs and knows which direction is better."""

    def __init__(self, owner, name, mode, of_batches=False):
        check_choice("mode", mode, ("auto", "min", "max"))
        if not isinstance(name, str):
            raise ValueError(
                "`monitor` must be the name of a quantity of the logs, such as 'val_loss'; got "
                f"{name!r}."
            )
        if of_batches and name.startswith("val_"):
            raise ValueError(
                "`monitor` must be in the logs of batches, such as 'loss', when `every` is a "
                f"number of batches; got '{name}', which is of epochs."
            )
        self.owner = owner
        self.name = name
        self.mode = mode
        self._warned = False

    def read(self, model, logs):
        """The value as a float; None when it is NaN or missing.

        Warns, once, where it is missing, but not of an epoch that others are validated in.
        """
        if self.name not in logs:
            self._warn_if_missing(model, logs)
            return None
        if self.mode == "auto":
            self.mode = infer_mode(model, self.name)
        value = number_in(logs, self.name)
        return None if math.isnan(value) else value

    def _warn_if_missing(self, model, logs):
        of_validation = self.name.startswith("val_")
        not_validated = of_validation and not any(name.startswith("val_") for name in logs)
        data = variables_of_fit(model).get("validation_data") if not_validated else None
        if self._warned or data is not None:
            return
        advice = "correct `monitor`, or put the callback that logs it before this one"
        if not_validated:
            advice = "pass `validation_data` to fit, or correct `monitor`"
        warnings.warn(
            f"{self.owner} monitors '{self.name}', which is not among the logs "
            f"({', '.join(sorted(logs)) or 'none'}), so it does nothing here: {advice}.",
            stacklevel=2,
        )
        self._warned = True

    def cost(self, value):
        """The value with the sign that makes lower better."""
        return -value if self.mode == "max" else value


class BatchSums:
    """The sums over batches in an epoch, from the means since it began: cₜmₜ − cₛmₛ.

    Batches count equally. The logs are float32, so the value of batch t is right to t·6·10⁻⁸ of
    the mean.
    """

    def __init__(self):
        self._count, self._sum = 0, 0.0

    def step(self, batch, mean):
        """The sum over the batches since the last step, and their number."""
        count, total = batch + 1, mean * (batch + 1)
        value, number = total - self._sum, count - self._count
        self._count, self._sum = count, total
        return value, number


class BlockMeans:
    """The means over blocks of at least `size` batches, also across the ends of epochs."""

    def __init__(self, size):
        self._size = size
        self._sum, self._count = 0.0, 0

    def begin_epoch(self):
        self._sums = BatchSums()

    def step(self, batch, mean):
        """The mean over the block that this batch fills, or None."""
        total, count = self._sums.step(batch, mean)
        self._sum, self._count = self._sum + total, self._count + count
        if self._count < self._size:
            return None
        mean, self._sum, self._count = self._sum / self._count, 0.0, 0
        return mean

    @property
    def state(self):
        return [self._sum if math.isfinite(self._sum) else None, self._count]

    @state.setter
    def state(self, state):
        total, self._count = state
        self._sum = math.nan if total is None else total
