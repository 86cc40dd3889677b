"""Trainings with one fault each, and healthy ones: what benchmarks/diagnosis.py tries.

A `Case` says which rules name its fault (`expected`: one of them finds it) and which others are
true of it as well (`true`); any other finding above "info" is a false alarm.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn.datasets import photo_digits
from keras_dcnn.layers import RReLU
from keras_dcnn.models import small_cnn

layers, optimizers = keras.layers, keras.optimizers
NUM_TRAIN, NUM_VALIDATION = 1_200, 400
SPARSE = "sparse_categorical_crossentropy"
ON_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SUMMED = keras.losses.SparseCategoricalCrossentropy(reduction="sum")


class Case(NamedTuple):
    """A training: `model(seed)` compiled, `data(seed)`, the arguments of `fit`."""

    name: str
    model: Callable
    data: Callable
    expected: tuple[str, ...] = ()
    true: tuple[str, ...] = ()
    batch_size: int = 32
    epochs: int = 12
    validated: bool = True


def digits(seed, count=NUM_TRAIN):
    """Images 0…255 and labels to train on, to validate and to test; another draw for each seed."""
    parts = photo_digits.load_data(seed=seed)
    counts = count, NUM_VALIDATION, NUM_VALIDATION
    return [(x[:n], y[:n].copy()) for (x, y), n in zip(parts, counts, strict=True)]


def changed(images=None, labels=None, count=NUM_TRAIN):
    """The digits, with all images or labels changed by a function."""

    def data(seed):
        random = np.random.default_rng(seed)
        parts = digits(seed, count)
        if images:
            parts = [(images(x, random), y) for x, y in parts]
        return [(x, labels(y, random)) for x, y in parts] if labels else parts

    return data


def cnn(
    activation="relu",
    kernel_initializer="glorot_uniform",
    bias_initializer="zeros",
    last="softmax",
    units=10,
    widths=(8, 16, 32),
    norm=False,
    dropout=0.0,
    penalty=None,
    scale=True,
    first=list,
    frozen=None,
):
    """A CNN as users write it: convolutions with their activation inside, pooling, two Dense."""
    starts = {"kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer}
    hidden = {"activation": activation, "kernel_regularizer": penalty, **starts}
    model = keras.Sequential([keras.Input((32, 32, 3)), *first()])
    if scale:
        model.add(layers.Rescaling(1 / 255))
    for number, width in enumerate(widths):
        model.add(layers.Conv2D(width, 3, padding="same", **hidden))
        model.layers[-1].trainable = number != frozen
        if norm:
            model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(64, **hidden))
    if dropout:
        model.add(layers.Dropout(dropout))
    model.add(layers.Dense(units, last, **starts))
    return model


def mlp(depth=2, units=64, activation="relu", last="softmax", num_classes=10):
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255)])
    model.add(layers.AveragePooling2D(2))
    model.add(layers.Flatten())
    for _ in range(depth):
        model.add(layers.Dense(units, activation))
    model.add(layers.Dense(num_classes, last))
    return model


def built(make, optimizer=None, loss=SPARSE, **how):
    """A function of the seed that makes and compiles a model."""

    def model(seed):
        keras.utils.set_random_seed(seed)
        made = make(**how)
        chosen = optimizer() if optimizer else optimizers.Adam(1e-3)
        made.compile(chosen, loss, metrics=["accuracy"])
        return made

    return model


def flipped(y_true, y_pred):
    return -keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def transferred():
    """A frozen network, here of random weights, and a head on it."""
    base = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255)])
    base.add(layers.Conv2D(64, 5, strides=2, activation="relu"))
    base.add(layers.Conv2D(64, 3, strides=2, activation="relu"))
    base.add(layers.Flatten())
    base.trainable = False
    return keras.Sequential([base, layers.Dense(10, "softmax")])


def residual():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(inputs))
    for _ in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x)))
        x = layers.add([x, layers.Conv2D(16, 3, padding="same")(y)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(inputs, layers.Dense(10, "softmax")(x))


def rows():
    """An LSTM that reads the rows of an image."""
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255)])
    model.add(layers.Reshape((32, 96)))
    model.add(layers.LSTM(32))
    model.add(layers.Dense(10, "softmax"))
    return model


def leaked(seed):
    train, validation, test = digits(seed)
    half = NUM_VALIDATION // 2
    x = np.concatenate([validation[0][:half], train[0][:half]])
    return [train, (x, np.concatenate([validation[1][:half], train[1][:half]])), test]


def unbalanced(seed):
    """One class 19 of 20 times, in all parts."""
    parts = []
    for x, y in digits(seed, 3_988):
        zero, one = np.flatnonzero(y == 0)[:380], np.flatnonzero(y == 1)
        chosen = np.random.default_rng(seed).permutation([*zero, *one[: len(zero) // 19]])
        parts.append((x[chosen], y[chosen]))
    return parts


def with_nan(x, random):
    x = x.astype("float32")
    x[random.integers(len(x)), 3, 3, 0] = np.nan
    return x


CHANCE = ("chance", "constant_accuracy", "constant_loss", "majority_class", "never_predicted")
NOTHING_LEARNED = (*CHANCE, "validation_at_chance", "underfitting", "batch_not_overfitted",
                   "low_recall")  # fmt: skip
HIGH = ("learning_rate_too_high", "learning_rate_high", "high_rate", "saturated_outputs")
DEAD = ("dead_units", "unchanged_filters", "variance_by_depth", "ignores_input", "no_gradient")
UNSTABLE = (*HIGH, *DEAD, "spikes", "plateau", "update_ratio", "not_finite")
LEARNED_BY_HEART = ("overfitting", "validation_at_chance", "low_recall")
SLOW = ("learning_rate_low", "low_rate", "not_converged", "underfitting", *CHANCE)

FAULTS = (
    Case("rate × 100", built(cnn, lambda: optimizers.Adam(0.1)), digits, HIGH,
         (*UNSTABLE, *NOTHING_LEARNED)),
    Case("rate ÷ 100", built(cnn, lambda: optimizers.Adam(1e-5)), digits,
         ("learning_rate_low", "low_rate"), (*SLOW, *NOTHING_LEARNED, "update_ratio")),
    Case("start at 0", built(cnn, kernel_initializer="zeros"), digits, ("symmetric_kernel",),
         (*NOTHING_LEARNED, *DEAD, "small_start")),
    Case("start at a constant", built(cnn, kernel_initializer=keras.initializers.Constant(0.1)),
         digits, ("symmetric_kernel",),
         (*NOTHING_LEARNED, *UNSTABLE, "large_start", "first_loss", "copied_filters")),
    Case("no scaling", built(cnn, scale=False), digits, ("inputs_not_scaled",),
         ("first_loss", *UNSTABLE, *LEARNED_BY_HEART, "large_start")),
    Case("scaled twice", built(cnn), changed(lambda x, _: (x / 255).astype("float32")),
         ("inputs_too_small",), (*SLOW, *NOTHING_LEARNED, *DEAD)),
    Case("labels shuffled", built(cnn), changed(labels=lambda y, random: random.permutation(y)),
         ("validation_at_chance", "chance"),
         (*NOTHING_LEARNED, *LEARNED_BY_HEART, "same_image_other_label")),
    Case("sign of the loss", built(cnn, loss=flipped), digits, ("negative_loss",),
         (*NOTHING_LEARNED, *UNSTABLE, "not_finite_step")),
    Case("no softmax", built(cnn, last=None), digits, ("not_probabilities",),
         (*NOTHING_LEARNED, *UNSTABLE, "first_loss", "not_finite_step")),
    Case("softmax twice", built(cnn, loss=ON_LOGITS), digits, ("doubled_activation",),
         (*SLOW, *NOTHING_LEARNED, *LEARNED_BY_HEART)),
    Case("softmax on one unit", built(cnn, units=1, loss="binary_crossentropy"),
         changed(labels=lambda y, _: y % 2), ("one_unit",),
         (*NOTHING_LEARNED, "no_gradient", "ignores_input", "saturated_outputs", "first_loss")),
    Case("another loss", built(cnn, loss="mse"), digits,
         ("regression_loss_of_classes", "wrong_number_of_units", "class_numbers_for_one_hot"),
         (*SLOW, *NOTHING_LEARNED, "step_fails", "accuracy_of_regression")),
    Case("too small", built(cnn, widths=(1, 1, 1)), digits, ("underfitting", "narrow_layer"),
         (*SLOW, *NOTHING_LEARNED, "plateau", "dead_units")),
    Case("too few samples", built(cnn, widths=(32, 64, 64)), changed(count=100),
         ("overfitting",), (*LEARNED_BY_HEART, "no_validation"), epochs=60),
    Case("batches of 2", built(cnn, norm=True), digits, ("small_batches", "wide_batch_losses"),
         ("spikes", *LEARNED_BY_HEART), batch_size=2, epochs=4),
    Case("batches of 2000", built(cnn), digits, ("large_batches",),
         (*SLOW, *NOTHING_LEARNED), batch_size=2_000),
    Case("dead units", built(cnn, bias_initializer=keras.initializers.Constant(-5.0)), digits,
         ("dead_units", "ignores_input", "no_gradient"),
         (*NOTHING_LEARNED, *DEAD, "large_start")),
    Case("sigmoid in depth", built(cnn, activation="sigmoid", widths=(8, 8, 8, 8)), digits,
         ("saturating_layers",), (*SLOW, *NOTHING_LEARNED, "saturated_units",
                                  "variance_by_depth", "plateau")),
    Case("validation leaked", built(cnn), leaked, ("duplicates",), LEARNED_BY_HEART),
    Case("layer frozen", built(cnn, frozen=1), digits, ("frozen_between",), LEARNED_BY_HEART),
    Case("penalty of 1", built(cnn, penalty=keras.regularizers.L2(1.0)), digits,
         ("strong_penalty",), (*SLOW, *NOTHING_LEARNED, "dead_units", "variance_by_depth",
                               "ignores_input")),
    Case("dropout of .9", built(cnn, dropout=0.9), digits, ("strong_dropout",),
         (*SLOW, *NOTHING_LEARNED, "validation_better")),
    Case("no activation", built(cnn, activation=None), digits,
         ("linear_layer", "missing_activation"), (*SLOW, *LEARNED_BY_HEART, "underfitting")),
    Case("one class for 19 of 20", built(cnn, units=2), unbalanced,
         ("unbalanced_classes", "majority_class"),
         (*NOTHING_LEARNED, *LEARNED_BY_HEART, "validation_better")),
    Case("augmentation that destroys",
         built(cnn, first=lambda: [layers.RandomCrop(4, 4), layers.Resizing(32, 32)]), digits,
         ("validation_better", "underfitting", *CHANCE[:4], "validation_at_chance"),
         (*SLOW, *NOTHING_LEARNED, *UNSTABLE)),
    Case("labels from 1", built(cnn, units=10), changed(labels=lambda y, _: y + 1),
         ("class_outside", "labels_from_1"), (*NOTHING_LEARNED, *UNSTABLE, "step_fails",
                                              "not_finite_step")),
    Case("loss summed", built(cnn, loss=SUMMED), digits, ("loss_reduction",),
         (*UNSTABLE, *LEARNED_BY_HEART)),
    Case("NaN in an image", built(cnn), changed(with_nan), ("inputs_not_finite",),
         (*NOTHING_LEARNED, "not_finite", "not_finite_step", "weights_not_finite")),
    Case("no validation", built(cnn), digits, ("no_validation",), LEARNED_BY_HEART,
         validated=False),
)  # fmt: skip

# Healthy, and yet with what a training on 1,200 images may truly be told.
COULD_BE_BETTER = (*LEARNED_BY_HEART, "not_converged", "plateau", "validation_better",
                   "never_predicted")  # fmt: skip
HEALTHY = tuple(
    case._replace(true=COULD_BE_BETTER)
    for case in (
        Case("small_cnn: Adam", built(small_cnn, input_shape=(32, 32, 3), num_classes=10, width=8),
             digits),
        Case("small_cnn: RReLU", built(small_cnn, input_shape=(32, 32, 3), num_classes=10, width=8,
                                       activation=RReLU), digits),
        Case("CNN: Adam", built(cnn), digits),
        Case("CNN: AdamW", built(cnn, lambda: optimizers.AdamW(1e-3, 1e-2)), digits),
        Case("CNN: SGD with momentum", built(cnn, lambda: optimizers.SGD(0.02, 0.9)), digits),
        Case("CNN: RMSprop", built(cnn, lambda: optimizers.RMSprop(1e-3)), digits),
        Case("CNN: cosine decay",
             built(cnn, lambda: optimizers.Adam(optimizers.schedules.CosineDecay(3e-3, 456))),
             digits),
        Case("CNN: BatchNorm", built(cnn, norm=True), digits),
        Case("CNN: dropout of .5", built(cnn, dropout=0.5), digits),
        Case("CNN: small penalty", built(cnn, penalty=keras.regularizers.L2(1e-4)), digits),
        Case("CNN on logits", built(cnn, last=None, loss=ON_LOGITS), digits),
        Case("CNN: batches of 128", built(cnn, lambda: optimizers.Adam(2e-3)), digits,
             batch_size=128, epochs=20),
        Case("MLP: tanh", built(mlp, activation="tanh"), digits),
        Case("MLP: two classes", built(mlp, last="sigmoid", num_classes=1,
                                       loss="binary_crossentropy"),
             changed(labels=lambda y, _: y % 2)),
        Case("residual network", built(residual, lambda: optimizers.Adam(5e-3)), digits),
        Case("head on a frozen network", built(transferred, lambda: optimizers.Adam(5e-3)), digits),
        Case("LSTM over rows", built(rows, lambda: optimizers.Adam(3e-3)), digits, epochs=20),
        Case("CNN: 3988 images", built(cnn), changed(count=3_988), epochs=8),
    )
)  # fmt: skip
