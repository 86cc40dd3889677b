"""Scores of a model on held-out data, and how much worse is a loss barrier."""

import math

import numpy as np

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._reading.ends import check_ends, check_readable_again
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import variables_kept
from keras_dcnn.ensemble.averaging._averaging import other_variables
from keras_dcnn.ensemble.combining._models import sign_of_cost

RATIO, MARGIN = 0.25, 0.05


def behind_barrier(averaged, single):
    """Whether a loss is much worse than that of the weights it averages; NaN is.

    Averaged weights lie then in no basin of what they are made of.
    """
    return not averaged <= single + RATIO * abs(single) + MARGIN  # losses may be negative


class Judge:
    """Evaluates a model on held-out data, and leaves alone all of it but the metrics."""

    def __init__(self, argument, model, data, monitor="loss"):
        if isinstance(data, list):
            if data and all(isinstance(part, tuple) for part in data):
                raise TypeError(
                    f"`{argument}` must be what Keras's `evaluate` takes, and it takes no list of "
                    "batches: join them, or make a keras.utils.PyDataset or a tf.data.Dataset."
                )
            data = tuple(data)
        batches = hasattr(data, "num_batches") or hasattr(data, "__iter__")
        pair = isinstance(data, tuple) and len(data) in (2, 3)
        if not pair and (isinstance(data, (tuple, dict, str)) or hasattr(data, "dtype")):
            batches = False
        if not pair and not batches:
            raise TypeError(
                f"`{argument}` must be (x, y), (x, y, sample_weight) or a dataset of such batches; "
                f"got {type(data).__name__}{f' of {len(data)}' if isinstance(data, tuple) else ''}."
            )
        check_readable_again(f"`{argument}`", data)
        check_ends(f"`{argument}`", data)
        if not model.compiled:
            raise ValueError(
                f"`{argument}` needs a compiled model, whose loss and metrics are measured; "
                f"`{model.name}` is not: call `compile`."
            )
        if pair and data[1] is None and compile_arguments(model)["loss"]:
            raise TypeError(f"`{argument}` must have labels, for the loss; got (x, None).")
        names = ("x", "y", "sample_weight")
        self._arguments = dict(zip(names, data if pair else (data,), strict=False))
        self._model = model
        self.monitor = monitor

    def __call__(self):
        """Loss and metrics by name."""
        with variables_kept(other_variables(self._model)), random_state_kept():
            logs = self._model.evaluate(**self._arguments, verbose=0, return_dict=True)
        logs = {name: float(value) for name, value in logs.items() if np.ndim(value) == 0}
        if self.monitor not in logs:
            raise ValueError(
                f"`monitor` must be one of {', '.join(sorted(logs))}, which are one number each; "
                f"got {self.monitor!r}."
            )
        sign_of_cost(self._model, self.monitor)
        return logs

    def cost(self, logs):
        """A number that is lower for what is better, and infinite for NaN."""
        value = logs[self.monitor]
        if math.isnan(value):
            return math.inf
        return value * sign_of_cost(self._model, self.monitor)
