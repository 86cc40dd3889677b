"""Files that are either whole or not there: atomic writes and checksums."""

import contextlib
import hashlib
import json
import os
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path beside `path`; when the block ends well it becomes `path`.

    The suffix stays, since Keras chooses the format by it. A reader sees the old file or the new
    one, never a part, also after a crash; what a killed process left is overwritten when its work
    is done again. One process at a time writes a path.
    """
    path = Path(path)
    temporary = path.with_name(f".unfinished-{path.name}")
    try:
        yield temporary
        move_into_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move_into_place(temporary, path):
    """Make a file that is written become `path`, in one step that a crash can't part."""
    _fsync(temporary, os.O_RDWR)  # Windows flushes only what it may write
    os.replace(temporary, path)
    if os.name == "posix":
        _fsync(path.parent, os.O_RDONLY)


def write_json(path, value):
    """Write `value` to `path` as strict JSON, atomically."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path):
    """Checksum of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path, flags):
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
