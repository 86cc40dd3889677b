"""Runs that are killed: forks of a process that has imported all and computed nothing yet.

Half of the kills come at a random time, half at a random one of the operations by which files come
to be whole: an array half written, before and after fsync, before and after the rename.
"""

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np


def attempt(run, folder, chance, duration):
    """`run(folder)` in a fork, killed within so many seconds; whether it was killed."""
    by_write = chance.random() < 0.5
    operations, seconds = chance.randrange(1, 90), chance.uniform(0, duration)
    child = _fork(run, folder, operations if by_write else None)
    if not by_write:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"an attempt failed in {folder}")
    return os.WIFSIGNALED(status)


def whole(run, folder):
    """`run(folder)` in a fork, to its end; the seconds that it took."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    if os.waitpid(_fork(run, folder), 0)[1]:
        sys.exit(f"the run failed in {folder}")
    return time.monotonic() - start


def compare(result, expected):
    """All that a run leaves, bit for bit."""
    for name in expected.files:
        np.testing.assert_array_equal(result[name], expected[name], err_msg=name)


def _fork(run, folder, operations=None):
    child = os.fork()
    if child == 0:
        if operations:
            _die_at(operations)
        try:
            run(folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child


def _die_at(number):
    """Have this process kill itself at so many file operations from now."""
    left = [number]

    def mortal(operation):
        def wrapped(*args, **kwargs):
            left[0] -= 2
            if left[0] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            result = operation(*args, **kwargs)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    def torn(*args, **kwargs):
        if left[0] <= 2:  # the file is there, not all of it
            Path(args[0]).write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)
        return savez(*args, **kwargs)

    savez, np.savez = np.savez, torn
    os.fsync, os.replace = mortal(os.fsync), mortal(os.replace)
