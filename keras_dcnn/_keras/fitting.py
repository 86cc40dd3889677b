"""The running `fit` and `evaluate` of a model."""

import functools
import itertools

import keras
from keras.src.trainers.data_adapters import get_data_adapter
from keras.src.utils.python_utils import pythonify_logs
from keras.src.utils.tracking import Tracker


def infer_mode(model, monitor):
    """`"min"` or `"max"`, by the direction that Keras knows of each of its metrics.

    Raises ValueError, in Keras's words, where the direction isn't known.
    """
    base = keras.callbacks.ReduceLROnPlateau.__mro__[1]  # MonitorCallback, which is not exported
    probe = base(monitor)
    probe.set_model(model)
    probe._set_monitor_op()
    return "max" if probe.monitor_op is keras.ops.greater else "min"


def unsynced_model(callback):
    """The model of a callback; on JAX its variables are empty between the batches of an epoch."""
    model = callback._model
    return getattr(model, "module", model) if keras.backend.backend() == "torch" else model


def _state_on_jax(model):
    """What JAX's trainer holds of the model in the middle of an epoch, else None."""
    if keras.backend.backend() != "jax" or getattr(model, "_jax_state_synced", True):
        return None
    return model._jax_state


def live_values(model, variables):
    """The tensors of `state_variables`, also between two batches, where JAX must not be stopped."""
    state = _state_on_jax(model)
    if state:
        return [*state["trainable_variables"], *state["non_trainable_variables"]]
    return [keras.ops.convert_to_tensor(variable) for variable in variables]


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
