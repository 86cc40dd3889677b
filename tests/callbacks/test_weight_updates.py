"""WeightAveraging and SnapshotSchedule count updates of the optimizer, whatever Keras calls."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn.callbacks import SnapshotSchedule, WeightAveraging

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X @ np.array([1.0, -2.0, 3.0], "float32")
STEPS = 4  # batches of an update


def sgd():
    return keras.optimizers.SGD(0.1, gradient_accumulation_steps=STEPS)


def inside_others():
    by_path = keras.optimizers.OptimizerMap(sgd(), {".*bias": sgd()})
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.MultiOptimizer(by_path), 1.0)


def fit(parts, optimizer, epochs=4, size=6, make=keras.Sequential, **compiled):
    dense = keras.layers.Dense(1, kernel_initializer="zeros", name="dense")
    model = make([keras.Input((3,)), dense])
    model.compile(optimizer, "mse", jit_compile=trainings.jit(), **compiled)
    data = {"x": X[:size], "y": Y[:size], "batch_size": 2, "shuffle": False, "verbose": 0}
    model.fit(**data, epochs=epochs, callbacks=parts)
    return model.get_weights()[0][:, 0]


def iterates(epochs=4, size=6):
    """The kernel after each update of SGD, of means over the batches of STEPS, in NumPy."""
    x, y = np.c_[X[:size], np.ones(size)].astype("float64"), Y[:size].astype("float64")
    weights, batches, after = np.zeros(4), [], []
    for _ in range(epochs):
        for at in range(0, size, 2):
            rows = slice(at, at + 2)
            batches.append(x[rows].T @ (x[rows] @ weights - y[rows]))  # 2/2 of the mean
            if len(batches) == STEPS:
                weights, batches = weights - 0.1 * np.mean(batches, 0), []
                after.append(weights[:3])
    return after


def average(kind, values, decay=0.5, window=2):
    if kind == "swa":
        return np.mean(values, 0)
    if kind == "lawa":
        return np.mean(values[-window:], 0)
    result = values[0]
    for value in values[1:]:
        result = decay * result + (1 - decay) * value
    return result


@pytest.mark.every_backend
@pytest.mark.parametrize("optimizer", [sgd, inside_others])
@pytest.mark.parametrize("kind", ["swa", "ema", "lawa"])
def test_batches_that_are_accumulated_are_one_update(kind, optimizer):
    """Also where an epoch, of 3 batches here, is no multiple of them."""
    averaging = WeightAveraging(kind, start=0, decay=0.5, window=2)
    found = fit([averaging], optimizer())
    np.testing.assert_allclose(found, average(kind, iterates()), atol=1e-6)


def test_every_nth_update_is_taken_from_an_epoch_on():
    values = iterates(epochs=6, size=8)  # one update an epoch
    for every, start, expected in (
        ({"update_every": 2}, 0, values[1::2]),
        ({"update_every": 2}, 1, values[2::2]),
        ({"every": "epoch", "update_every": 3}, np.int64(0), values[2::3]),
    ):
        averaging = WeightAveraging(start=start, **every)
        found = fit([averaging], sgd(), epochs=6, size=8)
        np.testing.assert_allclose(found, np.mean(expected, 0), atol=1e-6)


def test_too_few_updates_for_a_taking_are_told():
    averaging = WeightAveraging(start=0, update_every=9)
    with pytest.warns(UserWarning, match=r"after every 9 updates .* there were 3 since .*lower"):
        fit([averaging], sgd())


@pytest.mark.every_backend
def test_updates_within_an_execution_have_its_last_weights(backend):
    if backend == "torch":
        pytest.skip("Keras has no steps_per_execution there")
    values = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: values.append(note.model.get_weights()[0][:, 0])
    )
    compiled = {"steps_per_execution": 2}  # so 2 updates, then 1, in an epoch of 3 batches
    parts = [note, WeightAveraging("ema", start=0, decay=0.5)]
    found = fit(parts, keras.optimizers.SGD(0.1), epochs=2, **compiled)
    first, *others = values
    for value, updates in zip(others, (1, 2, 1), strict=True):
        first = 0.5**updates * first + (1 - 0.5**updates) * value
    np.testing.assert_allclose(found, first, atol=1e-6)


class Overflow(keras.callbacks.Callback):
    """Has loss scaling leave out every other batch."""

    def on_train_begin(self, logs=None):
        self.model.optimizer.build(self.model.trainable_variables)

    def on_train_batch_begin(self, batch, logs=None):
        scale = np.inf if batch % 2 else 1.0
        self.model.optimizer.dynamic_scale.assign(scale)


@pytest.mark.every_backend
def test_batches_that_loss_scaling_leaves_out_are_no_updates():
    record = trainings.Record()
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    averaging = WeightAveraging(start=0)
    found = fit([Overflow(), record, averaging], scaled, epochs=2)
    kernels = [weights[0][:, 0] for weights in record.batches]
    assert np.array_equal(kernels[0], kernels[1])  # left out
    np.testing.assert_allclose(found, np.mean([kernels[i] for i in (0, 2, 3, 5)], 0), atol=1e-6)


class ByHand(keras.Sequential):
    """Updates its weights without an optimizer of Keras's."""

    def train_step(self, *args):
        loss = keras.ops.sum(self.trainable_variables[0]) * 0.0
        self.trainable_variables[0].assign_add(keras.ops.ones((3, 1)))
        return {"loss": loss}


def test_calls_are_counted_where_no_optimizer_counts(backend):
    if backend == "jax":
        pytest.skip("a step changes no variable on JAX")
    found = fit([WeightAveraging(start=1)], keras.optimizers.SGD(0.1), epochs=3, make=ByHand)
    np.testing.assert_allclose(found, np.mean(range(4, 10)))


@pytest.mark.every_backend
def test_an_accumulated_update_has_the_rate_that_one_large_batch_has():
    rates = {}
    for steps in (1, 2):
        optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=None if steps < 2 else 2)
        seen = trainings.Rates()
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(optimizer, "mse", jit_compile=trainings.jit())
        parts = [SnapshotSchedule(2, 0.1), seen]
        model.fit(X, Y, batch_size=8 // steps, epochs=2, verbose=0, callbacks=parts)
        rates[steps] = seen.batches
    np.testing.assert_allclose(rates[1], np.tile(0.05 * (np.cos(np.pi * np.arange(3) / 3) + 1), 2))
    np.testing.assert_allclose(rates[2], np.repeat(rates[1], 2), rtol=1e-6)
