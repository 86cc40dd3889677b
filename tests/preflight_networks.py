"""Small networks for the tests of preflight, and what it finds of them."""

import dataclasses
import functools
import json

import keras
import numpy as np

from keras_dcnn.diagnosis import preflight

L, losses = keras.layers, keras.losses


class Later:
    """Layers and optimizers that a test makes, and not the table that it is in."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return functools.partial(functools.partial, getattr(self.module, name))


M, OPT = Later(keras.layers), Later(keras.optimizers)
SAMPLES = 60
CLASSES = np.arange(SAMPLES) % 3
ROWS = np.eye(3)[CLASSES]
TWO = CLASSES % 2
NUMBERS = np.linspace(-2, 2, SAMPLES)
X = np.random.default_rng(0).normal(size=(SAMPLES, 4))
CE, BCE, SPARSE = (
    "categorical_crossentropy",
    "binary_crossentropy",
    "sparse_categorical_crossentropy",
)
LOGITS = {"from_logits": True}


def network(*last, loss=SPARSE, metrics=None, optimizer="sgd", size=(4,)):
    model = keras.Sequential([keras.Input(size), *made(last)])
    model.compile(*made([optimizer]), loss, metrics=metrics)
    return model


def images(*layers, units=3, size=(8, 8, 3), **compiled):
    last = [L.GlobalAveragePooling2D(), L.Dense(units, activation="softmax")]
    model = keras.Sequential([keras.Input(size), *made(layers), *last])
    model.compile(**{"optimizer": "sgd", "loss": SPARSE, **compiled})
    return model


@functools.cache
def ending_in(units, activation, loss):
    """A network for several tests, which none of them changes."""
    return network(dense(units, activation), loss=loss)


def found(model, *data, **said):
    """The severity of each rule that spoke, advice of the tutorial left out."""
    advice = ("filters", "pooling", "image_side")
    findings = [
        one for one in preflight(model, *data, trial=False, **said) if one.rule not in advice
    ]
    assert all(str(one).endswith(".") and json.dumps(dataclasses.asdict(one)) for one in findings)
    return {one.rule: one.severity for one in findings}


def dense(units, activation=None):
    return M.Dense(units, activation=activation)


def made(parts):
    return [one() if isinstance(one, functools.partial) else one for one in parts]


def softmax_by_hand(z):
    e = keras.ops.exp(z - keras.ops.max(z, axis=-1, keepdims=True))
    return e / keras.ops.sum(e, axis=-1, keepdims=True)


PIXELS = np.random.default_rng(0).integers(0, 256, (SAMPLES, 8, 8, 3))
CONV = M.Conv2D(4, 3, padding="same", activation="relu")
