"""Checkpoints of every kind, held against the model that is given their weights."""

import contextlib
import functools
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from keras_dcnn._checks import check_built_model
from keras_dcnn._files.members import (
    DamagedMemberError,
    check_member,
    listed_members,
    write_member,
)


class Checkpoint(NamedTuple):
    """Weights under a name, and what gives them to the model."""

    name: str
    give: Callable


def open_checkpoints(argument, model, given):
    """The checkpoints, each of which is there and has the shapes of the model's weights."""
    if isinstance(given, (str, os.PathLike)):
        members = listed_members(given)
        for member in members:
            check_member(member.path, member.checksum)
        given = [member.path for member in members]
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"`{argument}` must be a list, or the directory of a CheckpointEnsemble; got "
            f"{type(given).__name__}."
        )
    if not given:
        raise ValueError(f"`{argument}` must hold at least one checkpoint; got none.")
    wanted = functools.cache(lambda: _layout_of(model))
    return [_open(argument, i, one, model, wanted) for i, one in enumerate(given)]


def _open(argument, i, given, model, wanted):
    if isinstance(given, (str, os.PathLike)):
        return _from_file(Path(given), model, wanted)
    if isinstance(given, keras.Model):
        return _from_model(f"model {i} `{given.name}`", given, model)
    if isinstance(given, (list, tuple)):
        return _from_arrays(f"checkpoint {i}", [np.asarray(array) for array in given], model)
    raise TypeError(
        f"`{argument}` must be files, Keras models or lists of arrays; got "
        f"{type(given).__name__} at position {i}."
    )


def _from_model(name, given, model):
    check_built_model(given, name)
    own = {id(weight) for weight in model.weights}
    if any(id(weight) in own for weight in given.weights):  # they are about to change
        return _from_arrays(name, given.get_weights(), model)
    return _from_values(name, given.weights, model)


def _from_arrays(name, arrays, model):
    for array in arrays:
        if array.dtype.kind not in "biufV":
            raise TypeError(f"weights must be numbers; {name} holds an array of {array.dtype}.")
    return _from_values(name, arrays, model)


def _from_values(name, values, model):
    weights = model.weights
    for value, weight in zip(values, weights, strict=False):
        if tuple(value.shape) != tuple(weight.shape):
            raise _other_shape(name, model, weight.path, value.shape, weight.shape)
    if len(values) != len(weights):
        how = f"it has {len(values)} weights, the model {len(weights)}"
        raise _other_architecture(name, model, how)

    def give():
        for value, weight in zip(values, weights, strict=True):
            weight.assign(keras.ops.convert_to_numpy(value))

    return Checkpoint(name, give)


def _from_file(path, model, wanted):
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(f"a checkpoint's file must end in .weights.h5 or .keras; got {path}.")
    with _weights_file(path) as file:
        found = _layout(file)
    _check_layout(path, model, found, wanted())

    def give():
        with _weights_file(path) as file:
            optimizer = getattr(model, "optimizer", None)
            keras.saving.load_weights(model, file, objects_to_skip=[optimizer])

    return Checkpoint(str(path), give)


@contextlib.contextmanager
def _weights_file(path):
    """The path of a file of weights; that inside a `.keras` file is unpacked for the block."""
    try:
        if path.suffix != ".keras":
            yield path
            return
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            yield archive.extract("model.weights.h5", folder)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DamagedMemberError(
            f"every checkpoint must be a whole file of weights; {path} can't be read ({error}): "
            "restore it, or leave it out."
        ) from error


def _layout(file):
    """The shape of each array in a file of weights by its place, but for the optimizer's."""
    shapes = {}

    def note(place, thing):
        if isinstance(thing, h5py.Dataset) and not place.startswith("optimizer/"):
            shapes[place] = thing.shape

    with h5py.File(file, "r") as opened:
        opened.visititems(note)
    return shapes


def _layout_of(model):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.weights.h5"
        write_member(model, path)
        return _layout(path)


def _check_layout(path, model, found, wanted):
    """Raise ValueError unless the file has what the model has; Keras passes over what is more."""
    for place, shape in wanted.items():
        if place not in found:
            raise _other_architecture(path, model, f"it has nothing for {place} of shape {shape}")
        if found[place] != shape:
            raise _other_shape(path, model, place, found[place], shape)
    for place in sorted(found.keys() - wanted.keys()):
        how = f"it has {place} of the shape {found[place]}, the model has not"
        raise _other_architecture(path, model, how)


def _other_architecture(name, model, how):
    return ValueError(
        f"every checkpoint must have the architecture of `{model.name}`; {name} has another: {how}."
    )


def _other_shape(name, model, weight, there, own):
    how = f"`{weight}` has the shape {tuple(there)} there, {tuple(own)} in the model"
    return _other_architecture(name, model, how)
