"""The state of callbacks as text and arrays, and the files in which it survives."""

import hashlib
import io
import json
import os
import re
import warnings

import numpy as np

from keras_dcnn._files.atomic import move_into_place, remove_leftovers, sha256

_NAME = re.compile(r"epoch-(\d+)(?:-batch-(\d+))?-([0-9a-f]{16})\.npz")


def pack(state):
    """JSON text and a list of arrays for nested dicts and lists of plain values and arrays."""
    arrays = []

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        if not isinstance(value, np.ndarray):
            return value
        dtype = value.dtype.name
        # NumPy's files don't know bfloat16 and its like.
        arrays.append(value.view(f"u{value.itemsize}") if value.dtype.kind == "V" else value)
        return {"array": len(arrays) - 1, "dtype": dtype}

    return json.dumps(plain(state), allow_nan=False), arrays


def unpack(text, arrays):
    """What was packed; lists for tuples."""

    def restore(value):
        if isinstance(value, dict) and value.keys() == {"array", "dtype"}:
            return np.asarray(arrays[value["array"]]).view(value["dtype"])
        return value

    return json.loads(text, object_hook=restore)


def write_state(folder, epoch, state, batch=0):
    """Write the state after so many epochs, and batches; that before it is kept, older ones go.

    The name holds the checksum, so that a file comes to be together with its checksum.
    """
    text, arrays = pack(state)
    temporary = folder / f".{os.getpid()}-state.npz"
    try:
        np.savez(temporary, text=np.frombuffer(text.encode(), "uint8"), *arrays)  # noqa: B026
        within = f"-batch-{batch:07d}" if batch else ""
        path = folder / f"epoch-{epoch:05d}{within}-{sha256(temporary)[:16]}.npz"
        move_into_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    others = [one for one in _files(folder) if one.name != path.name]
    before = [one for one in others if _place(one) < (epoch, batch)][-1:]
    for other in others:
        if other not in before:
            other.unlink(missing_ok=True)


def read_state(folder):
    """The newest state, or None where there is none.

    A file that was damaged is named in a warning and the one before it is read; ValueError where
    that is damaged too.
    """
    if not folder.is_dir():
        return None
    remove_leftovers(folder, "state.npz")
    damaged = []
    for path in reversed(_files(folder)):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest()[:16] != _NAME.fullmatch(path.name).group(3):
            damaged.append(path.name)
            continue
        if damaged:
            warnings.warn(
                f"{folder / damaged[0]} does not match its checksum: the training goes on from "
                f"{path.name}, which is older.",
                stacklevel=2,
            )
        return _read(content)
    if damaged:
        raise ValueError(
            f"a state must match its checksum; those in {folder} do not ({', '.join(damaged)}): "
            "restore one, or delete the folder to train from the beginning."
        )
    return None


def _read(content):
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files) - 1)]
        return unpack(bytes(file["text"]).decode(), arrays)


def _files(folder):
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (_place(path), path.stat().st_mtime_ns))


def _place(path):
    """The epochs and the batches of the next one that had ended."""
    epoch, batch, _ = _NAME.fullmatch(path.name).groups()
    return int(epoch), int(batch or 0)
