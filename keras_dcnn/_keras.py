"""The one file that reaches into Keras's private modules, so that a new Keras is met here."""

import collections
import contextlib
import copy
import functools
import itertools
import random
import sys
import threading
import weakref

import keras
import numpy as np
from keras.src import constraints, regularizers
from keras.src.backend import AutocastScope
from keras.src.backend.common import global_state
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from keras.src.layers.preprocessing.data_layer import DataLayer
from keras.src.models.functional import Functional  # noqa: F401, which keras.Model returns
from keras.src.random import seed_generator
from keras.src.random.seed_generator import global_seed_generator
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.saving.saving_lib import H5IOStore, _save_state, save_weights_only
from keras.src.saving.saving_lib import safe_get_h5_dataset as dataset_in  # noqa: F401
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.utils import backend_utils, jax_utils
from keras.src.utils.python_utils import pythonify_logs
from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED
from keras.src.utils.tracking import Tracker

from keras_dcnn._draws import DrawStream
from keras_dcnn._noise import torch_compiles
from keras_dcnn._validation import check_keywords


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


def leaf_optimizers(optimizer):
    """The optimizers that hold a learning rate: those inside loss scaling and MultiOptimizer."""
    if hasattr(optimizer, "inner_optimizer"):
        return leaf_optimizers(optimizer.inner_optimizer)
    if hasattr(optimizer, "optimizers"):
        return [leaf for inner in optimizer.optimizers for leaf in leaf_optimizers(inner)]
    return [optimizer]


def has_fixed_rate(optimizer):
    """False where the learning rate is a schedule or a callable, so that it can't be set."""
    return isinstance(optimizer._learning_rate, keras.Variable)


def infer_mode(model, monitor):
    """`"min"` or `"max"`, by the direction that Keras knows of each of its metrics.

    Raises ValueError, in Keras's words, where the direction isn't known.
    """
    base = keras.callbacks.ReduceLROnPlateau.__mro__[1]  # MonitorCallback, which is not exported
    probe = base(monitor)
    probe.set_model(model)
    probe._set_monitor_op()
    return "max" if probe.monitor_op is keras.ops.greater else "min"


class SavedWithWeights(KerasSaveable):
    """Text and arrays that Keras puts into a model's `.weights.h5` files, beside the weights.

    Not into `.keras` files, which are for models that are ready.
    """

    def _obj_type(self):
        return "Loss"  # of the kinds that Keras knows, the one with nothing of its own

    def save_own_variables(self, store):
        in_archive = getattr(store, "archive", None) is not None
        to_weights = str(getattr(store, "path_or_io", "")).endswith(".weights.h5")
        if to_weights and not in_archive and self.is_running():
            text, arrays = self.pack()
            store["text"] = np.frombuffer(text.encode(), "uint8")
            for i, array in enumerate(arrays):
                store[str(i)] = array

    def load_own_variables(self, store):
        if "text" in store.keys():  # noqa: SIM118, it is no dict
            arrays = [store[str(i)] for i in range(len(store.keys()) - 1)]
            self.unpack(bytes(store["text"]).decode(), arrays)


def unsynced_model(callback):
    """The model of a callback; on JAX its variables are empty between the batches of an epoch."""
    model = callback._model
    return getattr(model, "module", model) if keras.backend.backend() == "torch" else model


def _state_on_jax(model):
    """What JAX's trainer holds of the model in the middle of an epoch, else None."""
    if keras.backend.backend() != "jax" or getattr(model, "_jax_state_synced", True):
        return None
    return model._jax_state


def state_variables(model):
    """All variables of a model but its metrics' and its optimizer's."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def seed_variables(model):
    """The states of the random numbers in a model, which Keras leaves out of its weight files."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in state_variables(model) if id(variable) not in weights]


def live_values(model, variables):
    """The tensors of `state_variables`, also between two batches, where JAX must not be stopped."""
    state = _state_on_jax(model)
    if state:
        return [*state["trainable_variables"], *state["non_trainable_variables"]]
    return [keras.ops.convert_to_tensor(variable) for variable in variables]


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
            state = list(state)
            state[2] = self._with_rates(state[2], rates)
        return self._step(state, iterator)

    def _with_rates(self, optimizer_variables, rates):
        import jax

        values = list(optimizer_variables)
        for place, rate in rates.items():
            old = values[place]
            values[place] = jax.device_put(np.asarray(rate, old.dtype), old.sharding)
        return values


