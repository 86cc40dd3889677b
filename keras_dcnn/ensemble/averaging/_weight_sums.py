"""Weights of a model: float64 sums of many, and what puts back a model's own."""

import contextlib
import math
import tempfile

import keras
import ml_dtypes  # noqa: F401, by which NumPy knows bfloat16
import numpy as np

from keras_dcnn._keras.graph import all_layers
from keras_dcnn.ensemble.averaging._weight_files import float_weights


def narrowed(values, variable):
    """float64 values in the dtype of a variable, where they must be finite too."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    with np.errstate(over="ignore"):
        values = values.astype(np.dtype(dtype))
    if not np.isfinite(values).all():
        raise ValueError(
            f"the weights must fit into the model's {dtype}; those of `{variable.path}` are too "
            "large: give the model a wider dtype."
        )
    return values


def arrays(variables, checkpoint):
    """Yield the values of a checkpoint, each in the dtype of its variable."""
    for variable, parts in zip(variables, checkpoint.read(), strict=True):
        yield joined(variable, parts)


def joined(variable, parts):
    """The parts of a variable's value as one array, in its dtype."""
    value = np.empty(variable.shape, keras.backend.standardize_dtype(variable.dtype))
    for where, part in parts:
        value[where] = narrowed(part, variable)
    return value


class WeightSums:
    """Weighted sums in float64, of which the means are taken."""

    def __init__(self, variables):
        self._variables = variables
        self._sums = [np.zeros(variable.shape) for variable in variables]
        self._total = 0.0

    def add(self, checkpoint, weight=1.0):
        """Count a checkpoint in."""
        self._total += weight
        for total, parts in zip(self._sums, checkpoint.read(), strict=True):
            for where, values in parts:
                total[where] += weight * values

    def means_with(self, checkpoint):
        """Yield the means as they would be with one more, which is not counted in."""
        read = zip(self._variables, self._sums, checkpoint.read(), strict=True)
        for variable, total, parts in read:
            number = self._total + 1
            means = ((at, (total[at] + values) / number) for at, values in parts)
            yield joined(variable, means)

    def means(self):
        """Yield the means, each of which takes the place of its sum, to save memory."""
        for i, variable in enumerate(self._variables):
            yield self._take_mean(i, variable)

    def _take_mean(self, i, variable):
        total, self._sums[i] = self._sums[i], None
        return narrowed(np.divide(total, self._total, out=total), variable)


class ModelWeights:
    """The weights of a model that are averaged."""

    def __init__(self, model):
        self.variables = float_weights(model)
        self._model = model
        self._normalizations = [
            layer
            for layer in all_layers(model)
            if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None
        ]

    def set(self, values):
        """Give the variables values, one after the other."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        self._settle()

    @contextlib.contextmanager
    def put_back_on_error(self):
        """Put back what was there when the block fails."""
        with _OnDisk(self.variables) as former:
            try:
                yield
            except BaseException:
                self.set(former.read())
                raise

    def _settle(self):
        """Keras's Normalization computes with constants that it makes of its weights."""
        for layer in self._normalizations:
            layer.finalize_state()
        if self._normalizations:  # and they are constants of what is compiled
            model = self._model
            model.train_function = model.test_function = model.predict_function = None


class _OnDisk:
    """Values of variables in a temporary file, so that memory has room for the sums."""

    def __init__(self, variables):
        self._variables = variables

    def __enter__(self):
        self._file = tempfile.TemporaryFile()
        try:
            for variable in self._variables:
                self._file.write(keras.ops.convert_to_numpy(variable).tobytes())
            self._file.flush()  # a full disk is found now
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *error):
        self._file.close()

    def read(self):
        """Yield them one by one."""
        self._file.seek(0)
        for variable in self._variables:
            dtype = np.dtype(keras.backend.standardize_dtype(variable.dtype))
            size = dtype.itemsize * math.prod(variable.shape)
            yield np.frombuffer(self._file.read(size), dtype).reshape(variable.shape)
