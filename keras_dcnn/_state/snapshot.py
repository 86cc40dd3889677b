"""Values of variables, taken and put back, in NumPy arrays that nothing else holds."""

import contextlib
import hashlib

import keras
import numpy as np


def snapshot(variables):
    """The values of variables, copied."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def put_back(variables, values):
    """Give variables the values of a snapshot."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


@contextlib.contextmanager
def variables_kept(variables, only_on_error=False):
    """Put the values back at the end of the block, or only where it fails."""
    values = snapshot(variables)
    try:
        yield
    except BaseException:
        put_back(variables, values)
        raise
    if not only_on_error:
        put_back(variables, values)


def digest(variables):
    """A short text that tells values of variables from others."""
    hashed = hashlib.blake2b(digest_size=16)
    for value in snapshot(variables):
        hashed.update(value.tobytes())
    return hashed.hexdigest()
