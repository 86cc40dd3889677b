"""Judge: scores of a model on held-out data."""

import contextlib
import math

from keras_dcnn._keras.fitting import infer_mode
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._progress import with_progress
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn.ensemble.averaging._weight_files import float_weights
from keras_dcnn.ensemble.averaging._weight_sums import arrays


def check_readable_again(argument, data):
    """Raise ValueError for data that end after one pass, or never."""
    if hasattr(data, "__next__"):
        raise ValueError(f"`{argument}` must be readable again and again; got a generator.")
    cardinality = getattr(data, "cardinality", None)
    if cardinality is not None and int(cardinality()) == -1:
        raise ValueError(f"`{argument}` must end; got an infinite dataset: drop its `.repeat()`.")


class Judge:
    """Evaluates a model on held-out data, and leaves alone all of it but the metrics."""

    def __init__(self, argument, model, data, monitor="loss"):
        data = tuple(data) if isinstance(data, list) else data
        batches = hasattr(data, "num_batches") or hasattr(data, "__iter__")
        pair = isinstance(data, tuple) and len(data) in (2, 3)
        if not pair and (isinstance(data, (tuple, dict, str)) or hasattr(data, "dtype")):
            batches = False
        if not pair and not batches:
            raise TypeError(
                f"`{argument}` must be (x, y), (x, y, sample_weight) or a dataset of such batches; "
                f"got {type(data).__name__}."
            )
        check_readable_again(argument, data)
        if not model.compiled:
            raise ValueError(
                f"`{argument}` needs a compiled model, whose loss and metrics are measured; "
                f"`{model.name}` is not: call `compile`."
            )
        names = ("x", "y", "sample_weight")
        self._arguments = dict(zip(names, data if pair else (data,), strict=False))
        self._model = model
        self.monitor = monitor
        averaged = {id(w) for w in float_weights(model)}
        self._others = [v for v in state_variables(model) if id(v) not in averaged]

    def __call__(self):
        """Loss and metrics by name."""
        before = snapshot(self._others)
        try:
            with random_state_kept():
                logs = self._model.evaluate(**self._arguments, verbose=0, return_dict=True)
        finally:
            put_back(self._others, before)
        if self.monitor not in logs:
            raise ValueError(
                f"`monitor` must be one of {', '.join(sorted(logs))}; got {self.monitor!r}."
            )
        return {name: float(value) for name, value in logs.items()}

    def cost(self, logs):
        """A number that is lower for what is better, and infinite for NaN."""
        value = logs[self.monitor]
        if math.isnan(value):
            return math.inf
        return -value if infer_mode(self._model, self.monitor) == "max" else value

    def each(self, weights, checkpoints):
        """The logs of each checkpoint by itself; the model has the last one's weights then."""
        return [self._one(weights, one) for one in progress(checkpoints, "Evaluating")]

    def _one(self, weights, checkpoint):
        weights.set(arrays(weights.variables, checkpoint))
        return self()


def progress(checkpoints, description):
    """Yield the checkpoints, with a bar where they take long."""
    with contextlib.closing(with_progress(checkpoints, len(checkpoints), description)) as shown:
        yield from shown
