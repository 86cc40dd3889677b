"""Leaves a model, the random numbers and the data as they were before a training."""

import contextlib

import keras
import numpy as np

from keras_dcnn._keras import contents, gradients, state_variables
from keras_dcnn._random_state import get_random_state, set_random_state


@contextlib.contextmanager
def left_as_it_was(model):
    """Within, a model may be trained; afterwards all is as before, also after an error."""
    random_state = get_random_state()
    put_back_contents = contents(model)
    values = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in _variables(model)]
    grads = gradients(model)
    try:
        yield
    finally:
        put_back_contents()
        for variable, value in values:
            variable.assign(value)
        for weight, grad in grads.items():
            weight.grad = grad
        set_random_state(random_state)


def _variables(model):
    """All variables that a training step may change."""
    return [*state_variables(model), *model.optimizer.variables, *model.metrics_variables]
