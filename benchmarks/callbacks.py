"""What callbacks cost per training step, on the network in network.

Usage: KERAS_BACKEND=jax python benchmarks/callbacks.py [rounds]

In one `fit` every second step has the callback's hooks and the others have not, so that a step is
compared with its neighbour and a machine that gets slower does so for both. The ratio is the median
over all pairs; beside it lies half the distance of the quartiles divided by the root of their
number. What happens once per epoch is not in it. Prints the rows of CALLBACKS.md.
"""

import statistics
import sys
import tempfile
import time

import keras
import numpy as np
from network import network_in_network

from keras_dcnn import callbacks

BATCH, STEPS = 32, 49


class EverySecondStep(keras.callbacks.Callback):
    """Hands on all hooks but those of the batches with odd numbers, and measures every step.

    A step is from its begin to the next one's. It has logs to look at, so that Keras waits for it.
    """

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.begins = []

    def __getattribute__(self, name):
        if name in ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"):
            return getattr(object.__getattribute__(self, "inner"), name)
        return object.__getattribute__(self, name)

    def set_params(self, params):
        self.inner.set_params(params)

    def set_model(self, model):
        self.inner.set_model(model)

    def on_train_batch_begin(self, batch, logs=None):
        self.begins.append(time.perf_counter())
        if batch % 2 == 0:
            self.inner.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        if batch % 2 == 0:
            self.inner.on_train_batch_end(batch, logs)

    def pairs(self):
        """Ratios of a step with the hooks to the mean of its neighbours without."""
        steps = np.diff(self.begins)
        return [steps[i] / (steps[i - 1] + steps[i + 1]) * 2 for i in range(2, len(steps) - 1, 2)]


def contestants():
    folder = tempfile.mkdtemp()
    return {
        "a callback that does nothing": keras.callbacks.Callback,
        "`DivideLROnPlateau`": lambda: callbacks.DivideLROnPlateau("loss"),
        "`DivideLROnPlateau(every=10)`": lambda: callbacks.DivideLROnPlateau(
            "loss", every=10, patience=99
        ),
        "`SnapshotSchedule`": lambda: callbacks.SnapshotSchedule(1, 0.001),
        "`CurveRecorder`, with a file": lambda: callbacks.CurveRecorder(
            f"{folder}/{time.monotonic_ns()}.csv"
        ),
        "`TrainingDiagnosis`, of curves": callbacks.TrainingDiagnosis,
        '`WeightAveraging(every="epoch")`': lambda: callbacks.WeightAveraging(
            start=0.0, every="epoch"
        ),
        "`WeightAveraging`, SWA by batch": lambda: callbacks.WeightAveraging(start=0.0),
        '`WeightAveraging("ema")` by batch': lambda: callbacks.WeightAveraging("ema", start=0.0),
        '`WeightAveraging("lawa")` by batch': lambda: callbacks.WeightAveraging("lawa", start=0.0),
    }


def model():
    made = network_in_network(lambda: keras.layers.Activation("relu"))
    made.compile(
        keras.optimizers.SGD(0.001, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() != "torch",
    )
    return made


def main(rounds):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, BATCH * STEPS)
    trained = model()
    trained.fit(x[:BATCH], y[:BATCH], batch_size=BATCH, verbose=0)  # compiles
    ratios = {name: [] for name in contestants()}
    for _ in range(rounds):
        for name, make in contestants().items():
            watch = EverySecondStep(make())
            fit = {"batch_size": BATCH, "verbose": 0, "shuffle": False, "callbacks": [watch]}
            trained.fit(x, y, **fit)
            ratios[name] += watch.pairs()
    step = statistics.median(np.diff(watch.begins))
    report(ratios, step, statistics.median(dead_units_look(trained, x) for _ in range(3)))


def dead_units_look(trained, x):
    """Seconds of a look at the default of 256 samples."""
    dead = callbacks.DeadUnits(x, verbose=0)
    spent = []

    class Around(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            spent.append(time.perf_counter())

    parts = [Around(), dead, Around()]
    trained.fit(x[:BATCH], np.zeros(BATCH), epochs=2, batch_size=BATCH, verbose=0, callbacks=parts)
    return spent[3] - spent[2]


def report(ratios, step, look):
    print(f"{keras.backend.backend()}: {1000 * step:.0f} ms a step of {BATCH} images")
    for name, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4)
        spread = (high - low) / 2 / len(values) ** 0.5
        print(f"| {name} | {middle:.3f} ± {spread:.3f} |")
    epoch = 50_000 / BATCH * step
    print(f"| `DeadUnits`, of an epoch of 50,000 images | {1 + look / epoch:.4f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
