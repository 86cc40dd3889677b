"""Layers: what runs in tf.data on every backend, and string ids of parts."""

import collections
import importlib
import sys
import warnings

import keras

from keras_dcnn._checks import check_keywords
from keras_dcnn._random.draws import DrawStream
from keras_dcnn._random.noise import torch_compiles

# Keras's base of layers for tf.data and Grain, whose pipelines it keeps on the CPU: not exported.
# Where it is not to be found, only that is missing. `keras.layers.DataLayer` would replace it.
_DataLayer = next(
    (base for base in keras.layers.Rescaling.__mro__ if base.__name__ == "DataLayer"),
    keras.layers.Layer,
)


class TensorFlowOps:
    """`keras.ops` by name on TensorFlow, while Keras runs on another backend (inside tf.data).

    Private, since `keras.ops` runs on the backend of the process only; a public way to choose one
    for a block of code would replace it.
    """

    def __init__(self, backend=None):
        backend = backend or importlib.import_module("keras.src.backend.tensorflow")
        self._home = getattr(backend, "ops", backend)  # Keras after 3.15; until then

    def __getattr__(self, name):
        for module in (self._home.numpy, self._home.core):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"Keras has no operation `{name}` on TensorFlow")


def take_rows(x, index, ops=keras.ops):
    """Rows of `x` by an `index` that is known to be within it, which `keras.ops.take` checks."""
    if isinstance(ops, TensorFlowOps) or keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(x, index)
    if keras.backend.backend() == "jax":
        import jax

        return jax.numpy.take(x, index, axis=0, mode="clip")
    return ops.take(x, index, axis=0)


def _call_context():
    """Keras's notes on the outermost call of a layer that is under way; None outside of calls.

    Private, since only they tell in which model a layer is called; a public "entry layer", with
    room for notes of one's own, would replace them.
    """
    from keras.src.backend.common import global_state

    return global_state.get_global_attribute("current_call_ctx")


def draw_salt(layer, seed):
    """What tells the draws of this call from others of the same seed: a class and a number.

    The number counts the calls of that class and seed within the outermost call, as a rule of a
    model. So two layers of one seed draw apart in a model, and a model made again draws the same.
    """
    name, context = type(layer).__name__, _call_context()
    if context is None:
        return name
    counts = context.get_value("keras_dcnn_draws") or collections.Counter()
    context.set_value("keras_dcnn_draws", counts)
    counts[name, seed] += 1
    return f"{name} {counts[name, seed]}" if counts[name, seed] > 1 else name


