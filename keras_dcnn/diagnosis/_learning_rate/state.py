"""Leaves a model and the random numbers as they were before a training."""

import contextlib

import keras

from keras_dcnn._keras.fitting import compile_arguments, forget_step, has_seen_a_batch
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import variables_kept


@contextlib.contextmanager
def left_as_it_was(model):
    """Within, a model whose optimizer is built may be trained; afterwards all values are as before.

    Also after an error. A model that had seen no batch is compiled anew, since its first `fit`
    reads one before the training, which moves a shuffle on.
    """
    variables = [*state_variables(model), *model.optimizer.variables, *model.metrics_variables]
    begun = has_seen_a_batch(model)
    with random_state_kept(), variables_kept(variables):
        try:
            yield
        finally:
            forget_step(model)
            model.reset_metrics()
            if not begun:
                keras.Model.compile(model, **compile_arguments(model))
