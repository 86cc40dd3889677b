"""What rates by layer cost per training step: EfficientNet-Lite0, AdamW, compiled by XLA.

Usage: KERAS_BACKEND=jax python benchmarks/layerwise_step.py [rounds]

The update of the weights by itself, which is all that differs: with one optimizer, with that of
`layerwise_optimizer`, and with an optimizer for each group, as `GradualUnfreeze` makes. All take
turns; the ratio to one optimizer is that within the round, and its repetition shows what such a
comparison can't tell. Then a whole step of 16 small images, so that the share of the update is
seen. TensorFlow and JAX. Prints the rows of FINE_TUNING.md.
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


def update(model, make, gradients):
    """A compiled update, which changes the weights, as a function without arguments."""
    optimizer, variables = make(model), model.trainable_variables
    optimizer.build(variables)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        apply = tf.function(lambda: optimizer.apply(gradients, variables), jit_compile=True)
        return lambda: (apply(), variables[-1].numpy())
    import jax

    apply = jax.jit(optimizer.stateless_apply, donate_argnums=(0, 2))
    held = [jax.numpy.array(one.value) for one in optimizer.variables]
    weights = [jax.numpy.array(one.value) for one in variables]

    def run():
        weights[:], held[:] = jax.block_until_ready(apply(held, gradients, weights))

    return run


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


class Clock(keras.callbacks.Callback):
    """Measures the steps; it has logs to look at, so that Keras waits for each."""

    seconds = ()

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds = [*self.seconds, time.perf_counter() - self.start]


def whole_step(model, rng):
    x = rng.uniform(0, 255, (BATCH * STEPS, SIDE, SIDE, 3)).astype("float32")
    clock = Clock()
    model.compile(one(model), "sparse_categorical_crossentropy", jit_compile=True)
    y = rng.integers(0, CLASSES, len(x))
    model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[clock])
    return statistics.median(clock.seconds[1:])


def main(rounds):
    rng = np.random.default_rng(0)
    model = efficientnet_lite(weights=None, input_shape=(SIDE, SIDE, 3), classes=CLASSES)
    gradients = [
        keras.ops.convert_to_tensor(rng.normal(size=v.shape).astype("float32"))
        for v in model.trainable_variables
    ]
    runs = {name: update(model, make, gradients) for name, make in {"": one, **CONTESTANTS}.items()}
    for run in runs.values():
        run()  # compiles
    taken = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(seconds(run))
    base = taken.pop("")
    print(f"{keras.backend.backend()}: {1000 * statistics.median(base):.1f} ms an update")
    for name, values in taken.items():
        ratios = [mine / other for mine, other in zip(values, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        error = (high - low) / 2 / rounds**0.5
        print(f"| {name} | {middle:.3f} ± {error:.3f} |", flush=True)
    print(f"{1000 * whole_step(model, rng):.0f} ms a step of {BATCH} images")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
