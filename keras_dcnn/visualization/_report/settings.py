"""Settings, the model and the versions, as rows of texts."""

import platform
from collections.abc import Mapping
from importlib import import_module

import keras
import numpy as np

from keras_dcnn._version import __version__


def setting_rows(settings):
    """(name, text) of each, those of dicts in it as `outer.inner`."""
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            rows += [(f"{name}.{inner}", text) for inner, text in setting_rows(value)]
        else:
            rows.append((str(name), as_text(value)))
    return rows


def as_text(value):
    """A value as a reader wants it."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(as_text, value)) or "none"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    return str(value)


def model_rows(model):
    """(name, text) of what a model is."""
    rows = [("name", model.name)]
    if model.built:
        counts = [
            sum(int(np.prod(weight.shape)) for weight in weights)
            for weights in (model.weights, model.trainable_weights)
        ]
        rows.append(("parameters", "{:,}, of which {:,} are trained".format(*counts)))
    shape = getattr(model, "input_shape", None) if getattr(model, "inputs", None) else None
    if shape is not None:
        rows.append(("input", str(shape)))
    if getattr(model, "optimizer", None) is not None:
        rows.append(("optimizer", type(model.optimizer).__name__))
    return rows


def version_rows():
    """(package, version) of what the numbers may depend on."""
    backend = keras.backend.backend()
    return [
        ("keras_dcnn", __version__),
        ("Keras", keras.version()),
        (f"{backend}, the backend", import_module(backend).__version__),
        ("NumPy", np.__version__),
        ("Python", platform.python_version()),
    ]
