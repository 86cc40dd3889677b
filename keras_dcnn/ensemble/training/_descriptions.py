"""What tells a run from another, as plain JSON values that are the same in each process."""

import enum
import functools
import hashlib
import json
import math
import pathlib
import re
import types
import warnings

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array

_AS_TEXT = (pathlib.PurePath, enum.Enum, range, slice, complex)


def describe(value, above=()):
    """Plain JSON values that tell a value from another.

    Digests for arrays, bytes and functions, of which code, defaults and closure count; parts of
    Keras by their configuration. Only by name: classes, global names that a function uses, and
    objects that are neither callable nor have `get_config`, as tf.data, PyDataset, DataLoader and
    random generators. Weights of a model in a closure do not count; a list that a function fills
    does.
    """
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, _AS_TEXT) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (type, types.ModuleType)):
        return getattr(value, "__qualname__", value.__name__)
    if isinstance(value, (bytes, bytearray)):
        return f"bytes {digest(value)}"
    if any(value is one for one in above):
        return "itself"  # a function that calls itself, or a circle of objects
    inner = functools.partial(describe, above=(*above, value))
    if isinstance(value, (list, tuple)):
        return [inner(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((inner(one) for one in value), key=json.dumps)
    if isinstance(value, dict):
        return {str(key): inner(one) for key, one in value.items()}
    if getattr(value, "shape", None):
        return f"array {array_digest(value)}"
    return _object(value, inner)


def array_digest(array):
    """A short text that tells arrays apart."""
    array = np.ascontiguousarray(as_array(array))
    if array.dtype.hasobject:  # which holds addresses
        return digest(json.dumps(describe(array.tolist())).encode())
    return digest(f"{array.dtype} {array.shape}".encode(), array.reshape(-1).view("uint8"))


def model_text(model):
    """The configuration of a model and of its compilation; ValueError where it has none."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
            text = json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True)
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "a model is kept as its configuration and its weights, and "
            f"`{model.name}` ({type(model).__name__}) gives no configuration: write `get_config` "
            "for it, its layers, loss and optimizer."
        ) from error
    return re.sub(r'"shared_object_id": \d+', "", text)


def weights_digest(model):
    """A short text that tells weights apart, to float16, as the last bits may change."""
    with np.errstate(over="ignore"):
        return digest(*(np.asarray(w).astype("float16").tobytes() for w in model.get_weights()))


def _object(value, inner):
    """Of functions, what they do; of other callables, their parts; else Keras's, or the type."""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    if isinstance(value, functools.partial):
        return {"partial": inner([value.func, value.args, value.keywords])}
    if isinstance(value, types.MethodType):
        return {name: inner([value.__func__, value.__self__])}
    if isinstance(value, types.FunctionType):
        cells = [_content(cell) for cell in value.__closure__ or ()]
        parts = inner([value.__defaults__, value.__kwdefaults__, cells])
        return f"{name} {digest(json.dumps([_code(value.__code__), parts]).encode())}"
    if hasattr(value, "get_config"):
        try:
            return {name: inner(value.get_config())}
        except NotImplementedError:
            return name
    if hasattr(value, "__wrapped__"):  # as by jax.jit and tf.function
        return {name: inner(value.__wrapped__)}
    if callable(value) and hasattr(value, "__dict__"):
        return {name: inner([type(value).__call__, vars(value)])}
    return name


def _code(code):
    """What a function does, without where it stands."""
    constants = [
        _code(one) if isinstance(one, types.CodeType) else describe(one) for one in code.co_consts
    ]
    return [code.co_code.hex(), constants, list(code.co_names)]


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def digest(*parts):
    """A short text that tells bytes apart."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()
