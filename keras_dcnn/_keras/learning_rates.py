"""Learning rates that are set, also within an epoch."""

import weakref

import keras
import numpy as np

from keras_dcnn._keras.fitting import state_on_jax, sync


def set_rate(model, optimizer, rate):
    """Set a learning rate, also between two batches.

    There JAX's trainer holds them, and gives them to the step in one of four lists, so they are
    changed on the way; the public way, where its state is not found, makes JAX wait. The rate of an
    optimizer that the trainer does not know is its own.
    """
    in_step = state_on_jax(model)
    place = _place(model, optimizer.learning_rate) if in_step else None
    if place is not None:
        if not isinstance(model.train_function, _StepWithNewRates):
            model.train_function = _StepWithNewRates(model.train_function, model)
        model.train_function.set_rate(place, rate)
        return
    if not in_step:
        sync(model)
    optimizer.learning_rate = rate


def reads_rate(model, optimizer):
    """Whether a compiled step of the model sees a rate that is set; JAX's only if it is given it.

    Else it has the value that the rate had when it was traced.
    """
    is_traced = keras.backend.backend() == "jax" and model.jit_compile and not model.run_eagerly
    return not is_traced or _place(model, optimizer.learning_rate) is not None


def _place(model, variable):
    """Which of the lists that JAX's trainer gives the step a variable is in, and where, or None."""
    lists = {
        2: lambda: getattr(model.optimizer, "variables", []),
        1: lambda: model.non_trainable_variables,
        0: lambda: model.trainable_variables,
    }
    places = ((i, j) for i, get in lists.items() for j, v in enumerate(get()) if v is variable)
    return next(places, None)


class _StepWithNewRates:
    """JAX's training step, which first puts learning rates into the state that it is given."""

    def __init__(self, step, model):
        self._step = step
        self._model = weakref.ref(model)
        self._fit, self._rates = None, {}

    def set_rate(self, place, rate):
        if self._fit is not self._model().history:  # a `fit` was interrupted before its step
            self._fit, self._rates = self._model().history, {}
        self._rates[place] = rate

    def __call__(self, state, iterator):
        rates, self._rates = self._rates, {}
        if rates and self._fit is self._model().history:
            state = self._with_rates(state, rates)
        return self._step(state, iterator)

    def _with_rates(self, state, rates):
        import jax

        lists = [list(values) for values in state]
        for (which, place), rate in rates.items():
            old = lists[which][place]
            lists[which][place] = jax.device_put(np.asarray(rate, old.dtype), old.sharding)
        return tuple(lists)