def set_rate(model, optimizer, rate):
    """Set a learning rate, also between two batches, where JAX must not be stopped."""
    if not _state_on_jax(model):
        optimizer.learning_rate = rate
        return
    if not isinstance(model.train_function, _StepWithNewRates):
        model.train_function = _StepWithNewRates(model.train_function, model)
    variables = model.optimizer.variables
    (place,) = [i for i, v in enumerate(variables) if v is optimizer._learning_rate]
    model.train_function.set_rate(place, rate)


def save_weights(model, path):
    """Write a model's weights to a `.weights.h5` file, and nothing else that Keras would find."""
    others = [one for one in vars(model).values() if isinstance(one, SavedWithWeights)]
    save_weights_only(model, path, objects_to_skip=[getattr(model, "optimizer", None), *others])


def slots(optimizer):
    """The variables of an optimizer but its learning rates: slots, iterations, loss scale."""
    rates = [one._learning_rate for one in leaf_optimizers(optimizer)]
    return [v for v in optimizer.variables if not any(v is rate for rate in rates)]


def reset_slots(optimizer):
    """Give the slots and iterations of a single optimizer the values that they began with."""
    if optimizer.built:
        fresh = type(optimizer).from_config(optimizer.get_config())
        fresh.build(optimizer._trainable_variables)
        for variable, value in zip(slots(optimizer), slots(fresh), strict=True):
            variable.assign(value)


def build_optimizer(model):
    """Give the optimizer its variables, where it has none yet."""
    strategy = getattr(model, "distribute_strategy", None)
    if not model.optimizer.built:
        with strategy.scope() if strategy else contextlib.nullcontext():
            model.optimizer.build(model.trainable_variables)


def begin_at(model, epoch):
    """Make a `fit` that has begun start with this epoch."""
    model._initial_epoch = epoch


def remake_train_function(model):
    """Have the training step traced again at its next call."""
    model.make_train_function(force=True)


def has_validation(model):
    """Whether `fit` is validating, or has validated since it began."""
    return getattr(model, "_eval_epoch_iterator", None) is not None


def validate(model):
    """The metrics on the validation data of the `fit` that is running."""
    return model.evaluate(verbose=0, return_dict=True, _use_cached_eval_dataset=True)


def compiled(function):
    """A pure function of lists of tensors, compiled where the backend compiles."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    import torch

    return torch.no_grad()(function)


def compiled_run(model, function):
    """`function(x)`, which calls the model, compiled; it may change the model's statistics."""
    if keras.backend.backend() != "jax":
        return compiled(function)
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


def output_layer(model):
    """The layer that makes the only output of a model, or None where that isn't to be seen."""
    outputs = getattr(model, "outputs", None)  # subclassed models have none
    if not outputs or len(outputs) != 1:
        return None
    operation = outputs[0]._keras_history.operation
    if isinstance(operation, keras.Model):
        return output_layer(operation)
    return operation if isinstance(operation, keras.layers.Layer) else None


def all_layers(model):
    """The model and the layers in it, at any depth, each once."""
    return model._flatten_layers()


def own_trainable_weights(layer):
    """The trainable weights of a layer that are not those of a layer inside it."""
    return [weight for weight in layer._trainable_variables if weight.trainable]


def assign(variable, value):
    """Assign, also in a call of a layer of mixed precision, where PyTorch would lose the value."""
    with AutocastScope(None):
        variable.assign(value)


def is_traced(*args):
    """Whether this call is part of a graph, a loop or a function that is being traced."""
    leaf = next(iter(keras.tree.flatten(args)), None)
    if keras.backend.backend() == "torch":
        import torch

        return torch._C._functorch.is_functorch_wrapped_tensor(leaf)
    return backend_utils.in_tf_graph() or jax_utils.is_in_jax_tracing_scope(leaf)


