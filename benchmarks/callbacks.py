"""What callbacks cost per training step: the network in network with each of them and without.

Usage: KERAS_BACKEND=jax python benchmarks/callbacks.py [rounds]

One model, compiled once; in each round it is trained for an epoch with every contestant in turn, in
a new order. The time is from the beginning of the second batch to the end of the last, so that what
happens once per epoch, which depends on its length, stays out; the table's ratio is the median of
the rounds' ratios to the epoch without. Prints the rows of CALLBACKS.md.
"""

import random
import statistics
import sys
import tempfile
import time

import keras
import numpy as np
from network import network_in_network

from keras_dcnn import callbacks

BATCH, STEPS = 32, 24


class Clock(keras.callbacks.Callback):
    """Listed last; it waits for the last step, as its logs are what that computes."""

    async_safe = True

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.start


class Hooks(keras.callbacks.Callback):
    """A callback that does nothing at all after each batch."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def contestants():
    folder = tempfile.mkdtemp()
    return {
        "an empty `on_train_batch_end`": Hooks,
        "`DivideLROnPlateau`": lambda: callbacks.DivideLROnPlateau("loss"),
        "`DivideLROnPlateau(every=10)`": lambda: callbacks.DivideLROnPlateau(
            "loss", every=10, patience=99
        ),
        "`SnapshotSchedule`": lambda: callbacks.SnapshotSchedule(1, 0.001),
        "`CurveRecorder`, with a file": lambda: callbacks.CurveRecorder(
            f"{folder}/{time.monotonic_ns()}.csv"
        ),
        '`WeightAveraging(every="epoch")`': lambda: callbacks.WeightAveraging(
            start=0.0, every="epoch"
        ),
        "`WeightAveraging`, SWA by batch": lambda: callbacks.WeightAveraging(start=0.0),
        '`WeightAveraging("ema")` by batch': lambda: callbacks.WeightAveraging("ema", start=0.0),
        '`WeightAveraging("lawa")` by batch': lambda: callbacks.WeightAveraging("lawa", start=0.0),
    }


def model(**options):
    made = network_in_network(lambda: keras.layers.Activation("relu"))
    made.compile(
        keras.optimizers.SGD(0.001, momentum=0.9, **options),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() != "torch",
    )
    return made


def main(rounds):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, BATCH * STEPS)
    trained, with_ema = model(), model(use_ema=True)

    def seconds(one, parts):
        clock = Clock()
        one.fit(x, y, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[*parts, clock])
        return clock.seconds / (STEPS - 1)

    runs = {
        name: (lambda make=make: seconds(trained, [make()])) for name, make in contestants().items()
    }
    runs["Keras's `use_ema=True` in the optimizer"] = lambda: seconds(with_ema, [])
    runs["without"] = lambda: seconds(trained, [])
    times = {name: [] for name in runs}
    for number in range(rounds + 1):
        order = list(runs)
        random.Random(number).shuffle(order)
        for name in order:
            measured = runs[name]()
            if number:  # the first compiles
                times[name].append(measured)
    look_seconds = statistics.median(dead_units_look(trained, x) for _ in range(rounds))
    report(times, look_seconds)


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


def report(times, look_seconds):
    base = times.pop("without")
    step = statistics.median(base)
    print(f"{keras.backend.backend()}: {1000 * step:.0f} ms a step of {BATCH} images without")
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, base, strict=True))
        print(f"| {name} | {ratio:.3f} |")
    epoch = 50_000 / BATCH * step
    print(f"| `DeadUnits`, of an epoch of 50,000 images | {1 + look_seconds / epoch:.4f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
