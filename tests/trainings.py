"""Small trainings for the tests of callbacks.

What a training costs is its compilation, so `compiled()` lends models: after a test they come back
and go to the next test of the file as new, with what they compiled.
"""

import keras
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(48, 6, 6, 3)).astype("float32")
Y = np.arange(48) % 3
VALIDATION = (rng.normal(size=(24, 6, 6, 3)).astype("float32"), np.arange(24) % 3)


def jit():
    """On JAX, which is slow without. XLA on TensorFlow is what test_contract.py asks about."""
    return keras.backend.backend() == "jax"


def for_few_steps():
    """How to compile for them: TensorFlow's tracing takes longer than the steps, JAX needs jit."""
    return {"jit_compile": jit(), "run_eagerly": keras.backend.backend() == "tensorflow"}


def network(dropout=0.2):
    """A convolution, BatchNorm, dropout and a softmax, the same at each call."""
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="features"),
            keras.layers.BatchNormalization(momentum=0.8, name="norm"),
            keras.layers.Dropout(dropout, name="dropout"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(3, activation="softmax", dtype="float32", name="head"),
        ]
    )


def compiled(optimizer=None, **options):
    """`network()`, compiled with Adam or what a function makes, and lent; or with an optimizer.

    A function is a class or one that is defined once, as models are lent by it. With an attribute
    `of_model` that is true it is given the model.
    """
    if isinstance(optimizer, keras.optimizers.Optimizer):
        model = _compiled_network(lambda: optimizer, **options)
    else:
        model = lent(_compiled_network, optimizer=optimizer or _adam, **options)
    keras.utils.set_random_seed(7)
    return model


def _compiled_network(optimizer, **options):
    model = network(**options)
    of_model = getattr(optimizer, "of_model", False)
    model.compile(
        optimizer(model) if of_model else optimizer(),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit(),
    )
    # What the first `fit` would draw random numbers for, and that of a lent model would not.
    given = {"x": None, "y": keras.ops.array(Y[:3]), "y_pred": keras.ops.ones((3, 3)) / 3}
    model.compute_loss(**given)
    model.compute_metrics(**given)
    model.reset_metrics()
    return model


def _adam():
    return keras.optimizers.Adam(0.01)


BY_FIT = ("history", "stop_evaluating")  # what Keras itself hangs on a model
LEFT = ("_eval_epoch_iterator", "_jax_state")  # when interrupted
_READY, _LENT = {}, []


def lent(make, **options):
    """The compiled model that a function makes; as new, where an earlier test had it."""
    key = make, str(options), keras.config.dtype_policy().name
    if _READY.get(key):
        model, optimizer, values, attributes = _READY[key].pop()
        for variable, value in zip(_variables(model), values, strict=True):
            variable.assign(value)
        model.reset_metrics()
        model.stop_training = False
    else:
        model = make(**options)
        optimizer = model.optimizer
        optimizer.build(model.trainable_variables)
        values = [np.array(keras.ops.convert_to_numpy(one)) for one in _variables(model)]
        attributes = {*vars(model), *BY_FIT}
    _LENT.append((key, model, optimizer, values, attributes))
    return model


def _variables(model):
    return [*model.variables, *model.optimizer.variables]


def take_back():
    """After a test: the models that it had, unless something was hung on them."""
    for key, model, optimizer, values, attributes in _LENT:
        for name in LEFT:
            vars(model).pop(name, None)
        if set(vars(model)) <= attributes and model.optimizer is optimizer:
            _READY.setdefault(key, []).append((model, optimizer, values, attributes))
    _LENT.clear()


def forget():
    """After the tests of a file, as what is compiled takes memory."""
    _READY.clear()


def fit(model, callbacks, epochs=4, **more):
    """Three batches of 16 an epoch, shuffled, with validation."""
    arguments = {"validation_data": VALIDATION, "batch_size": 16, "verbose": 0, **more}
    return model.fit(X, Y, epochs=epochs, callbacks=callbacks, **arguments).history


def rehearse(model, callbacks, scores, losses=None):
    """What `fit` calls, without its training: each epoch's `score`, each batch's own loss given.

    Returns the history.
    """
    losses = np.zeros((len(scores), 1)) if losses is None else np.asarray(losses)
    batches = range(losses.shape[1])
    calls = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=model, epochs=len(scores), steps=len(batches)
    )
    model.stop_training = False
    calls.on_train_begin()
    for epoch, score in enumerate(scores):
        calls.on_epoch_begin(epoch)
        for batch in batches:
            logs = {"loss": losses[epoch, : batch + 1].mean()}
            calls.on_train_batch_begin(batch)
            calls.on_train_batch_end(batch, logs)
        calls.on_test_begin()
        calls.on_test_end()
        calls.on_epoch_end(epoch, {**logs, "score": score})
        if model.stop_training:
            break
    calls.on_train_end()
    return model.history.history


class Record(keras.callbacks.Callback):
    """The weights after each batch and at the end of each epoch, read in plain sight."""

    def __init__(self):
        super().__init__()
        self.batches, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


class Aloud(keras.callbacks.Callback):
    """Has our callbacks print in a `fit` that is silent else; to be the first."""

    def on_train_begin(self, logs=None):
        self.params["verbose"] = 2


def rate_of(optimizer):
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


class Learn(keras.callbacks.Callback):
    """Changes all weights at the end of each batch; for what is rehearsed the first callback."""

    def on_train_begin(self, logs=None):
        self.rng = np.random.default_rng(0)

    def on_train_batch_end(self, batch, logs=None):
        weights = self.model.get_weights()
        self.model.set_weights([w + self.rng.normal(size=w.shape) for w in weights])


class Rates(keras.callbacks.Callback):
    """The learning rate after each batch and each epoch."""

    def __init__(self):
        super().__init__()
        self.batches, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(rate_of(self.model.optimizer))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(rate_of(self.model.optimizer))


class Script(keras.callbacks.Callback):
    """Puts given values into the logs as `score`, before the callbacks behind it see them."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.values[epoch]


class StopAt(keras.callbacks.Callback):
    """Raises KeyboardInterrupt, as a user does."""

    def __init__(self, epoch, batch=1):
        super().__init__()
        self.epoch, self.batch = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise KeyboardInterrupt


def same(one, other):
    """Whether two lists of arrays are equal bit for bit."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))