class PipelineLayer(_DataLayer):
    """A layer for models and for `tf.data.Dataset.map`, on every backend.

    Its `call` takes what the user gave, uint8 as uint8, and uses `self.ops`.
    """

    def __init__(self, **kwargs):
        check_keywords(self, kwargs)
        super().__init__(**kwargs)
        # As Keras's own layers for images have it; no public setting leaves uint8 as it is.
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True
        self._graph = _GraphState()

    def __call__(self, *args, **kwargs):
        if _in_tf_graph(*args):  # where DataLayer casts all that comes in to the compute dtype
            return keras.layers.Layer.__call__(self, *args, **kwargs)
        return super().__call__(*args, **kwargs)

    @property
    def ops(self):
        """`keras.ops`, on TensorFlow while a tf.data pipeline is being traced."""
        if keras.backend.backend() != "tensorflow" and _in_tf_graph():
            return TensorFlowOps()
        return keras.ops

    def in_model(self):
        """Whether this call is part of that of a model."""
        context = _call_context()
        return context is not None and isinstance(context.entry_layer, keras.Model)

    def run(self, function, *tensors):
        """`function(*tensors)`, compiled by XLA in tf.data and other TensorFlow graphs.

        `function` must be pure. Not compiled in a model, which has a `jit_compile` of its own, and
        where a size other than the first is unknown: XLA would compile for each size that comes.
        """
        leaves = [leaf for leaf in keras.tree.flatten(tensors) if leaf is not None]
        known = all(None not in tuple(leaf.shape)[1:] for leaf in leaves)
        if known and _in_tf_graph(*tensors) and not self.in_model():
            return self._graph.compiled(function)(*tensors)
        return function(*tensors)

    def next_key(self, generator, seed):
        """The key of a new step of draws, on the backend that is running."""
        salt = draw_salt(self, seed)
        if self.ops is not keras.ops:  # another stream, which must not be the same
            generator, salt = self._graph.stream(seed), f"{salt} in tf.data"
        return generator.next_key(salt, self.ops)

    def refuse_unless(self, sound, message):
        """Raise ValueError(message()) unless the boolean tensor `sound` is true.

        In a TensorFlow graph, tf.data's too, the step raises InvalidArgumentError. XLA knows no
        errors: inside a compiled model this does nothing.
        """
        if is_symbolic(sound):
            return
        if _in_tf_graph(sound):
            import tensorflow as tf

            tf.debugging.Assert(sound, [message()])
        elif not _in_jax_trace(sound) and not torch_compiles() and not sound:
            raise ValueError(message())

    def warn_if(self, found, warn):
        """Call `warn()` where the boolean tensor `found` is true and a warning can be given.

        That is outside of compiled code, and in tf.data.
        """
        if is_symbolic(found):
            return
        if _in_tf_graph(found):
            import tensorflow as tf

            if _in_tf_data():
                tf.cond(found, lambda: tf.group(tf.numpy_function(warn, [], [])), tf.no_op)
        elif not _in_jax_trace(found) and not torch_compiles() and found:
            warn()

    def value_of(self, weight):
        """The value of a weight, on the backend that is running."""
        if keras.backend.backend() != "tensorflow" and self.ops is keras.ops:
            return weight.value
        import tensorflow as tf

        if keras.backend.backend() == "tensorflow":
            return tf.convert_to_tensor(weight.value)
        with tf.init_scope():  # handed to the graph, which itself holds no more than 2 GB
            return tf.convert_to_tensor(keras.ops.convert_to_numpy(weight))


def is_symbolic(x):
    """True where shapes only are inferred, as when a functional model is made."""
    with keras.SymbolicScope() as scope:
        return isinstance(x, keras.KerasTensor) or scope.original_scope is not None


def _in_tf_graph(*args):
    """Whether TensorFlow is tracing, in this thread, and not JAX inside it nor Keras for shapes."""
    if sys.modules.get("tensorflow") is None:
        return False
    import tensorflow as tf

    leaf = next(iter(keras.tree.flatten(args)), None)
    shapes_only = isinstance(leaf, keras.KerasTensor)
    return not tf.executing_eagerly() and not shapes_only and not _in_jax_trace(leaf)


def _in_tf_data():
    """Whether the function that TensorFlow is tracing is that of a `tf.data.Dataset`.

    By the name that tf.data gives to its graphs. Not a function within it, which may be one for
    XLA, which refuses to call Python.
    """
    import tensorflow as tf

    return getattr(tf.compat.v1.get_default_graph(), "name", "").startswith("Dataset_")


def _in_jax_trace(leaf):
    """Whether JAX is tracing: `leaf`, or for None what is made here and now."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return isinstance(jax.numpy.ones(()) if leaf is None else leaf, jax.core.Tracer)


class _GraphState:
    """What a layer keeps for TensorFlow graphs, where Keras and TensorFlow do not track it."""

    def __init__(self):
        self._functions = {}
        self._stream = None

    def compiled(self, function):
        if function not in self._functions:
            import tensorflow as tf

            self._functions[function] = tf.function(function, jit_compile=True, autograph=False)
        return self._functions[function]

    def stream(self, seed):
        if self._stream is None:
            self._stream = DrawStream(seed, "tensorflow")
        return self._stream


def find_by_string(part):
    """Decorator: makes a registered constraint or regularizer known by its string id.

    Private, since `keras.regularizers.get("package>Name")` looks in a table of Keras's own classes
    only; if it looked among those registered, nothing would be needed.
    """
    is_constraint = issubclass(part, keras.constraints.Constraint)
    get = keras.constraints.get if is_constraint else keras.regularizers.get
    table = getattr(sys.modules[get.__module__], "ALL_OBJECTS_DICT", None)
    if table is None:
        warnings.warn(
            f"Keras {keras.__version__} has moved its table of constraints and regularizers: those "
            "of keras_dcnn will not be known by strings; give the objects.",
            stacklevel=2,
        )
    else:
        table[keras.saving.get_registered_name(part)] = part
    return part
