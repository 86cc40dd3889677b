"""What a run of several trainings keeps in its directory, so that it goes on after a kill.

`run.json` says which run it is. A finished training NAME has three files: `NAME.weights.h5`,
`NAME.npz` with its history, metrics and held-out predictions, and, written last, `NAME.json` with
the checksums of both. `manifest.json` comes at the end and lists the chosen members.
"""

import hashlib
import json
import math
import re
import warnings

import keras
import numpy as np

from keras_dcnn._data import as_array
from keras_dcnn._files import atomic_write, remove_leftovers, sha256, write_json
from keras_dcnn._member_files import MANIFEST, write_member

RUN = "run.json"


def begin(directory, run):
    """Make the directory that of this run, or see that it is already; ValueError if of another."""
    directory.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.json", "*.npz", "*.npy", "*.weights.h5"):
        remove_leftovers(directory, pattern)
    run, path = describe(run), directory / RUN
    if not path.is_file():
        if (directory / MANIFEST).exists() or any(directory.glob("*.weights.h5")):
            raise ValueError(
                f"`directory` must be new, or hold a run to go on with; {directory} holds the "
                f"members of something else, without {RUN}: choose another directory."
            )
        write_json(path, run)
        return
    there = _read_json(path) or {}
    differing = [key for key in {**run, **there} if run.get(key) != there.get(key)]
    if differing:
        told = "; ".join(_difference(key, run.get(key), there.get(key)) for key in differing)
        raise ValueError(
            f"`directory` must hold the same run, to go on with it; that in {directory} differs "
            f"in {told}: choose another directory."
        )


def describe(value):
    """Plain JSON values that tell a run from another; a digest for arrays and for Keras's parts."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [describe(one) for one in value]
    if isinstance(value, dict):
        return {str(key): describe(one) for key, one in value.items()}
    if getattr(value, "shape", None):
        return f"array {array_digest(value)}"
    if hasattr(value, "__qualname__"):
        return value.__qualname__
    configured = hasattr(value, "get_config") and not isinstance(value, type)
    name = type(value).__qualname__
    return {name: describe(value.get_config())} if configured else name


def array_digest(array):
    """A short text that tells arrays apart."""
    array = np.ascontiguousarray(as_array(array))
    hashed = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=8)
    hashed.update(array.reshape(-1).view("uint8"))
    return hashed.hexdigest()


def model_digest(model):
    """A short text that tells models apart by their configuration."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        text = json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True)
    text = re.sub(r'"shared_object_id": \d+', "", text)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_result(directory, name, model, arrays, seconds):
    """Write what a training gave; it counts as done with the last file."""
    entry = write_member(model, directory / f"{name}.weights.h5")
    path = directory / f"{name}.npz"
    with atomic_write(path) as temporary:
        np.savez(temporary, **arrays)
    files = {entry["file"]: entry["sha256"], path.name: sha256(path)}
    write_json(directory / f"{name}.json", {"files": files, "seconds": round(seconds, 3)})


def write_array(path, array):
    """Write an array to a `.npy` file, whole or not at all."""
    with atomic_write(path) as temporary:
        np.save(temporary, array, allow_pickle=False)


def is_done(directory, name, label):
    """Whether all files of a training are there and whole; warns where they once were."""
    path = directory / f"{name}.json"
    if not path.is_file():
        return False
    files = (_read_json(path) or {}).get("files", {path.name: None})
    damaged = [f for f, checksum in files.items() if not _matches(directory / f, checksum)]
    if damaged:
        warnings.warn(
            f"{directory / damaged[0]} is missing or was changed: {label} is trained again.",
            stacklevel=2,
        )
        path.unlink()
    return not damaged


def read_result(directory, name):
    """The entry of the manifest for a finished training, and its arrays by name."""
    path = directory / f"{name}.json"
    if not path.is_file():
        raise ValueError(
            f"`directory` must be one that every worker and this process see; {path}, which a "
            "worker wrote, is not here: choose one on a file system that they share."
        )
    member = f"{name}.weights.h5"
    entry = {"file": member, "sha256": _read_json(path)["files"][member]}
    with np.load(directory / f"{name}.npz", allow_pickle=False) as arrays:
        return entry, dict(arrays)


def history_of(arrays):
    """What `fit` recorded of a finished training: a list of numbers for each name."""
    names = [name for name in arrays if name.startswith("history/")]
    return {name.removeprefix("history/"): arrays[name].tolist() for name in names}


def _matches(path, checksum):
    return path.is_file() and sha256(path) == checksum


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # damaged: like an empty one
        return None


def _difference(key, here, there):
    texts = [str(value) for value in (here, there)]
    short = all(len(text) <= 60 and "array " not in text for text in texts)
    return f"its {key} ({texts[1]} there, {texts[0]} here)" if short else f"its {key}"
