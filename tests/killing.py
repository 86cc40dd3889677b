"""Runs that are killed: by SIGKILL in a fork, or in this process at each of their file operations.

A process that is killed runs no `finally`. So in this process, once it was killed, all that would
change a file raises `Killed` again, and the disk stays as SIGKILL leaves it.
"""

import builtins
import contextlib
import importlib
import io
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from unittest import mock

import h5py
import keras
import numpy as np
import pytest


class Killed(BaseException):
    """Here the process died."""


class Mortal(contextlib.ExitStack):
    """Counts what is done to the files of a folder while it is entered, and dies at a number of it.

    What is being written then is there by half. `unsynced` are the files that were written, and the
    folders in which one was replaced, and not yet brought to the disk; none may be moved so.
    """

    def __init__(self, folder, number=math.inf, by_signal=False):
        super().__init__()
        self._folder, self._number, self._by_signal = f"{folder}{os.sep}", number, by_signal
        self.operations, self.unsynced, self.is_over = [], set(), False

    def __enter__(self):
        self.callback(setattr, self, "is_over", True)
        for module, name in [(builtins, "open"), (io, "open")]:
            self._put(module, name, self._opening(open))
        for name in ("truncate", "mkdir", "unlink", "remove", "rename"):
            if hasattr(os, name):
                self._put(os, name, self._mortal(getattr(os, name)))
        self._put(os, "fsync", self._mortal(os.fsync, after=self._note_sync))
        self._put(os, "replace", self._mortal(os.replace, self._check_sync, self._note_move))
        self._put(h5py.File, "__init__", self._opening_hdf5(h5py.File.__init__))
        return self

    def operate(self, name, half=None):
        """Before each operation: go on, or die after a half of it."""
        self.operations.append(name)
        if len(self.operations) == self._number and half:
            half()
        if len(self.operations) >= self._number:
            if self._by_signal:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Killed

    def _put(self, module, name, value):
        self.enter_context(mock.patch.object(module, name, value))

    def _is_inside(self, path):
        return isinstance(path, int) or str(path).startswith(self._folder)

    def _mortal(self, operation, before=None, after=None):
        def wrapped(*args, **kwargs):
            if not self._is_inside(args[0]):
                return operation(*args, **kwargs)
            self.operate(operation.__name__)
            if before:
                before(*args)
            result = operation(*args, **kwargs)
            if after:
                after(*args)
            return result

        return wrapped

    def _opening(self, real):
        def wrapped(path, mode="r", *args, **kwargs):
            if not set(mode) & set("wax+") or not self._is_inside(path):
                return real(path, mode, *args, **kwargs)
            self.operate("open")
            return _File(real(path, mode, *args, **kwargs), self)

        return wrapped

    def _opening_hdf5(self, real):
        def wrapped(file, name, mode="r", **kwargs):
            if mode != "r" and isinstance(name, (str, Path)):
                self.operate("write", lambda: _overwrite(name))
                self.unsynced.add(str(name))
            return real(file, name, mode, **kwargs)

        return wrapped

    def _note_sync(self, descriptor):
        self.unsynced.discard(os.path.realpath(f"/proc/self/fd/{descriptor}"))

    def _check_sync(self, source, _):
        assert str(source) not in self.unsynced, f"{source} is moved before it is on the disk"

    def _note_move(self, _, target):
        self.unsynced.add(str(Path(target).parent))


class _File:
    """A file that is open for writing; of a dead process nothing more reaches it."""

    def __init__(self, file, mortal):
        self._file, self._mortal = file, mortal

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, data):
        if self._mortal.is_over:
            return len(data)
        data = data if isinstance(data, str) else bytes(data)
        half = data[: len(data) // 2]
        self._mortal.operate("write", lambda: (self._file.write(half), self._file.flush()))
        self._mortal.unsynced.add(str(self._file.name))
        return self._file.write(data)

    def truncate(self, *args):
        self._mortal.operate("truncate")
        return self._file.truncate(*args)


def _overwrite(path):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"half of it")
    os.close(descriptor)


