"""Checkpoints of every kind, held against the model that is given their weights."""

import contextlib
import functools
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from keras_dcnn._checks import as_path, check_built_model
from keras_dcnn._files.members import (
    DamagedMemberError,
    ListedMember,
    check_member,
    listed_members,
    read_architecture,
    write_member,
)
from keras_dcnn._structure.differences import code_difference, config_difference, config_of


class Checkpoint(NamedTuple):
    """Weights under a name, and what gives them to the model."""

    name: str
    give: Callable


def open_checkpoints(argument, model, given, shares_of=None):
    """The checkpoints, each of which is there and of the model's architecture; and their shares.

    `shares_of(count)` gives the shares, 1 without it. What has a share of 0 is not looked at.
    """
    if isinstance(given, (str, os.PathLike)):
        given = listed_members(as_path(argument, given))
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"`{argument}` must be a list, or the directory of a CheckpointEnsemble; got "
            f"{type(given).__name__}."
        )
    if not given:
        raise ValueError(f"`{argument}` must hold at least one checkpoint; got none.")
    shares = shares_of(len(given)) if shares_of else (1.0,) * len(given)
    wanted = functools.cache(lambda: (_layout_of(model), config_of(model)))
    opened = [
        _open(argument, i, one, model, wanted) if share else Checkpoint(_name(i, one), None)
        for i, (one, share) in enumerate(zip(given, shares, strict=True))
    ]
    return opened, shares


def _name(i, given):
    if isinstance(given, (str, os.PathLike, ListedMember)):
        return str(getattr(given, "path", given))
    return f"model {i} `{given.name}`" if isinstance(given, keras.Model) else f"checkpoint {i}"


def _open(argument, i, given, model, wanted):
    if isinstance(given, ListedMember):
        check_member(given.path, given.checksum)
        config = read_architecture(given.architecture)[0]
        return _from_file(given.path, model, wanted, config)
    if isinstance(given, (str, os.PathLike)):
        return _from_file(as_path(argument, given), model, wanted)
    if isinstance(given, keras.Model):
        return _from_model(_name(i, given), given, model)
    if isinstance(given, (list, tuple)):
        return _from_arrays(_name(i, given), [np.asarray(array) for array in given], model)
    raise TypeError(
        f"`{argument}` must be files, Keras models or lists of arrays; got "
        f"{type(given).__name__} at position {i}."
    )


def _from_model(name, given, model):
    check_built_model(given, name)
    own = {id(weight) for weight in model.weights}
    if any(id(weight) in own for weight in given.weights):  # they are about to change
        checkpoint = _from_arrays(name, given.get_weights(), model)
    else:
        checkpoint = _from_values(name, given.weights, model)
    how = config_difference(config_of(given), config_of(model)) or code_difference(given, model)
    if how:
        raise _other_architecture(name, model, f"{how}; its `get_weights()` would be taken")
    return checkpoint


def _from_arrays(name, arrays, model):
    for array in arrays:
        if array.dtype.kind not in "biufcV":
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


def _from_file(path, model, wanted, config=None):
    if not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(f"a checkpoint's file must end in .weights.h5 or .keras; got {path}.")
    with _weights_file(path) as file:
        found = _layout(file)
    layout, own = wanted()
    _check_layout(path, model, found, layout)
    how = config_difference(config or _config_in(path), own)
    if how:
        raise _other_architecture(path, model, how)

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


def _config_in(path):
    """The configuration in a `.keras` file; None for a file of weights, which has none."""
    if path.suffix != ".keras":
        return None
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


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
