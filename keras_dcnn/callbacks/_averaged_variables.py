"""The variables of a model that are averaged."""

import itertools

import keras

from keras_dcnn._keras.fitting import live_values
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._structure.batch_norm import batch_norm_statistics


class AveragedVariables:
    """All of a model's weights that are floats, BatchNorm's statistics among them.

    A model that `fit` builds has them only then.
    """

    def __init__(self, model):
        self._model = model
        self._state = state_variables(model)
        self._is_float = [keras.backend.is_float_dtype(one.dtype) for one in self._state]
        self.all = list(itertools.compress(self._state, self._is_float))
        self.statistics = batch_norm_statistics(model)

    def values_now(self):
        """Tensors, also between two batches."""
        return list(itertools.compress(live_values(self._model, self._state), self._is_float))

    def within_constraints(self, values):
        """The values as the constraints make them that Keras keeps the weights in."""
        for variable, value in zip(self.all, values, strict=True):
            constraint = variable.trainable and getattr(variable, "constraint", None)
            yield constraint(value) if constraint else value

    def assign(self, values):
        for variable, value in zip(self.all, values, strict=True):
            variable.assign(keras.ops.cast(value, variable.dtype))
