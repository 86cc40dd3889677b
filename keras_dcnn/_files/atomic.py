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
    one, never a part, also after a crash.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
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


def remove_leftovers(folder, pattern):
    """Delete the temporary files of such names that killed processes left in a folder.

    Those of processes that live on this host stay. One with the number of this process is of an
    earlier that had it, as happens in containers; this process writes none when it asks.
    """
    for path in Path(folder).glob(f".*-{pattern}"):
        number = path.name[1:].partition("-")[0]
        if number.isdigit() and not _is_alive(int(number)):
            with contextlib.suppress(PermissionError):  # Windows, where another has it open
                path.unlink(missing_ok=True)


def write_json(path, value, allow_nan=False):
    """Write `value` to `path` as JSON, atomically; strict JSON knows no NaN and infinity."""
    text = json.dumps(value, indent=2, allow_nan=allow_nan) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path):
    """Checksum of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_alive(process):
    """Whether another process has the number; False on Windows, which can't be asked by a kill."""
    if process == os.getpid() or os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True  # of another user
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _fsync(path, flags):
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
