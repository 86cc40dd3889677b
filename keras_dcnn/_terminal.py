"""Keeps the start-up lines of TensorFlow's C++ code off the terminal of the command."""

import contextlib
import os
import sys
import tempfile
from importlib import import_module


def start_quietly():
    """Import Keras and its backend and touch the devices, showing what they log only on failure."""
    with _held_back_stderr():
        import_module("keras").ops.zeros(())


@contextlib.contextmanager
def _held_back_stderr():
    """Hold back what the process, C++ code included, writes to stderr; show it if the block fails.

    TF_CPP_MIN_LOG_LEVEL does not silence the lines of TensorFlow 2.21 before its logging starts.
    """
    sys.stderr.flush()
    failed = True
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if failed:
                held.seek(0)
                sys.stderr.write(held.read().decode(errors="replace"))
