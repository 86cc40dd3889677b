"""Variables and the random numbers of Keras and TensorFlow."""

import contextlib
import copy
import random
import sys
import threading

import keras
import numpy as np
from keras.src.backend import AutocastScope
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.random.seed_generator import global_seed_generator
from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED

# What no image has; not NaN, so that tools that forbid NaN everywhere can be on.
UNMEASURED = float(np.finfo("float32").max)


class Statistic(keras.Variable):
    """A weight that starts as UNMEASURED, and knows also while traced whether it still is."""

    _measured = False

    @property
    def measured(self):
        return self._measured or self._is_measured()  # TensorFlow's checkpoints assign elsewhere

    def _direct_assign(self, value):
        super()._direct_assign(value)
        # Noted here, since JAX's trainer takes the values away before it traces.
        self._measured = self._is_measured()

    def _is_measured(self):
        if self._value is None:
            return False
        scope = contextlib.nullcontext()
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            scope = tf.init_scope()
        with scope:
            return bool((np.abs(keras.ops.convert_to_numpy(self._value)) < UNMEASURED).all())


def state_variables(model):
    """All variables of a model but its metrics' and its optimizer's."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def seed_variables(model):
    """The states of the random numbers in a model, which Keras leaves out of its weight files."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in state_variables(model) if id(variable) not in weights]


def own_trainable_weights(layer):
    """The trainable weights of a layer that are not those of a layer inside it."""
    return [weight for weight in layer._trainable_variables if weight.trainable]


def assign(variable, value):
    """Assign, also in a call of a layer of mixed precision, where PyTorch would lose the value."""
    with AutocastScope(None):
        variable.assign(value)


def global_seed():
    """Keras's count of random numbers for which no seed is given; None where it has none yet."""
    generator = global_state.get_global_attribute("global_seed_generator")
    return None if generator is None else np.array(keras.ops.convert_to_numpy(generator.state))


def set_global_seed(value):
    """Set what `global_seed` got."""
    if value is None:  # as `keras.utils.set_random_seed` leaves it
        global_state.set_global_attribute("global_seed_generator", None)
    else:
        global_seed_generator().state.assign(value)


def gradients(model):
    """The gradients that PyTorch keeps beside the weights of a model, by weight."""
    if keras.backend.backend() != "torch":
        return {}
    return {weight: weight.grad for weight in model.parameters()}


@contextlib.contextmanager
def seed_kept():
    """Put back what `keras.utils.set_random_seed` sets beside generators: its seed, TensorFlow's.

    Around `random_state_kept`, which puts back the generators.
    """
    seed, tensorflow = global_state.get_global_attribute(GLOBAL_RANDOM_SEED), _tensorflow_seed()
    try:
        yield
    finally:
        global_state.set_global_attribute(GLOBAL_RANDOM_SEED, seed)
        if "tensorflow" in sys.modules:
            from tensorflow.python.eager import context

            context.context()._seed, context.context()._rng = tensorflow


def _tensorflow_seed():
    """TensorFlow's seed, and what draws the seeds of its single operations."""
    if "tensorflow" not in sys.modules:
        return None, None
    from tensorflow.python.eager import context

    here = context.context()
    return here._seed, copy.copy(getattr(here, "_rng", None))  # none before the first seed


@contextlib.contextmanager
def names_from_the_start():
    """Number the names of new layers as in a new process; then go on with the numbers as before."""
    numbers = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", numbers)


@contextlib.contextmanager
def unshared_seeds(seed):
    """Where other threads may draw from Python's random numbers, as Dask's do, have Keras not.

    It takes the seeds of initializers and of dropout from there: now the same from its own.
    """
    if threading.current_thread() is threading.main_thread():
        yield
        return
    seed_generator.python_random = random.Random(seed)
    try:
        yield
    finally:
        seed_generator.python_random = random
