"""Small models and checkpoints for the tests of ensembles and of averages of weights."""

import keras
import numpy as np
from trainings import for_few_steps

rng = np.random.default_rng(0)
X = rng.normal(2.0, 3.0, size=(24, 4)).astype("float32")
Y = np.arange(24) % 3


def network(seed=0, norm=True, units=3, dtype=None, compiled=True):
    """Dense, BatchNorm, Dense, with weights that the seed draws, statistics too."""
    layers = [keras.Input((4,)), keras.layers.Dense(5, "tanh", name="hidden", dtype=dtype)]
    layers += [keras.layers.BatchNormalization(name="norm", dtype=dtype)] if norm else []
    layers += [keras.layers.Dense(units, "softmax", name="head", dtype=dtype)]
    model = keras.Sequential(layers)
    draw = np.random.default_rng(seed)
    model.set_weights([draw.uniform(0.5, 1.5, w.shape) for w in model.weights])
    if compiled:
        compile_for_tests(model)
    return model


def compile_for_tests(
    model, optimizer="adam", loss="sparse_categorical_crossentropy", metrics=("accuracy",)
):
    """For few steps; what XLA gives is asked in test_contract.py."""
    model.compile(optimizer, loss, metrics=metrics, **for_few_steps())
    return model


def mean(checkpoints, weights=None):
    """The weighted means in float64."""
    return [
        np.average(np.stack(each).astype("float64"), axis=0, weights=weights)
        for each in zip(*checkpoints, strict=True)
    ]


def loss(model, x=X, y=Y):
    """Cross-entropy of what the model predicts, in NumPy."""
    p = keras.ops.convert_to_numpy(model(x)).astype("float64")
    return -np.log(p[np.arange(len(y)), y]).mean()


def everything(model):
    """All that must not change on an error: weights, seeds, optimizer."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    variables += model.optimizer.variables if model.compiled else []
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def bits(arrays):
    """Values as bytes, so that equal means equal bit for bit."""
    return [(a.dtype.name, a.shape, a.tobytes()) for a in arrays]


def interrupt(monkeypatch, number):
    """Ctrl-C at the end of the evaluation of this number, from 0; a list of those that ended."""
    evaluate, ended = keras.Model.evaluate, []

    def interrupted(model, *args, **kwargs):
        logs = evaluate(model, *args, **kwargs)
        if len(ended) == number:
            raise KeyboardInterrupt
        ended.append(logs)
        return logs

    monkeypatch.setattr(keras.Model, "evaluate", interrupted)
    return ended
