"""The installation: versions, devices, extras, and whether ten steps of training work."""

import platform
from importlib import import_module, metadata
from importlib.util import find_spec

import keras
import numpy as np

from keras_dcnn import callbacks, constraints, layers
from keras_dcnn._keras.names import missing_names
from keras_dcnn._version import __version__
from keras_dcnn.diagnosis.finding import Finding

_OPTIONAL = ("PIL", "matplotlib", "sklearn", "jinja2", "joblib", "skimage")
_STEPS, _BATCH, _SIDE = 10, 8, 16


def environment():
    """What runs here, as a dict of texts and lists."""
    backend = keras.backend.backend()
    return {
        "keras_dcnn": __version__,
        "keras": keras.version(),
        "backend": f"{backend} {import_module(backend).__version__}",
        "devices": _devices(backend),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "optional packages": [name for name in _OPTIONAL if find_spec(name)],
        "missing packages": [name for name in _OPTIONAL if not find_spec(name)],
    }


def _devices(backend):
    if backend != "torch":
        return keras.distribution.list_devices()
    count = import_module("torch").cuda.device_count()  # which Keras 3.15 can't list
    return [f"cuda:{number}" for number in range(count)] or ["cpu:0"]


def check_environment():
    """Findings on Keras's private names, and on ten steps with our parts, without XLA and with."""
    found = []
    missing = missing_names()
    if missing:
        found.append(
            Finding(
                "missing_names",
                f"Keras {keras.version()} lacks {', '.join(missing)}, which keras_dcnn needs",
                f"install the Keras that keras_dcnn asks for: {_wanted()}",
                severity="error",
            )
        )
    plain = _reason_against(jit_compile=False)
    if plain:
        return [*found, _failed("training_fails", "ten steps of training fail", plain, "error")]
    if keras.backend.backend() == "torch":  # there `jit_compile` is not XLA
        return found
    compiled = _reason_against(jit_compile=True)
    if compiled:
        found.append(_failed("xla_fails", "training fails when XLA compiles it", compiled))
    return found


def _failed(rule, message, reason, severity="warning"):
    advice = "install the backend anew, and give `compile` jit_compile=False until then"
    return Finding(rule, f"{message} ({reason})", advice, severity=severity)


def _wanted():
    return next(one for one in metadata.requires("keras_dcnn") or ["keras"] if "keras" in one)


def _reason_against(jit_compile):
    """Why ten steps with parts of each kind can't be trained; None where they can."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((_SIDE, _SIDE, 3)),
            layers.RandomHSV(),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, kernel_constraint=constraints.MaxNorm(2.0)),
            layers.RReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    x = np.random.default_rng(0).integers(0, 256, (_STEPS * _BATCH, _SIDE, _SIDE, 3))
    y = np.arange(len(x)) % 2
    recorder = callbacks.CurveRecorder()
    try:
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        model.fit(x, y, batch_size=_BATCH, verbose=0, callbacks=[recorder])
    except Exception as error:  # whatever it is, it is what is to be told
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    losses = recorder.points()["loss"]
    return None if np.isfinite(losses).all() else "the loss is not finite"
