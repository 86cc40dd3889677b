"""Layers: what runs in tf.data on every backend, and string ids of parts."""

import collections

import keras
from keras.src import constraints, regularizers
from keras.src.backend.common import global_state
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from keras.src.layers.preprocessing.data_layer import DataLayer
from keras.src.utils import backend_utils, jax_utils

from keras_dcnn._checks import check_keywords
from keras_dcnn._random.draws import DrawStream
from keras_dcnn._random.noise import torch_compiles


class _BackendOps:
    """`keras.ops` by name on a backend that is not the one Keras runs on (inside tf.data)."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        backend = self._backend
        for module in (backend.numpy, backend.core):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"no operation `{name}` on the {backend.name} backend")


def take_rows(x, index, ops=keras.ops):
    """Rows of `x` by an `index` that is known to be within it, which `keras.ops.take` checks."""
    if isinstance(ops, _BackendOps) or keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(x, index)
    if keras.backend.backend() == "jax":
        import jax

        return jax.numpy.take(x, index, axis=0, mode="clip")
    return ops.take(x, index, axis=0)


def draw_salt(layer, seed):
    """What tells the draws of this call from others of the same seed: a class and a number.

    The number counts the calls of that class and seed within the outermost call, as a rule of a
    model. So two layers of one seed draw apart in a model, and a model made again draws the same.
    """
    name, context = type(layer).__name__, global_state.get_global_attribute("current_call_ctx")
    if context is None:
        return name
    counts = context.get_value("keras_dcnn_draws") or collections.Counter()
    context.set_value("keras_dcnn_draws", counts)
    counts[name, seed] += 1
    return f"{name} {counts[name, seed]}" if counts[name, seed] > 1 else name


class PipelineLayer(DataLayer):
    """A layer for models and for `tf.data.Dataset.map`, on every backend.

    Its `call` takes what the user gave, uint8 as uint8, and uses `self.ops`.
    """

    def __init__(self, **kwargs):
        check_keywords(self, kwargs)
        super().__init__(**kwargs)
        self._convert_input_args = False
        self._graph = _GraphState()

    def __call__(self, *args, **kwargs):
        # In a TensorFlow graph DataLayer casts all that comes in to the compute dtype.
        above = super(DataLayer, self) if _in_tf_graph(*args) else super()
        return above.__call__(*args, **kwargs)

    @property
    def ops(self):
        """`keras.ops`, on TensorFlow while a tf.data pipeline is being traced."""
        if keras.backend.backend() != "tensorflow" and _in_tf_graph():
            return _BackendOps(backend_utils.DynamicBackend("tensorflow"))
        return keras.ops

    def in_model(self):
        """Whether this call is part of that of a model."""
        return isinstance(self._get_call_context().entry_layer, keras.Model)

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
        if in_symbolic_scope():
            return
        if _in_tf_graph(sound):
            import tensorflow as tf

            tf.debugging.Assert(sound, [message()])
        elif not jax_utils.is_in_jax_tracing_scope(sound) and not torch_compiles() and not sound:
            raise ValueError(message())

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
    return isinstance(x, keras.KerasTensor) or in_symbolic_scope()


def _in_tf_graph(*args):
    """Whether TensorFlow is tracing, in this thread, and not JAX inside it nor Keras for shapes."""
    leaf = next(iter(keras.tree.flatten(args)), None)
    return (
        backend_utils.in_tf_graph()
        and not isinstance(leaf, keras.KerasTensor)
        and not jax_utils.is_in_jax_tracing_scope(leaf)
    )


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

    `keras.regularizers.get("package>Name")` looks in a table of Keras's own classes only.
    """
    module = constraints if issubclass(part, keras.constraints.Constraint) else regularizers
    module.ALL_OBJECTS_DICT[keras.saving.get_registered_name(part)] = part
    return part
