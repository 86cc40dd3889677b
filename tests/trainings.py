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
    """`network()`, compiled with Adam or the given optimizer; as new, where it was lent before."""
    key = None if optimizer else str(options)
    if _READY.get(key):
        model, *rest = _READY[key].pop()
        _make_new(model, *rest)
    else:
        model = network(**options)
        model.compile(
            optimizer or keras.optimizers.Adam(RATE),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=jit(),
        )
        rest = model.get_weights(), _values(model.non_trainable_variables), {*vars(model), *BY_FIT}
    if key:
        _LENT.append((key, model, *rest))
    keras.utils.set_random_seed(7)
    return model


RATE = 0.01
BY_FIT = ("history", "stop_evaluating")  # what Keras itself hangs on a model
_READY, _LENT = {}, []


def take_back():
    """After a test: the models that it had, unless something was hung on them."""
    for key, model, *rest in _LENT:
        if set(vars(model)) <= rest[-1] and model.optimizer.__class__ is keras.optimizers.Adam:
            _READY.setdefault(key, []).append((model, *rest))
    _LENT.clear()


def forget():
    """After the tests of a file, as what is compiled takes memory."""
    _READY.clear()


def _values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _make_new(model, weights, others, _):
    model.set_weights(weights)
    for variable, value in zip(model.non_trainable_variables, others, strict=True):
        variable.assign(value)
    for variable in [*model.optimizer.variables, *model.metrics_variables]:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = RATE
    model.stop_training = False


def fit(model, callbacks, epochs=4, **more):
    """Three batches of 16 an epoch, shuffled, with validation."""
    arguments = {"validation_data": VALIDATION, "batch_size": 16, "verbose": 0, **more}
    return model.fit(X, Y, epochs=epochs, callbacks=callbacks, **arguments).history


class Record(keras.callbacks.Callback):
    """The weights after each batch and at the end of each epoch, read in plain sight."""

    def __init__(self):
        super().__init__()
        self.batches, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


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
