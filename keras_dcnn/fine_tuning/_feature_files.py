"""Features in memory, or on disk as memory maps that are found again and gone on with."""

import hashlib
import json
import os
import shutil
import time
import warnings

import keras
import numpy as np

from keras_dcnn._checks import check_count
from keras_dcnn._files.atomic import write_json
from keras_dcnn._structure.architecture import without_names

SECONDS = 5.0  # between two states on the disk


_HEADER = 128  # bytes of a .npy file before its numbers


class OtherImagesError(Exception):
    """The features that are there are of other images."""


class FeaturesInMemory:
    """Rows by layer, in arrays."""

    num_rows, where = 0, "in memory"

    def __init__(self, widths):
        self._widths, self._parts = widths, []

    def check_room(self, bound, max_bytes):
        """Raise ValueError where so many rows, None for those that are there, are too many."""
        check_max_bytes(self._widths, self.num_rows if bound is None else bound, max_bytes)

    def unknown(self, x):
        """The images whose rows are not there."""
        return x

    def append(self, rows, x):
        """Add rows by layer, of images `x`."""
        self._parts.append(rows)
        self.num_rows += len(x)

    def finish(self):
        """The rows by layer."""
        by_layer = [*zip(*self._parts, strict=True)]
        self._parts = []
        return tuple(np.concatenate(by_layer.pop(0)) for _ in self._widths)

    def close(self):
        """Nothing is open."""


class FeatureFiles:
    """The same in a directory: a .npy file for each layer, and a state of what they hold.

    They belong to one network, by its architecture and weights, to these layers, and to these
    images in their order, by a hash of all bytes. What a killed run wrote after the last state is
    computed again.
    """

    def __init__(self, directory, names, widths, network):
        self._folder, self._widths, self._files = directory, widths, []
        self._paths = [directory / f"features-{i:03}.npy" for i in range(len(widths))]
        self._kind = {"layers": [*names], "widths": widths, "network": _hash_of(network)}
        self.num_rows, self._digest, self.where = 0, "", f"in {directory}"
        self._find()
        self._begin_pass()

    def check_room(self, bound, max_bytes):
        """Raise ValueError where so many rows are too many, or more than the disk has room for."""
        bound = self.num_rows if bound is None else bound
        needed = check_max_bytes(self._widths, bound, max_bytes)
        there = sum(path.stat().st_size for path in self._paths if path.exists())
        free = shutil.disk_usage(_existing(self._folder)).free + there
        if needed > free:
            raise ValueError(
                f"the features take {needed:,} bytes; {self._folder} has room for {free:,}: choose "
                "another directory, or fewer layers."
            )

    def unknown(self, x):
        """The images whose rows are not there; OtherImagesError where those are of others."""
        known = x[: max(self.num_rows - self._seen, 0)]
        self._seen += len(x)
        if len(known):
            self._hash(known)
            if self._seen >= self.num_rows and self._hashed.hexdigest() != self._digest:
                raise OtherImagesError
        return x[len(known) :]

    def append(self, rows, x):
        """Write rows by layer, of images `x`, behind those that are there."""
        if not self._files:
            self._open()
        for file, one in zip(self._files, rows, strict=True):
            file.write(np.ascontiguousarray(one, "<f4"))
        self._hash(x)
        self.num_rows += len(x)
        if time.monotonic() - self._saved >= SECONDS:
            self._save()

    def finish(self):
        """The rows by layer, as memory maps; OtherImagesError where there were fewer images."""
        if self._seen < self.num_rows:
            raise OtherImagesError
        self.close()
        return tuple(np.load(path, mmap_mode="r") for path in self._paths)

    def restart(self):
        """Forget what is there."""
        self.close()
        self.num_rows = 0
        self._begin_pass()

    def close(self):
        """Bring to the disk what is written."""
        if self._files:
            self._save()
            for file in self._files:
                file.close()
            self._files = []

    def _find(self):
        """What an earlier run left for the same network and layers."""
        try:
            state = json.loads(self._state_path.read_text(encoding="utf-8"))
            sizes = [path.stat().st_size for path in self._paths]
        except (OSError, ValueError):
            return
        needed = [_HEADER + 4 * width * state["rows"] for width in self._widths]
        if state["kind"] == self._kind and all(a >= b for a, b in zip(sizes, needed, strict=True)):
            self.num_rows, self._digest = state["rows"], state["images"]
        elif state["rows"]:
            self.where += ", anew since those there are of another network or of other layers"

    @property
    def _state_path(self):
        return self._folder / "features.json"

    def _begin_pass(self):
        self._seen, self._saved, self._hashed = 0, time.monotonic(), None

    def _hash(self, x):
        if self._hashed is None:
            self._hashed = hashlib.blake2b(f"{x.dtype} {x.shape[1:]}".encode(), digest_size=16)
        self._hashed.update(np.ascontiguousarray(x).reshape(-1).view("uint8"))

    def _open(self):
        """Go on behind the rows that are there; what is behind them is cut off."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self.num_rows:  # the state first: it must never tell of rows that are others'
            self._write_state()
        for path, width in zip(self._paths, self._widths, strict=True):
            file = path.open("r+b" if self.num_rows else "w+b")
            self._files.append(file)
            file.truncate(_HEADER + 4 * width * self.num_rows)
            file.seek(0, 2)

    def _save(self):
        """A state that a kill leaves whole: the rows are on the disk before it tells of them."""
        for file, width in zip(self._files, self._widths, strict=True):
            file.seek(0)
            file.write(_header(self.num_rows, width))
            file.seek(0, 2)
            file.flush()
            os.fsync(file.fileno())
        self._digest = self._hashed.hexdigest()
        self._write_state()
        self._saved = time.monotonic()

    def _write_state(self):
        state = {"kind": self._kind, "rows": self.num_rows, "images": self._digest}
        write_json(self._state_path, state)


def _header(rows, width):
    """That of a .npy file, of one length for any number of rows.

    https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    return b"\x93NUMPY\x01\x00\x76\x00" + text.ljust(_HEADER - 11).encode() + b"\n"


def check_max_bytes(widths, rows, max_bytes):
    """The bytes of so many rows; ValueError where they are more than `max_bytes`."""
    needed = 4 * sum(widths) * rows
    if max_bytes is not None:
        check_count("max_bytes", max_bytes)
        if needed > max_bytes:
            raise ValueError(
                f"the features must not take more than max_bytes={max_bytes:,}; {rows:,} rows of "
                f"{sum(widths):,} numbers take {needed:,}: name fewer layers, or raise it."
            )
    return needed


def _hash_of(network):
    """A text that differs between networks that differ in architecture or weights."""
    hashed = hashlib.blake2b(digest_size=16)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        try:
            text = without_names(keras.saving.serialize_keras_object(network))
        except (AttributeError, NotImplementedError, TypeError, ValueError):
            text = type(network).__name__  # of a class without a configuration
    hashed.update(text.encode())
    for weight in network.weights:
        hashed.update(f"{weight.shape} {weight.dtype}".encode())
        hashed.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return hashed.hexdigest()


def _existing(folder):
    """The folder, or the nearest around it that is there."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
