"""Checkpoints of every kind, read variable by variable, so that none is in memory whole."""

import contextlib
import json
import math
import os
from pathlib import Path

import keras
import ml_dtypes
import numpy as np

from keras_dcnn._files.members import MANIFEST, check_member
from keras_dcnn.ensemble.averaging._weight_files import (
    datasets,
    float_weights,
    other_architecture,
    other_shape,
    unreadable,
)

_PART = 1 << 20  # values that are read at a time


class Checkpoint:
    """Weights of one model under a name."""

    def __init__(self, name, variables, sources):
        self.name = name
        self._variables = variables
        self._sources = sources  # makes a context manager that gives one array for each variable

    def read(self):
        """Yield for each variable an iterator over parts of it: (where, values in float64)."""
        with self._sources() as sources:
            for variable, source in zip(self._variables, sources, strict=True):
                yield self._parts(variable, source)

    def _parts(self, variable, source):
        for where in _slices(source.shape):
            try:
                values = _float64(source[where])
            except OSError as error:
                raise unreadable(self.name, error) from error
            if not np.isfinite(values).all():
                raise ValueError(
                    f"the weights must be finite; `{variable.path}` of {self.name} holds NaN or "
                    "infinity: leave this one out."
                )
            yield where, values


def open_checkpoints(argument, model, given):
    """The checkpoints, each of which is there and has the shapes of the model's weights."""
    if isinstance(given, (str, os.PathLike)):
        given = _members(argument, Path(given))
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"`{argument}` must be a list, or the directory of a CheckpointEnsemble; got "
            f"{type(given).__name__}."
        )
    if not given:
        raise ValueError(f"`{argument}` must hold at least one checkpoint; got none.")
    return [_open(argument, i, one, model) for i, one in enumerate(given)]


def _members(argument, directory):
    """The files that a manifest lists, each as it was written."""
    path = directory / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"`{argument}` must be a list, or a directory with a {MANIFEST}; {directory} has none: "
            "list the files, as in sorted(Path(directory).glob('*.weights.h5'))."
        )
    try:
        members = json.loads(path.read_text(encoding="utf-8"))["members"]
        listed = [(directory / member["file"], member["sha256"]) for member in members]
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error) from error
    for file, checksum in listed:
        check_member(file, checksum)
    return [file for file, _ in listed]


def _open(argument, i, given, model):
    if isinstance(given, (str, os.PathLike)):
        return _from_file(Path(given), model)
    if isinstance(given, keras.Model):
        return _from_model(i, given, model)
    if isinstance(given, (list, tuple)):
        return _from_arrays(f"checkpoint {i}", given, model)
    raise TypeError(
        f"`{argument}` must be files, Keras models or lists of arrays; got "
        f"{type(given).__name__} at position {i}."
    )


def _from_arrays(name, arrays, model):
    arrays = [np.asarray(array) for array in arrays]
    for array in arrays:
        if array.dtype.kind not in "biufV":
            raise TypeError(f"weights must be numbers; {name} holds an array of {array.dtype}.")
    _check_shapes(name, [array.shape for array in arrays], model)
    return Checkpoint(name, float_weights(model), lambda: _floats(arrays, model))


def _from_model(i, given, model):
    name = f"model {i} `{given.name}`"
    if not given.built:
        raise ValueError(f"every model must be built; {name} is not: call it once.")
    own = {id(weight) for weight in model.weights}
    if any(id(weight) in own for weight in given.weights):  # they are about to change
        return _from_arrays(name, given.get_weights(), model)
    _check_shapes(name, [tuple(weight.shape) for weight in given.weights], model)
    return Checkpoint(name, float_weights(model), lambda: _floats(given.weights, model))


@contextlib.contextmanager
def _floats(values, model):
    pairs = zip(values, model.weights, strict=True)
    chosen = [value for value, w in pairs if keras.backend.is_float_dtype(w.dtype)]
    yield (keras.ops.convert_to_numpy(v) if isinstance(v, keras.Variable) else v for v in chosen)


def _check_shapes(name, shapes, model):
    weights = model.weights
    for shape, weight in zip(shapes, weights, strict=False):
        if tuple(shape) != tuple(weight.shape):
            raise other_shape(name, model, weight, shape)
    if len(shapes) != len(weights):
        raise other_architecture(
            name, model, f"it has {len(shapes)} weights, the model {len(weights)}"
        )


def _from_file(path, model):
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(f"a checkpoint's file must end in .weights.h5 or .keras; got {path}.")
    return Checkpoint(str(path), float_weights(model), datasets(path, model))


def _slices(shape):
    """Parts along the first axis of about `_PART` values."""
    if not shape:
        yield ()
        return
    rows = max(1, _PART // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], rows):
        yield slice(start, start + rows)


def _float64(values):
    values = np.asarray(values)
    if values.dtype.kind == "V":  # HDF5 does not know bfloat16
        values = values.view(ml_dtypes.bfloat16)
    return values.astype("float64", copy=False)