def without_gradients():
    """A scope in which PyTorch keeps nothing for a backward pass."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def graphs_in(model):
    """For each functional or Sequential model in a model: its nodes as they are run; its outputs.

    A node has the operation's `arguments`, among them the tensors of `input_tensors`.
    """
    functions = [getattr(layer, "_functional", layer) for layer in all_layers(model)]
    graphs = []
    for function in functions:
        by_depth = getattr(function, "_nodes_by_depth", {})
        nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
        graphs += [(nodes, function.outputs)] if nodes else []
    return graphs


def operations_in(model):
    """The layers in a model, at any depth, and the operations in its graphs that are no layers."""
    nodes = [node for nodes, _ in graphs_in(model) for node in nodes]
    return [*all_layers(model), *(node.operation for node in nodes)]


def find_by_string(part):
    """Decorator: makes a registered constraint or regularizer known by its string id.

    `keras.regularizers.get("package>Name")` looks in a table of Keras's own classes only.
    """
    module = constraints if issubclass(part, keras.constraints.Constraint) else regularizers
    module.ALL_OBJECTS_DICT[keras.saving.get_registered_name(part)] = part
    return part


def decaying_optimizer(optimizer, variable):
    """The optimizer whose own weight decay acts on `variable`, or None."""
    if hasattr(optimizer, "inner_optimizer"):
        return decaying_optimizer(optimizer.inner_optimizer, variable)
    if hasattr(optimizer, "_optimizer_map"):
        return decaying_optimizer(optimizer._optimizer_map(variable), variable)
    return optimizer if optimizer.weight_decay and optimizer._use_weight_decay(variable) else None


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


_CONTAINERS = (list, dict, set, tuple, Tracker)
_COMPILED_WITH = (keras.Optimizer, keras.Metric, keras.Loss)


def contents(model):
    """A function that puts back what a model and the parts it was compiled with hold.

    Objects by identity, not the values of variables; so what the first step of a training builds
    is gone.
    """
    kept, seen = [(vars(model), dict(vars(model)))], set()
    parts = [*vars(model).values(), *model.metrics]
    parts = [part for part in parts if isinstance(part, _COMPILED_WITH)]
    while parts:
        part = _inside(parts.pop())
        if id(part) in seen:
            continue
        seen.add(id(part))
        inside = part.values() if isinstance(part, dict) else part
        parts += [one for one in inside if isinstance(one, (*_COMPILED_WITH, *_CONTAINERS))]
        kind = next(kind for kind in _CONTAINERS if isinstance(part, kind))
        kept.append((part, kind(part)))
    return functools.partial(_put_back_contents, kept)


def _inside(part):
    """The attributes of an object, the items of a container, past TensorFlow's wrappers."""
    part = getattr(part, "__wrapped__", part)
    wrapper = "_storage" in getattr(part, "__dict__", ())
    return vars(part) if wrapper or not isinstance(part, _CONTAINERS[:-1]) else part


def _put_back_contents(kept):
    """Past the methods of Keras's tracking containers, which would track anew."""
    for thing, content in kept:
        if isinstance(thing, list):
            list.__setitem__(thing, slice(None), content)
        elif isinstance(thing, dict):
            for key in thing.keys() - content.keys():
                dict.__delitem__(thing, key)
            dict.update(thing, content)
        elif isinstance(thing, set):
            set.clear(thing)
            set.update(thing, content)


def gradients(model):
    """The gradients that PyTorch keeps beside the weights of a model, by weight."""
    if keras.backend.backend() != "torch":
        return {}
    return {weight: weight.grad for weight in model.parameters()}


class _Places(H5IOStore):
    """Writes nothing, and notes what a model would save under which name."""

    def __init__(self):
        self.values = {}

    def __bool__(self):
        return True

    def make(self, path, metadata=None):
        self._path = f"{path}/vars" if path else "vars"
        return self

    def __setitem__(self, key, value):
        self.values[f"{self._path}/{key}"] = value


def weight_places(model):
    """What `save_weights` would write, by its name in the file: variables, as a rule."""
    others = [one for one in vars(model).values() if isinstance(one, SavedWithWeights)]
    skipped = {id(one) for one in [getattr(model, "optimizer", None), *others]}
    places = _Places()
    _save_state(model, places, None, inner_path="", visited_saveables=skipped)
    return places.values


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


