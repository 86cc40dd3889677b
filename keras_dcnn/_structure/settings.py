"""What a layer computes by beside its weights: its class, its attributes and its functions."""

import functools
import types

import numpy as np

from keras_dcnn._keras.graph import all_layers

FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
# What Keras's layers and models note of themselves, and of their training.
_OF_KERAS = {
    *("autocast", "build", "built", "compiled", "history", "loss", "name", "optimizer", "quantize"),
    *("predict_function", "steps_per_execution", "stop_evaluating", "stop_predicting"),
    *("stop_training", "supports_jit", "test_function", "train_function", "training", "trainable"),
}


def settings(layer):
    """The public attributes of a layer that are plain values or functions."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(layer).items()
        if name not in _OF_KERAS and not name.startswith("_") and _is_setting(value)
    }


def settings_of_all(model):
    """The same of all layers of a model, to see whether one was changed meanwhile."""
    return [settings(layer) for layer in all_layers(model)]


def owner(function):
    """The module in which a function, method or partial function was defined."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__module__", None) or ""


def is_ours(module):
    """Whether a module is Keras's or this package's, whose configurations tell all."""
    return module.partition(".")[0] in ("keras", "keras_dcnn")


def _is_setting(value):
    if isinstance(value, (tuple, list)):
        return all(map(_is_setting, value))
    return isinstance(value, (*_PLAIN, *FUNCTIONS))


def code_of(function):
    """What a function does, so that it is equal for one that is defined twice: code and values.

    Values are what it closes over, its defaults and a partial function's arguments.
    """
    if isinstance(function, functools.partial):
        return (code_of(function.func), _values([*function.args, *function.keywords.items()]))
    if isinstance(function, types.MethodType):
        return code_of(function.__func__)
    if not isinstance(function, types.FunctionType):
        return getattr(function, "__qualname__", type(function).__qualname__)
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    return (_of_code(function.__code__), _values([*cells, *(function.__defaults__ or ())]))


def _of_code(code):
    constants = [_of_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return (code.co_code, code.co_names, tuple(constants))


def _is_full(cell):
    try:
        return cell.cell_contents is not None
    except ValueError:  # not set yet
        return False


def _values(values):
    """Plain values and functions by what they are; of all else the class."""
    return tuple(
        code_of(value)
        if isinstance(value, FUNCTIONS)
        else repr(value)
        if _is_setting(value)
        else type(value).__qualname__
        for value in values
    )
