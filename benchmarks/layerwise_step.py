"""What rates by layer cost per training step: EfficientNet-Lite0 on small images, AdamW.

Usage: KERAS_BACKEND=jax python benchmarks/layerwise_step.py [rounds]

Three copies of the network train with one optimizer, with that of `layerwise_optimizer` and with an
optimizer for each group, as `GradualUnfreeze` makes; a fourth with one optimizer again shows what
such a comparison can't tell. In each round all of them take a few steps in turn, and the ratio is
that of the medians within the round. Small images, since there the optimizer weighs most: it costs
the same for any. Prints the rows of FINE_TUNING.md.
"""

import statistics
import sys
import time

import keras
import numpy as np

from keras_dcnn._keras.grouped_optimizer import grouped_optimizer
from keras_dcnn.fine_tuning.layerwise_optimizer import layerwise_optimizer
from keras_dcnn.models import efficientnet_lite

BATCH, STEPS, SIDE, CLASSES, DECAY = 16, 9, 32, 10, 0.75


class Clock(keras.callbacks.Callback):
    """Measures the steps; it has logs to look at, so that Keras waits for each."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def one(model):
    return keras.optimizers.AdamW(1e-3, weight_decay=0.05, global_clipnorm=1.0)


def layerwise(model):
    return layerwise_optimizer(model, one(model), DECAY, verbose=0)


def an_optimizer_each(model):
    """With the groups and rates of `layerwise`; the head is the rest."""
    shares = layerwise(model).get_config()["shares"]
    rates = sorted(set(shares))[:-1]
    groups = [None if share == 1 else rates.index(share) for share in shares]
    return grouped_optimizer(
        one(model), model.trainable_variables, groups, [1e-3 * rate for rate in rates]
    )


CONTESTANTS = {
    "one optimizer, again": one,
    "`layerwise_optimizer`": layerwise,
    "an optimizer for each group": an_optimizer_each,
}


def network(make):
    model = efficientnet_lite(weights=None, input_shape=(SIDE, SIDE, 3), classes=CLASSES)
    jit = keras.backend.backend() != "torch"
    model.compile(make(model), "sparse_categorical_crossentropy", jit_compile=jit)
    return model


def step(model, x, y):
    """The median seconds of a few steps, the first left out."""
    clock = Clock()
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[clock])
    return statistics.median(clock.seconds[1:])


def main(rounds):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (BATCH * STEPS, SIDE, SIDE, 3)).astype("float32")
    y = rng.integers(0, CLASSES, BATCH * STEPS)
    models = {name: network(make) for name, make in {"": one, **CONTESTANTS}.items()}
    for model in models.values():
        step(model, x, y)  # compiles
    seconds = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            seconds[name].append(step(model, x, y))
    base = seconds.pop("")
    print(f"{keras.backend.backend()}: {1000 * statistics.median(base):.0f} ms a step")
    for name, values in seconds.items():
        ratios = [mine / other for mine, other in zip(values, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"| {name} | {middle:.3f} ± {(high - low) / 2 / rounds**0.5:.3f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
