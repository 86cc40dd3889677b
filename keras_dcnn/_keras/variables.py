"""Variables, and the global random numbers of Keras."""

import contextlib

import keras
import numpy as np

# What no image has; not NaN, so that tools that forbid NaN everywhere can be on.
UNMEASURED = float(np.finfo("float32").max)


class MeasuredWeight(keras.Variable):
    """A weight that starts as UNMEASURED, and knows also while traced whether it still is.

    Private is the value itself: the public `value` is that of the scope, while traced a symbol.
    """

    _measured = False

    @property
    def measured(self):
        return self._measured or self._is_measured()  # TensorFlow's checkpoints assign elsewhere

    def assign(self, value):
        assigned = super().assign(value)
        # Noted here, since JAX's trainer takes the values away before it traces.
        self._measured = self._is_measured()
        return assigned

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


def tensors_of(variables):
    """The values of variables as tensors, to be given to a compiled function.

    On TensorFlow `keras.ops.convert_to_tensor` gives a `keras.Variable` back as it is (3.15), and
    each call of a compiled function that gets one copies it through NumPy.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [tf.convert_to_tensor(variable.value) for variable in variables]
    return [keras.ops.convert_to_tensor(variable) for variable in variables]


def seed_variables(model):
    """The states of the random numbers in a model, which Keras leaves out of its weight files."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in state_variables(model) if id(variable) not in weights]


def own_trainable_weights(layer):
    """The trainable weights of a layer that are not those of a layer inside it.

    Private, since `layer.trainable_weights` has those too; a public list of a layer's sublayers
    would replace it.
    """
    return [weight for weight in layer._trainable_variables if weight.trainable]


def own_float_weights(layer):
    """The weights of floats of a layer that are not those of a layer inside it.

    By private lists, as above.
    """
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    return [weight for weight in own if "float" in weight.dtype]


def full_precision():
    """A scope to read and assign variables in, also in a call of a layer of mixed precision.

    Private, since `keras.Variable` has no public way to be itself, not a copy in half precision,
    within such a call; on PyTorch what is assigned would be lost. The scope is at home in this
    module in Keras 3.15 and after it, and only until then in `keras.src.backend` too.
    """
    from keras.src.backend.common.variables import AutocastScope

    return AutocastScope(None)


def global_seed():
    """Keras's count of random numbers for which no seed is given; None where it has none yet.

    Keras hands out the numbers but not their count; a public global `SeedGenerator` would.
    """
    from keras.src.backend.common import global_state

    generator = global_state.get_global_attribute("global_seed_generator")
    return None if generator is None else np.array(keras.ops.convert_to_numpy(generator.state))


def set_global_seed(value):
    """Set what `global_seed` got; `keras.utils.set_random_seed` can only begin a count anew."""
    from keras.src.backend.common import global_state
    from keras.src.random.seed_generator import global_seed_generator

    if value is None:  # as `keras.utils.set_random_seed` leaves it
        global_state.set_global_attribute("global_seed_generator", None)
    else:
        global_seed_generator().state.assign(value)
