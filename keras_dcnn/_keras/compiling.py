"""Compiled functions of models and layers."""

import contextlib
import functools
import sys

import keras

from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.variables import state_variables


def compile_function(function):
    """A pure function of lists of tensors, compiled where the backend compiles."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    import torch

    return torch.no_grad()(function)


def jit_compile():
    """What to give to `compile`: "auto", but on TensorFlow without a GPU False.

    XLA runs convolutions on a CPU slower than TensorFlow does: a step of our small CNN takes up to
    twice the time, of EfficientNet-Lite0, whose convolutions are by channel, ten times.
    """
    return "auto" if keras.backend.backend() != "tensorflow" or _has_gpu() else False


def compiled_run(model, function):
    """`function(x)`, which calls the model, compiled; it may change the model's statistics."""
    if keras.backend.backend() != "jax":
        return compile_function(function)
    import jax

    variables = state_variables(model)

    @jax.jit
    def pure(values, x):
        with keras.StatelessScope(zip(variables, values, strict=True)) as scope:
            out = function(x)
        return out, [scope.get_current_value(variable) for variable in variables]

    def run(x):
        out, values = pure([variable.value for variable in variables], x)
        for variable, value in zip(variables, values, strict=True):
            if not variable.trainable:
                variable.assign(value)
        return out

    return run


def is_traced(*args):
    """Whether this call is part of a graph, a loop or a function that is being traced.

    PyTorch says of its transformations by a private name only, as `vmap` of a model with a loop is.
    """
    leaf = next(iter(keras.tree.flatten(args)), None)
    if keras.backend.backend() == "torch":
        import torch

        return torch._C._functorch.is_functorch_wrapped_tensor(leaf)
    if "tensorflow" in sys.modules and not sys.modules["tensorflow"].executing_eagerly():
        return True
    if keras.backend.backend() != "jax":
        return False
    import jax

    return isinstance(leaf, jax.core.Tracer)


def without_gradients():
    """A scope in which PyTorch keeps nothing for a backward pass."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


class InferenceStep:
    """`step(values, x)` → outputs, losses, changed values; compiled once for many values.

    `variables` are the model's `state_variables`; so it serves all models of its architecture.
    `changed` are the places of the variables that a call changes, such as the state of what draws;
    it is known after the first call. Not by `stateless_call`, which needs a `training` argument in
    `call` and leaves out the cast to the compute dtype.
    """

    def __init__(self, model, variables):
        self.model, self._variables = model, variables
        self.changed = []
        self._compiled = compile_function(self._run)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self._compiled = tf.function(
                self._run, autograph=False, reduce_retracing=True, jit_compile=model.jit_compile
            )

    def __call__(self, values, x):
        return self._compiled(values, x)

    def _run(self, values, x):
        mapping = list(zip(self._variables, values, strict=True))
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            before = [scope.get_current_value(variable) for variable in self._variables]
            with _normalizing_by_variables(self.model):
                outputs = self.model(x, training=False)
            losses = list(self.model.losses)
        now = [scope.get_current_value(variable) for variable in self._variables]
        # Tensors are never changed in place: what was not assigned is the same object still. So
        # statistics and weights, which are most of the values, need not come out of the graph.
        pairs = zip(before, now, strict=True)
        self.changed = [i for i, (one, other) in enumerate(pairs) if one is not other]
        return outputs, losses, [now[i] for i in self.changed]


@contextlib.contextmanager
def _normalizing_by_variables(model):
    """Normalization layers read their variables, of which they keep copies that are constants.

    These are attributes, which `finalize_state` sets; if it set none, this would do nothing.
    """
    layers = [one for one in all_layers(model) if isinstance(one, keras.layers.Normalization)]
    kept = [(vars(layer), dict(vars(layer))) for layer in layers]
    try:
        for layer in layers:
            layer.finalize_state()
        yield
    finally:
        for own, before in kept:
            own.update(before)


def fused(function):
    """`function(*tensors, **constants)`, compiled by XLA on TensorFlow; inside XLA it is inlined.

    `function` must be pure. It runs as it is on other backends; where a size other than the first
    is unknown, since XLA would compile for each that comes; and with a GPU, on which whoever does
    without XLA may not have it whole (Apple's has none).
    """

    @functools.wraps(function)
    def call(*tensors, **constants):
        if keras.backend.backend() != "tensorflow" or not _suits_xla(tensors):
            return function(*tensors, **constants)
        # One per signature: TensorFlow warns of a function that is traced again and again.
        signature = tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)
        return _compiled_by_xla(function, signature, tuple(constants.items()))(*tensors)

    return call


def _suits_xla(tensors):
    known = all(None not in tuple(tensor.shape)[1:] for tensor in tensors)
    return known and not _has_gpu()


def _has_gpu():
    """Whether TensorFlow has a GPU to run on."""
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


@functools.cache
def _compiled_by_xla(function, signature, constants):
    import tensorflow as tf

    function = functools.partial(function, **dict(constants))
    return tf.function(function, jit_compile=True, autograph=False)
