"""`keras-dcnn doctor`: what is wrong with curves, with a model, or with the installation."""

import dataclasses
import json
import warnings
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._command.arguments import MODELS
from keras_dcnn._command.environment import check_environment, environment
from keras_dcnn._files.run_folder import HISTORY, MODEL, holds_ended_run
from keras_dcnn.datasets import image_folder
from keras_dcnn.diagnosis import Finding, diagnose, examine, examine_predictions, preflight
from keras_dcnn.diagnosis._preflight.losses import losses_of
from keras_dcnn.diagnosis.finding import plain, worst_first
from keras_dcnn.ensemble import Ensemble
from keras_dcnn.recipes import ImageClassifier
from keras_dcnn.recipes._screen import Screen

_FAULTS = ("error", "warning")


class DoctorError(ValueError):
    """What can't be read; the message names the file and the reason."""


class Images(NamedTuple):
    """The images of a folder, their classes and the classes' names."""

    x: np.ndarray
    y: np.ndarray
    class_names: list[str]


class Examined(NamedTuple):
    """What was found in one file, or in the installation."""

    name: str
    facts: dict[str, Any]
    findings: list[Finding]


def doctor(files, directory, as_json):
    """Examine histories and models, or with no file the installation; returns the exit code."""
    files = [one for file in files for one in _of_run(file)]
    models = [file for file in files if file.suffix in MODELS]
    if directory is not None and not models:
        raise DoctorError("--data needs a model to be tried on it: name a .keras file too.")
    examined = [examine_file(file, directory) for file in files] or [_installation()]
    if as_json:
        print(json.dumps([_as_data(one) for one in examined], indent=2))
    else:
        for one in examined:
            _print(one)
    return int(any(found.severity in _FAULTS for one in examined for found in one.findings))


def _of_run(file):
    """The model and the curves of a run's folder; of all else itself."""
    if not holds_ended_run(file):
        return [file]
    return [one for one in (file / MODEL, file / HISTORY) if one.is_file()]


def examine_file(file, directory=None):
    """What is found in a model, or in the curves of a training."""
    if not file.exists():
        raise FileNotFoundError(2, "no such file", str(file))
    if file.suffix in MODELS:
        return _model(file, directory)
    try:
        return Examined(str(file), {}, diagnose(file))
    except (TypeError, ValueError) as error:
        raise DoctorError(f"{file}: {error}") from error


def _installation():
    return Examined("this installation", environment(), check_environment())


def _model(file, directory):
    try:
        with warnings.catch_warnings(action="ignore"):  # an optimizer that made no step yet
            model = keras.saving.load_model(file)
    except Exception as error:  # of Keras, h5py, zipfile and json, of many kinds
        reason = str(error).partition("\n")[0]
        raise DoctorError(f"{file} can't be loaded as a Keras model: {reason}") from error
    if isinstance(model, ImageClassifier):
        model = model.network
    if isinstance(model, Ensemble):  # of one kind: the first stands for all
        model = model.members[0]
    facts = {"layers": len(model.layers), "parameters": model.count_params()}
    if directory is None:
        return Examined(str(file), facts, preflight(model))
    if not isinstance(model.output_shape, tuple):
        raise DoctorError(f"--data needs a model of one output; {file} has several.")
    images = read_images(directory, model)
    facts["images"], facts["classes"] = len(images.y), images.class_names
    return Examined(str(file), facts, _with_images(model, images))


def _with_images(model, images):
    """Findings on a model and images, each once."""
    labels = images.y
    if _takes_one_hot(model):
        labels = np.eye(len(images.class_names), dtype="float32")[images.y]
    found = preflight(model, images.x, labels)
    found += examine(model, (images.x, labels) if model.compiled else images.x)
    predictions = model.predict(images.x, verbose=0)
    if _are_scores(predictions, len(images.class_names)):
        found += examine_predictions(images.y, predictions, images.class_names)
    return list(dict.fromkeys(worst_first(found)))


def read_images(directory, model):
    """All images of a folder, at the model's size; DoctorError where it has none."""
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] != 3:
        raise DoctorError(f"--data needs a model of images in RGB; this takes the shape {shape}.")
    height, width = shape[1:3]
    if height is None or height != width:
        raise DoctorError(f"--data needs a model of square images of one size; it takes {shape}.")
    *parts, class_names = image_folder.load_data(directory, height)
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Images(x, y, list(class_names))


def _takes_one_hot(model):
    """Whether a model's loss takes one-hot rows, and not class numbers."""
    loss = losses_of(model, [model.name])[0]
    several = model.output_shape[-1:] > (1,)
    return loss is not None and several and loss.family in ("categorical", "binary")


def _are_scores(predictions, count):
    """Whether these are scores of so many classes, (samples, classes) or (samples, 1) of two."""
    if not isinstance(predictions, np.ndarray) or predictions.ndim != 2:
        return False
    right = predictions.shape[1] == count or (predictions.shape[1], count) == (1, 2)
    return right and bool(np.isfinite(predictions).all())


def _print(examined):
    facts = [f"{name} {_text(value)}" for name, value in examined.facts.items()]
    print("\n  ".join([f"{examined.name}:", *facts]))
    Screen().findings(examined.findings)
    if not examined.findings:
        print("nothing found")


def _text(value):
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _as_data(examined):
    findings = [dataclasses.asdict(plain(one)) for one in examined.findings]
    return {"name": examined.name, "facts": examined.facts, "findings": findings}
