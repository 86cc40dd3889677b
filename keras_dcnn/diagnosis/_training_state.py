"""Leaves a model, the random numbers and the data as they were before a training."""

import contextlib

from keras_dcnn._keras.fitting import contents
from keras_dcnn._keras.variables import gradients, state_variables
from keras_dcnn._state.random_state import get_random_state, set_random_state
from keras_dcnn._state.snapshot import put_back, snapshot


@contextlib.contextmanager
def left_as_it_was(model):
    """Within, a model may be trained; afterwards all is as before, also after an error."""
    random_state = get_random_state()
    put_back_contents = contents(model)
    variables = _variables(model)
    values = snapshot(variables)
    grads = gradients(model)
    try:
        yield
    finally:
        put_back_contents()
        put_back(variables, values)
        for weight, grad in grads.items():
            weight.grad = grad
        set_random_state(random_state)


def _variables(model):
    """All variables that a training step may change."""
    return [*state_variables(model), *model.optimizer.variables, *model.metrics_variables]