def check_each_kill(tmp_path, write, look, prepare=None, another_process=True, at=None):
    """Kill `write(folder)` at each of its file operations; `look(folder)` must find all whole.

    With `at` only at the operations of this name.

    Written again, by another process or in this one, all files must be as if nothing had been.
    """
    tmp_path = tmp_path.resolve()
    before, after, killed = (tmp_path / name for name in ("before", "after", "killed"))
    before.mkdir()
    if prepare:
        prepare(before)
    shutil.copytree(before, after)
    with Mortal(after) as undisturbed:
        write(after)
    if sys.platform == "linux":
        assert not undisturbed.unsynced
    for number, name in enumerate(undisturbed.operations, 1):
        if at not in (None, name):
            continue
        shutil.copytree(before, killed)
        with contextlib.suppress(Killed), Mortal(killed, number) as mortal:
            write(killed)
        assert len(mortal.operations) >= number
        left = list(killed.rglob(".*"))
        assert len(left) <= 1
        for path in left if another_process else ():
            number_and_name = path.name.split("-", 1)
            path.rename(path.with_name(f".999999999-{number_and_name[1]}"))
        look(killed)
        write(killed)
        assert contents(killed) == contents(after), f"killed at operation {number}"
        shutil.rmtree(killed)


def contents(folder):
    """All files below a folder, hidden ones too."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def kill_again_and_again(run, folder, kills, seed, note, check):
    """Kill `run(folder)` so many times; all that end must end as one that was not killed.

    Half of the kills come at a random time, half at a random file operation; a single one in the
    middle of these. `check(folder, note(folder))` sees each folder after and before.
    """
    # What Keras imports late: once here, not in each fork.
    for name in ("tensorflow", *(["torch._dynamo"] if keras.backend.backend() == "torch" else [])):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    seconds, operations = _whole(run, folder / "whole")
    if kills > 1:
        seconds, _ = _whole(run, folder / "warm")  # JAX has compiled by now
    chance, done, ended = random.Random(seed), 0, 0
    while done < kills or (folder / f"run{ended}").is_dir():
        place = folder / f"run{ended}"
        place.mkdir(exist_ok=True)
        before = note(place)
        if done == kills:
            _whole(run, place)
        elif kills == 1 or chance.random() < 0.5:
            number = operations // 2 if kills == 1 else chance.randrange(1, operations + 1)
            done += _was_killed(_fork(run, place, number), place)
        else:
            child = _fork(run, place)
            time.sleep(chance.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
            done += _was_killed(child, place)
        check(place, before)
        if place.with_suffix(".npz").is_file():
            _compare(np.load(place.with_suffix(".npz")), np.load(folder / "whole.npz"))
            ended += 1
    print(f"killed {done} times, {ended} ended alike")


def check_script(script, folder, kills, **environment):
    """Run a script that calls `kill_again_and_again`, in a process that computed nothing yet."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    done = subprocess.run(
        [sys.executable, script, folder, str(kills), "1"],
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend(), **environment},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].startswith(f"killed {kills} times")


def write_result(folder, *arrays, **more):
    """Beside the folder of a run, at its end: what must be as ever; it is there or not."""
    np.savez(folder.with_suffix(".half.npz"), *arrays, **more)
    os.replace(folder.with_suffix(".half.npz"), folder.with_suffix(".npz"))


def _whole(run, folder):
    """`run(folder)` in a fork, to its end; the seconds and the file operations that it took."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    if _was_killed(_fork(run, folder), folder):
        sys.exit(f"a run was killed by others in {folder}")
    return time.monotonic() - start, int(folder.with_suffix(".count").read_text())


def _compare(result, expected):
    """All that a run leaves, bit for bit."""
    for name in expected.files:
        np.testing.assert_array_equal(result[name], expected[name], err_msg=name)


def _was_killed(child, folder):
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"a run failed in {folder}")
    return os.WIFSIGNALED(status)


def _fork(run, folder, operation=math.inf):
    child = os.fork()
    if child == 0:
        try:
            with Mortal(folder, operation, by_signal=True) as mortal:
                run(folder)
            folder.with_suffix(".count").write_text(str(len(mortal.operations)))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child
