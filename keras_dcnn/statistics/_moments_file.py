"""The files of PixelMoments: JSON, or npz without pickle."""

import json
import math
import zipfile
from pathlib import Path

import numpy as np

from keras_dcnn._checks import as_path, check_choice, check_count
from keras_dcnn._files.atomic import atomic_write, write_json
from keras_dcnn.statistics._sums import make_sums

FORMAT = "keras_dcnn.PixelMoments 1"
ARRAYS = ("low", "high", "first", "second")


def save_moments(path, header, sums):
    """Write a dict of plain values and the sums to `path`, .json or .npz, atomically."""
    header = {"format": FORMAT, **header, "kind": sums.kind, "count": sums.count}
    arrays = {name: getattr(sums, name) for name in ARRAYS}
    path = as_path("path", path)
    if _suffix(path) == ".json":
        write_json(path, {**header, **{name: array.tolist() for name, array in arrays.items()}})
    else:
        with atomic_write(path) as temporary:
            np.savez(temporary, header=np.array(json.dumps(header)), **arrays)


def load_moments(path):
    """The header and the sums that `save_moments` wrote, or ValueError for another file."""
    path = as_path("path", path)
    read = _read_json if _suffix(path) == ".json" else _read_npz
    try:
        state = read(path)
        if state.get("format") != FORMAT:
            raise ValueError(f"it does not say format={FORMAT!r}")
        return state, _restored_sums(state)
    except _FOREIGN as error:
        raise ValueError(
            f"the file must come from PixelMoments.save; got {str(path)!r}, which does not: "
            f"{error or type(error).__name__}. Make it anew."
        ) from error


_FOREIGN = (
    RuntimeError,  # of zipfile, for what it does not know
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    zipfile.BadZipFile,
)


def _restored_sums(state):
    check_choice("per", state["per"], ("channel", "dimension"))
    check_choice("kind", state["kind"], ("uint8", "int8", "float64"))
    check_count("count", state["count"])
    sums = make_sums(state["kind"], math.prod(state["shape"]), state["covariance"])
    sums.count = state["count"]
    for name in ARRAYS:
        array, like = np.asarray(state[name]), getattr(sums, name)
        if array.shape != like.shape or not np.isfinite(array).all():
            raise ValueError(f"`{name}` does not fit the shape {state['shape']}")
        setattr(sums, name, array.astype(like.dtype, casting="safe"))
    return sums


def _suffix(path):
    suffix = Path(path).suffix
    if suffix not in (".json", ".npz"):
        raise ValueError(f"`path` must end in .json or .npz; got {str(path)!r}.")
    return suffix


def _read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _read_npz(path):
    with np.load(path, allow_pickle=False) as members:
        arrays = dict(members)
    return {**json.loads(str(arrays.pop("header"))), **arrays}
