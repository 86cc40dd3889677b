"""The folder of one run: its own, locked while a process is at work in it."""

import contextlib
import itertools
import os
import time
from pathlib import Path

from keras_dcnn._files.runs import RUN

# What a run leaves in it, the summary last.
MODEL, HISTORY, REPORT, SUMMARY = "model.keras", "history.csv", "report.html", "summary.json"
_LOCK = ".lock"
_RUNS = Path("runs")


class RunFolderError(ValueError):
    """A folder that no run can be in; the message names it and what to do."""


@contextlib.contextmanager
def run_folder(path=None, resume=False):
    """Make a folder for a run, or take up that of one that has not ended; yields its path, locked.

    None makes `runs/<time>`, with a number behind it where that is taken. A new folder in which
    nothing was written is taken away again.
    """
    if resume and not path.is_dir():
        raise RunFolderError(f"{path} holds no run to go on with: there is no such folder.")
    path, is_new = (path, _made(path)) if path is not None else (_made_by_time(), True)
    with _locked(path):
        _check(path, resume)
        try:
            yield path
        finally:
            if is_new and {one.name for one in path.iterdir()} <= {_LOCK}:
                with contextlib.suppress(OSError):  # Windows, and where other runs are in it
                    (path / _LOCK).unlink()
                    path.rmdir()
                    _RUNS.rmdir()


def holds_ended_run(path):
    """Whether a run in a folder came to its end."""
    return (path / SUMMARY).is_file()


def check_ended(path, how="resume it."):
    """Raise RunFolderError for a folder without a run that has ended; `how` to end it."""
    if not holds_ended_run(path):
        begun = (path / RUN).is_file()
        raise RunFolderError(
            f"{path} holds a run that has not ended: {how}"
            if begun
            else f"{path} holds no run: give the folder that `train` wrote."
        )


def _made(path):
    """Whether the folder was not there."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise RunFolderError(f"{path} is a file: choose another run folder.") from None
        return False
    return True


def _made_by_time():
    name = time.strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        path = _RUNS / (name if number == 1 else f"{name}-{number}")
        if _made(path):
            return path


def _check(path, resume):
    there = {one.name for one in path.iterdir()} - {_LOCK}
    if resume:
        if RUN not in there:
            raise RunFolderError(f"{path} holds no run to go on with: it has no {RUN}.")
    elif holds_ended_run(path):
        raise RunFolderError(f"{path} holds a run that has ended: choose another run folder.")
    elif RUN in there:
        raise RunFolderError(
            f"{path} holds a run that has not ended: resume it, or choose another run folder."
        )
    elif there:
        raise RunFolderError(f"{path} is not empty: choose another run folder.")


@contextlib.contextmanager
def _locked(path):
    """Hold the folder's lock, which the system takes back when a process dies."""
    with open(path / _LOCK, "a+b") as file:
        try:
            _lock(file)
        except OSError:
            raise RunFolderError(
                f"{path} is in use, another process trains in it: choose another run folder."
            ) from None
        yield


if os.name == "nt":
    import msvcrt

    def _lock(file):
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
