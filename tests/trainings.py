"""Small trainings for the tests of callbacks."""

import keras
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(48, 6, 6, 3)).astype("float32")
Y = np.arange(48) % 3
VALIDATION = (rng.normal(size=(24, 6, 6, 3)).astype("float32"), np.arange(24) % 3)


def jit():
    """PyTorch's own compiler takes most of a minute for each model: there, eager."""
    return keras.backend.backend() != "torch"


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
    """`network()`, compiled with Adam or the given optimizer."""
    model = network(**options)
    model.compile(
        optimizer or keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit(),
    )
    return model


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
