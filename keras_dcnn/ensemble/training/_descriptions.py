"""What tells a run from another, as plain JSON values that are the same in each process."""

import ast
import contextlib
import functools
import hashlib
import inspect
import json
import math
import types
import warnings

import keras
import numpy as np

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._reading.batches import as_array
from keras_dcnn._structure.architecture import without_names

_LIBRARIES = ("builtins", "jax", "keras", "keras_dcnn", "numpy", "tensorflow", "torch")


def describe(value, above=()):
    """Plain JSON values that tell a value from another.

    Digests for arrays and functions, of which source text, defaults and closure count, not the
    global names that they use. Classes count by their functions and bases, those of libraries by
    name; layers and models by their class, Keras's other parts by their configuration; all else by
    what it prints, or by its class where that is an address.
    """
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if any(value is one for one in above):
        return "itself"  # a function that calls itself, or a circle of objects
    inner = functools.partial(describe, above=(*above, value))
    if isinstance(value, (list, tuple)):
        return [inner(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((inner(one) for one in value), key=json.dumps)
    if isinstance(value, dict):
        return {str(key): inner(one) for key, one in value.items()}
    if isinstance(value, (type, types.FunctionType)):
        return _code(value, inner)
    if getattr(value, "shape", None):
        return _array(np.ascontiguousarray(as_array(value)))
    return _object(value, inner)


def model_text(model):
    """The configuration of a built model and of its compilation; ValueError where it has none."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
            config = keras.saving.serialize_keras_object(model)
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "a model is kept as its configuration and its weights, and "
            f"`{model.name}` ({type(model).__name__}) gives no configuration: write `get_config` "
            "for it, its layers, loss and optimizer."
        ) from error
    more = [compile_arguments(model), {type(layer) for layer in all_layers(model)}]
    return without_names({**config, "build_config": None}) + json.dumps(describe(more))


def weights_digest(model):
    """A short text that tells weights apart, to float16, as the last bits may change."""
    with np.errstate(over="ignore"):
        weights = [np.asarray(weight).astype("float16") for weight in model.get_weights()]
    return short_digest(*(weight.tobytes() for weight in weights))


def short_digest(*parts):
    """A short text that tells bytes apart."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def _array(array):
    if array.dtype.hasobject:  # which holds addresses
        return describe(array.tolist())
    data = array.reshape(-1).view("uint8")
    return f"array {short_digest(f'{array.dtype} {array.shape}'.encode(), data)}"


def _object(value, inner):
    """Of callables their parts, of Keras's objects the configuration; else what is printed."""
    if isinstance(value, functools.partial):
        return inner([value.func, value.args, value.keywords])
    if isinstance(value, types.MethodType):
        return inner([value.__func__, value.__self__])
    if hasattr(value, "__wrapped__"):  # as by jax.jit and tf.function
        return inner(value.__wrapped__)
    if isinstance(value, keras.layers.Layer):
        return inner(type(value))
    if hasattr(value, "get_config"):
        with contextlib.suppress(NotImplementedError):
            config = {key: one for key, one in value.get_config().items() if key != "name"}
            return [inner(type(value)), inner(config)]
    if callable(value) and hasattr(value, "__dict__"):
        return [inner(type(value)), inner(vars(value))]
    text = repr(value)
    return type(value).__qualname__ if " at 0x" in text else text


def _code(value, inner):
    """What a function or class of the user does; only the name of one of a library."""
    if (value.__module__ or "").partition(".")[0] in _LIBRARIES:
        return value.__qualname__
    if isinstance(value, type):
        own = {k: v for k, v in vars(value).items() if callable(v) or not k.startswith("__")}
        parts = inner([value.__bases__, own])
    else:
        closure = inspect.getclosurevars(value).nonlocals
        parts = [_text(value.__code__), inner([value.__defaults__, value.__kwdefaults__, closure])]
    return f"{value.__qualname__} {short_digest(json.dumps(parts).encode())}"


def _text(code):
    """The source without comments; of a lambda the lines that it is on."""
    try:
        text = inspect.getsource(code)
    except OSError:  # made by `exec`: there is only what Python runs
        inner = [_text(one) if inspect.iscode(one) else describe(one) for one in code.co_consts]
        return json.dumps([code.co_code.hex(), inner, code.co_names])
    with contextlib.suppress(SyntaxError):  # as the lines of a longer statement may be
        text = ast.unparse(ast.parse("if 1:\n" + text if text[0].isspace() else text))
    return text
