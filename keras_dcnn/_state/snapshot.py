"""Values of variables, taken and put back, in NumPy arrays that nothing else holds."""

import contextlib

import keras
import numpy as np


def snapshot(variables):
    """The values of variables, copied."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def put_back(variables, values):
    """Give variables the values of a snapshot."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def fits(variables, values):
    """Whether the values may be of these variables: one for each, of its shape."""
    shapes = [tuple(variable.shape) for variable in variables]
    return values is not None and shapes == [np.shape(value) for value in values]


def are_finite(variables):
    """Whether no value of the variables is NaN or infinite."""
    return all(np.isfinite(value).all() for value in snapshot(variables))


@contextlib.contextmanager
def variables_kept(variables, only_on_error=False):
    """Put the values, which it yields, back at the end of the block, or only where it fails."""
    values = snapshot(variables)
    fails = True
    try:
        yield values
        fails = False
    finally:
        if fails or not only_on_error:
            put_back(variables, values)