class InferenceStep:
    """`step(values, x)` → outputs, losses, changed values; compiled once for many values.

    `variables` are the model's `state_variables`; so it serves all models of its architecture, with
    `vectorize` all at once, on values that are stacked. `changed` are the places of the variables
    that a call changes, such as the state of what draws; it is known after the first call.
    """

    def __init__(self, model, variables, vectorize=False):
        self._model, self._variables = model, variables
        self.changed = []
        function = self._all_at_once if vectorize else self._run
        self.compiled = compiled(function)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.compiled = tf.function(
                function, autograph=False, reduce_retracing=True, jit_compile=model.jit_compile
            )

    def __call__(self, values, x):
        return self.compiled(values, x)

    def _run(self, values, x):
        mapping = list(zip(self._variables, values, strict=True))
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            before = [scope.get_current_value(variable) for variable in self._variables]
            with _normalizing_by_variables(self._model):
                outputs = self._model(x, training=False)
            losses = list(self._model.losses)
        now = [scope.get_current_value(variable) for variable in self._variables]
        pairs = zip(before, now, strict=True)
        self.changed = [i for i, (one, other) in enumerate(pairs) if one is not other]
        return outputs, losses, [now[i] for i in self.changed]

    def _all_at_once(self, values, x):
        """A list of what `_run` gives, of outputs and losses; and the changed values, stacked."""
        *found, states = keras.ops.vectorized_map(lambda one: self._run(one, x), values)
        each = range(values[0].shape[0])
        return [keras.tree.map_structure(lambda part, i=i: part[i], found) for i in each], states


@contextlib.contextmanager
def _normalizing_by_variables(model):
    """Normalization layers read their variables, of which they keep copies that are constants."""
    layers = [one for one in all_layers(model) if isinstance(one, keras.layers.Normalization)]
    kept = [(vars(layer), dict(vars(layer))) for layer in layers]
    try:
        for layer in layers:
            layer.finalize_state()
        yield
    finally:
        for own, before in kept:
            own.update(before)


def batches_as_fit_takes_them(x, y=None, sample_weight=None, batch_size=None, steps=None):
    """The number of batches, or None, and an iterator of (x, y, sample_weight).

    The iterator raises ValueError where there is no batch.
    """
    data = get_data_adapter(x, y, sample_weight, batch_size, steps)
    count = steps or data.num_batches

    def each():
        data.on_epoch_begin()
        batch = None
        for batch in itertools.islice(data.get_numpy_iterator(), count):
            yield keras.utils.unpack_x_y_sample_weight(batch)
        if batch is None:
            raise ValueError("the data must hold at least one batch; got none.")
        data.on_epoch_end()

    return count, each()


def is_distributed(model):
    """Whether the model runs on several devices, so that only Keras's own loops know the way."""
    strategy = getattr(model, "distribute_strategy", None)  # of TensorFlow
    if strategy is not None:
        return strategy.num_replicas_in_sync > 1
    return keras.distribution.distribution() is not None


def update_metrics(model, x, y, sample_weight, y_pred, losses):
    """What Keras's `test_step` does with predictions that are there already; returns the logs."""
    model._losses_override = list(losses)
    try:
        loss = model._compute_loss(x, y, y_pred, sample_weight, training=False)
    finally:
        model._losses_override = []
    size = len(keras.tree.flatten(x)[0])
    model._loss_tracker.update_state(loss, sample_weight=size)
    return model.compute_metrics(x, y, y_pred, sample_weight)


def metrics_in_order(model, logs):
    """Logs as floats, and as the list or number that `evaluate` returns."""
    logs = pythonify_logs(model._get_metrics_result_or_logs(logs))
    return logs, model._flatten_metrics_in_order(logs)


def check_compiled(model, method):
    """Raise ValueError, in Keras's words, unless the model is compiled."""
    model._assert_compile_called(method)


def compile_arguments(model):
    """What a compiled model was compiled with, as it was given, with the optimizer that it has."""
    return {**model._compile_config.config, "optimizer": model.optimizer}


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


def replace_layer(model, name, layer):
    """Set an attribute of a built model to another layer, which Keras would not allow."""
    model._tracker.unlock()
    try:
        delattr(model, name)
        setattr(model, name, layer)
    finally:
        if model.built:
            model._tracker.lock()
