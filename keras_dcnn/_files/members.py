"""Members of an ensemble on disk: a file of weights for each, their architecture beside them."""

import errno
import itertools
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn._files.atomic import atomic_write, sha256, write_json
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.optimizers import held_optimizers
from keras_dcnn._structure.architecture import without_names

MANIFEST = "manifest.json"  # {"members": [{"file", "sha256", "architecture"?, …}, …], …}
ARCHITECTURE = "architecture.json"  # of the members whose entry names no other


class DamagedMemberError(ValueError):
    """A member's file, or the manifest, is missing or is not what was written."""


class ListedMember(NamedTuple):
    """An entry of a manifest: the files, and the checksum of the first."""

    path: Path
    checksum: str
    architecture: Path
    trained_on: Path | None = None


def read_manifest(directory):
    """The manifest of a directory, as it was written; its "members" have "file" and "sha256".

    Raises ValueError where there is none, and DamagedMemberError where it is broken.
    """
    directory = Path(directory)
    path = directory / MANIFEST
    if not path.is_file():
        what = "has none: list the files, as in sorted(Path(directory).iterdir())"
        if not directory.is_dir():
            what = f"is {'a file' if directory.exists() else 'not there'}: correct the path"
        raise ValueError(
            f"members must be a list of files or in a directory with a {MANIFEST}; {directory} "
            f"{what}."
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for entry in manifest["members"]:
            directory / entry["file"], str(entry["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedMemberError(
            f"a {MANIFEST} must be as it was written; {path} can't be read ({error!r}): restore "
            "it, or delete it and list the files."
        ) from error
    return manifest


def write_manifest(directory, members, **more):
    """List members, each the entry of its file and what else is known of it, in the manifest."""
    write_json(directory / MANIFEST, {"format": 1, **more, "members": members})


def listed_members(directory):
    """The members that the manifest of a directory lists, with their paths."""
    directory = Path(directory)
    return [
        ListedMember(
            directory / entry["file"],
            entry["sha256"],
            directory / entry.get("architecture", ARCHITECTURE),
            directory / entry["trained_on"] if entry.get("trained_on") else None,
        )
        for entry in read_manifest(directory)["members"]
    ]


def write_architecture(model, path):
    """Write what makes the model anew, without weights, and how it is compiled."""
    config = keras.saving.serialize_keras_object(model)
    write_json(path, config, allow_nan=True)  # as Keras does, of infinite limits of layers


def write_other_architecture(model, directory):
    """The same in a directory that has one already: {} where that is its, else whose it is.

    As where a layer was changed between two fits; what goes into the member's entry.
    """
    config = without_names(json.loads(json.dumps(keras.saving.serialize_keras_object(model))))
    for i in itertools.count():
        path = directory / (f"architecture-{i}.json" if i else ARCHITECTURE)
        if not path.is_file():
            write_architecture(model, path)
        elif without_names(read_architecture(path)[0]) != config:
            continue
        return {"architecture": path.name} if i else {}


def read_architecture(path):
    """The configuration of a model, and that of its compilation or None."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedMemberError(
            f"what members are made of must be as it was written; {path} can't be read ({error}): "
            "restore it, or make the model and load the files of weights into it."
        ) from error
    return config, config.pop("compile_config", None)


def write_member(model, path):
    """Write the weights, whole or not at all; its entry of the manifest.

    Raises OSError where the disk is full, which HDF5 by itself would not survive.
    """
    with atomic_write(path) as temporary:
        _check_space(model, path.parent)
        optimizers = [one.optimizer for one in held_optimizers(model)]
        keras.saving.save_weights(model, temporary, objects_to_skip=optimizers)
    return {"file": path.name, "sha256": sha256(path)}


def check_member(path, checksum):
    """Raise DamagedMemberError, which names the file, unless it matches its checksum."""
    if not path.is_file() or sha256(path) != checksum:
        raise DamagedMemberError(
            f"every member must match its checksum; {path} is missing or was changed: "
            f"restore it, or take it out of {MANIFEST}."
        )


def _check_space(model, folder):
    """HDF5 spends one or two thousand bytes on a name."""
    size = sum(8 * int(np.prod(w.shape)) for w in model.weights)
    size += 4096 * (len(model.weights) + len(all_layers(model)) + 4)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            errno.ENOSPC, f"{size:,} bytes may be needed and {free:,} are free", str(folder)
        )
