"""Averages of the weights that a model is given in turn, and BatchNorm's statistics of them."""

import contextlib
import tempfile

import keras
import ml_dtypes  # noqa: F401, by which NumPy knows bfloat16
import numpy as np

from keras_dcnn._checks import check_choice, warn_no_effect
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._progress import with_progress
from keras_dcnn._reading.ends import check_ends, check_readable_again
from keras_dcnn._state.snapshot import put_back, snapshot, variables_kept
from keras_dcnn._structure.batch_norm import batch_norm_statistics
from keras_dcnn.ensemble.averaging.averaging_trace import AveragingTrace, Trial
from keras_dcnn.ensemble.averaging.recalibrate_batch_norm import measure_statistics


def float_weights(model):
    """The weights that are averaged: not seeds, counts and other whole numbers."""
    return [w for w in model.weights if _is_averaged(w)]


def _is_averaged(weight):
    dtype = keras.backend.standardize_dtype(weight.dtype)
    return keras.backend.is_float_dtype(dtype) or "complex" in dtype


def _wide(weight):
    return "complex128" if "complex" in str(weight.dtype) else "float64"


def other_variables(model):
    """All that a model holds beside them, which stays its own."""
    averaged = {id(weight) for weight in float_weights(model)}
    return [v for v in state_variables(model) if id(v) not in averaged]


class WeightSums:
    """Weighted sums, in float64, of the weights that a model is given in turn."""

    def __init__(self, model):
        self._model, self._weights = model, float_weights(model)
        self._sums = [np.zeros(weight.shape, _wide(weight)) for weight in self._weights]
        self._total = 0.0

    def add(self, share=1.0):
        """Count in the weights that the model has."""
        self._total += share
        for total, weight in zip(self._sums, self._weights, strict=True):
            total += np.multiply(keras.ops.convert_to_numpy(weight), share, dtype=_wide(weight))

    def set_means(self, share=0.0):
        """Give the model the means; with a share, as they would be with what it has, too."""
        for total, weight in zip(self._sums, self._weights, strict=True):
            value = keras.ops.convert_to_numpy(weight)
            now = total + np.multiply(value, share, dtype=_wide(weight)) if share else total
            dtype = keras.backend.standardize_dtype(weight.dtype)
            weight.assign((now / (self._total + share)).astype(dtype))
        settle(self._model)


def load(model, checkpoint):
    """Give the model the weights of a checkpoint, which must be finite."""
    with variables_kept(other_variables(model)), np.errstate(over="ignore"):
        checkpoint.give()
    for weight in float_weights(model):
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            dtype = keras.backend.standardize_dtype(weight.dtype)
            raise ValueError(
                f"the weights must be finite; `{weight.path}` of {checkpoint.name} holds NaN or "
                f"infinity in the model's {dtype}: leave this one out, or give the model a wider "
                "dtype."
            )
    settle(model)


def evaluate(model, checkpoints, judge):
    """The logs of each checkpoint by itself; the model has the last one's weights then."""
    logs = []
    for checkpoint in with_progress(checkpoints, len(checkpoints), "Evaluating"):
        load(model, checkpoint)
        logs.append(judge())
    return logs


def settle(model):
    """Keras's Normalization computes with constants that it makes of its weights."""
    layers = [one for one in all_layers(model) if isinstance(one, keras.layers.Normalization)]
    layers = [layer for layer in layers if layer.input_mean is None]
    for layer in layers:
        layer.finalize_state()
    if layers:  # and they are constants of what is compiled
        model.train_function = model.test_function = model.predict_function = None


@contextlib.contextmanager
def put_back_on_error(model):
    """Put back all that a model holds, but for metrics and optimizer, when the block fails.

    From a temporary file, so that memory has room for the sums.
    """
    variables = state_variables(model)
    with tempfile.TemporaryFile() as file:
        for variable in variables:
            value = keras.ops.convert_to_numpy(variable)
            np.save(file, np.frombuffer(value.tobytes(), "uint8"))  # it does not know bfloat16
        file.flush()  # a full disk is found now
        try:
            yield
        except BaseException:
            file.seek(0)
            for variable in variables:
                dtype = keras.backend.standardize_dtype(variable.dtype)
                variable.assign(np.load(file).view(dtype).reshape(variable.shape))
            settle(model)
            raise


class BatchNormChoice:
    """BatchNorm's statistics of an average, by one of the ways to choose them."""

    def __init__(self, model, choice, data, data_argument, judge):
        check_choice("batch_norm", choice, ("average", "recompute", "keep", "best"))
        if choice in ("recompute", "best") and data is None:
            raise ValueError(
                f"batch_norm={choice!r} needs `{data_argument}` to measure on; got None: pass the "
                "inputs of the training."
            )
        check_readable_again(f"`{data_argument}`", data)
        check_ends(f"`{data_argument}`", data)
        if choice == "best" and judge is None:
            raise ValueError(
                "batch_norm='best' needs `validation_data` to choose by; got None: pass some, or "
                "use 'average'."
            )
        self.variables = batch_norm_statistics(model)
        if choice != "average" and not self.variables:
            warn_no_effect(f"batch_norm={choice!r}", "a model that has no BatchNorm")
            choice = "average"
        every = ("average", "recompute", "keep")
        self._kinds = every if choice == "best" else (choice,)
        self._model, self._data, self._judge = model, data, judge

    def choose(self, last):
        """Set them beside an average, of which `last` are those of the last; (kind, logs by kind).

        The logs are None where nobody judges.
        """
        averaged, values, logs = snapshot(self.variables), {}, {}
        for kind in self._kinds:
            put_back(self.variables, last if kind == "keep" else averaged)
            if kind == "recompute":
                measure_statistics(self._model, self._data)
            values[kind] = snapshot(self.variables)
            logs[kind] = self._judge() if self._judge else None
        chosen = min(logs, key=lambda k: self._judge.cost(logs[k])) if len(logs) > 1 else kind
        put_back(self.variables, values[chosen])
        return chosen, logs

    def trace(self, tried, chosen, logs):
        """What was tried, each as (name, logs, logs of the soup with it, stayed), and chosen."""
        monitor = self._judge.monitor if self._judge else "loss"

        def score(logs):
            return None if logs is None else logs[monitor]

        return AveragingTrace(
            monitor=monitor,
            tried=tuple(Trial(name, score(own), score(soup), s) for name, own, soup, s in tried),
            batch_norm={k: score(v) for k, v in logs.items()} if self.variables else {},
            chosen=chosen if self.variables else None,
            score=score(logs[chosen]),
        )
