"""The running `fit` and `evaluate` of a model."""

import collections
import inspect
import itertools

import keras

from keras_dcnn._keras.variables import tensors_of


def infer_mode(model, monitor):
    """`"min"` or `"max"`, by the direction that Keras knows of each of its metrics.

    Only EarlyStopping and its like ask for it, at the end of an epoch; a public `direction` of
    metrics would replace this. Raises ValueError where the direction isn't known.
    """
    probe = keras.callbacks.EarlyStopping(monitor)
    probe.set_model(model)
    probe.on_train_begin()
    try:
        probe.on_epoch_end(0, {monitor: 0.0})
    except ValueError as error:
        raise ValueError(
            f"Keras does not know whether '{monitor}' is to fall or to rise: pass `mode='min'` or "
            "`mode='max'`."
        ) from error
    return "max" if probe.monitor_op is keras.ops.greater else "min"


def callbacks_of_fit():
    """All callbacks of the `fit` that is calling one of them; [] where none is.

    Keras tells a callback nothing of the others, so their CallbackList is looked for among the
    callers; its place in `params` would replace this.
    """
    frame = inspect.currentframe()
    while frame:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList):
            return caller.callbacks
        frame = frame.f_back
    return []


def variables_of_fit(model):
    """The arguments and variables of the `fit` of a model that is running, by name; {} if none is.

    Keras tells callbacks nothing of the data, so they are looked for among the callers; their place
    in `params` would replace this.
    """
    frame = inspect.currentframe()
    while frame:
        names = frame.f_locals
        if names.get("self") is model and {"validation_data", "epoch_iterator"} <= names.keys():
            return dict(names)
        frame = frame.f_back
    return {}


def begins_data_anew(model):
    """Whether each epoch of the `fit` that is running begins the data anew, as far as one knows.

    An iterator goes on where the last epoch stopped; so do all data when `steps_per_epoch` is not
    the number of their batches.
    """
    names = variables_of_fit(model)
    if hasattr(names.get("x"), "__next__"):
        return False
    steps = names.get("steps_per_epoch")
    return not steps or steps == names["epoch_iterator"].data_adapter.num_batches


def batch_size_of_fit(model):
    """How many samples a batch of the `fit` that is running has, or None where nobody knows.

    By the adapter that Keras makes of all kinds of data; its place in `params` would replace this.
    """
    adapter = getattr(variables_of_fit(model).get("epoch_iterator"), "data_adapter", None)
    size = getattr(adapter, "batch_size", None)
    return size if isinstance(size, int) and size > 0 else None


def print_message(message):
    """Print a line as Keras does: where its interactive logging is off, to the log.

    `print` itself fails at "→" where the output is not UTF-8. A public `print_msg` would replace
    this.
    """
    try:
        from keras.src.utils.io_utils import print_msg
    except ImportError:
        print_msg = print
    print_msg(message)


def state_on_jax(model):
    """What JAX's trainer holds of the model in the middle of an epoch, else None.

    `sync` is the public way, and what happens where this private one is gone.
    """
    if keras.backend.backend() != "jax" or getattr(model, "_jax_state_synced", True):
        return None
    return getattr(model, "_jax_state", None)


def sync(model):
    """Have JAX's trainer put what it holds into the variables, and go on from them: slow."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def live_values(model, variables):
    """The tensors of `state_variables`, also between two batches, where JAX must not be stopped."""
    state = state_on_jax(model)
    if state:
        return [*state["trainable_variables"], *state["non_trainable_variables"]]
    sync(model)
    return tensors_of(variables)


def begin_at(model, epoch):
    """Make a `fit` that has begun start with this epoch.

    As BackupAndRestore does; an `initial_epoch` that a callback may set would replace it.
    """
    model._initial_epoch = epoch


def skip_batches(model, count, logs, then):
    """Have the epoch that begins read its first `count` batches without training on them.

    Callbacks get `logs` for them; `then(batch)` is called when they are read, with the last that
    is known. `fit` asks `train_function`, which is public, for each step.
    """
    train, each = model.train_function, model.steps_per_execution
    steps = itertools.count(1)

    def read(*given):  # the iterator, on JAX behind the state; on PyTorch the batch, which was read
        batch = None
        if keras.backend.backend() != "torch":
            batch = next(iter(collections.deque(itertools.islice(given[-1], each), 1)), None)
        if next(steps) * each >= count:
            model.train_function = train
            then(batch)
        return (logs, given[0]) if keras.backend.backend() == "jax" else logs

    model.train_function = read


def build_metrics(model, batch):
    """Give the metrics of `compile` their variables where they have none, by a batch of `fit`.

    TensorFlow's trainer makes them in the first step, those of the other backends before it, by
    this private method; a public one to build what `compile` was given would replace it.
    """
    if keras.backend.backend() == "tensorflow" and model.built and not has_seen_a_batch(model):
        strategy = model.distribute_strategy
        with strategy.scope():
            model._symbolic_build(data_batch=strategy.experimental_local_results(batch)[0])


def has_validation(model):
    """Whether `fit` is validating, or has validated since it began.

    It keeps the data by a private name; if that is gone, the answer is no.
    """
    return getattr(model, "_eval_epoch_iterator", None) is not None


def validate(model):
    """The metrics on the validation data of the `fit` that is running.

    By the private argument with which `fit` itself evaluates, as a callback is not told the data;
    where it is to read only some of them, `fit` begins anew after this.
    """
    logs = model.evaluate(verbose=0, return_dict=True, _use_cached_eval_dataset=True)
    model._eval_epoch_iterator.reset()
    return logs


def forget_step(model):
    """Have JAX's trainer forget what the last step left, where that did not reach the variables.

    Else a callback of the next `fit` would have it put into them. A public way to cancel a step
    would replace this.
    """
    if keras.backend.backend() == "jax":
        model._jax_state = None


def batches_as_fit_takes_them(x, y=None, sample_weight=None, batch_size=None, steps=None):
    """The number of batches, or None, and an iterator of (x, y, sample_weight).

    The iterator raises ValueError where there is no batch. By Keras's adapters, that it may be all
    that `fit` takes; one that is exported would replace this.
    """
    from keras.src.trainers.data_adapters import get_data_adapter

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


def has_seen_a_batch(model):
    """Whether metrics and loss are built; else `fit` begins by reading a batch to build them by.

    `built` of the optimizer is public, but true of a model that was just loaded as well.
    """
    parts = (model._compile_metrics, model._compile_loss)
    return all(part.built for part in parts if part is not None)


def compile_arguments(model):
    """What a compiled model was compiled with, as it was given, with the optimizer that it has.

    `get_compile_config` is public, and names a user's loss or metric that it can't make anew; a
    public way to what was given would replace this.
    """
    return {**model._compile_config.config, "optimizer": model.optimizer}
