"""What tells a run from another, as plain JSON values that are the same in each process."""

import contextlib
import dis
import functools
import hashlib
import inspect
import json
import math
import re
import types
import warnings

import keras
import numpy as np

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._reading.batches import as_array
from keras_dcnn._structure.architecture import without_names
from keras_dcnn._structure.code import is_library, parts_of_class, parts_of_function

_NAMES = ("name", "_name")  # which Keras numbers


def describe(value, seen=None):
    """Plain JSON values that tell a value from another.

    Digests for arrays, functions, classes and objects of the user's. Of a function counts what it
    runs, with all that it uses: defaults, closure, global names, and so on in these. Classes count
    by their functions and bases, objects by their class and attributes, those of libraries by name
    or by what they print; Keras's by their configuration, layers with their weights. No matter are
    names that Keras numbers, seeds that nobody set, and addresses.

    `seen`, by their ids, are the objects that a digest has by now.
    """
    if isinstance(value, (keras.Variable, np.generic)) or type(value) is np.ndarray:
        value = np.asarray(as_array(value))
        value = value.item() if value.ndim == 0 else value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, tuple):
        return [describe(one, seen) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((describe(one, seen and {**seen}) for one in value), key=json.dumps)
    if seen is not None:
        if id(value) in seen:
            return f"seen {seen[id(value)][0]}"
        seen[id(value)] = len(seen), value
    if isinstance(value, list):
        return [describe(one, seen) for one in value]
    if isinstance(value, dict):
        return {_key(key, seen): describe(one, seen) for key, one in value.items()}
    if isinstance(value, keras.KerasTensor):
        return ["KerasTensor", str(value.shape), value.dtype]
    is_array = keras.ops.is_tensor(value) or hasattr(value, "__array__")
    if is_array and not isinstance(value, type) and getattr(value, "shape", None):
        return _array(np.ascontiguousarray(as_array(value)))
    return _object(value, seen)


def _key(key, seen):
    return key if isinstance(key, str) else json.dumps(describe(key, seen))


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


def _object(value, seen):
    """Of functions, classes and objects of the user's a digest; of a library's what is printed."""
    if isinstance(value, (type, types.FunctionType)):
        if is_library(value.__module__):
            return value.__qualname__
        is_class = isinstance(value, type)
        parts = parts_of_class(value) if is_class else parts_of_function(value)
        return _digest(value.__qualname__, parts, value, seen)
    parts = _parts(value)
    if parts is not None:
        return _digest(type(value).__qualname__, parts, value, seen)
    text = repr(value)
    return type(value).__qualname__ if " at 0x" in text else text


def _digest(name, parts, value, seen):
    seen = {id(value): (0, value)} if seen is None else seen
    return f"{name} {short_digest(json.dumps(describe(parts, seen)).encode())}"


def _parts(value):
    """What an object is made of; None where only what it prints can tell."""
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.BuiltinMethodType):
        of_module = value.__self__ is None or isinstance(value.__self__, types.ModuleType)
        return [value.__qualname__, None if of_module else value.__self__]
    if isinstance(value, types.ModuleType):
        return [value.__name__]
    if hasattr(value, "__wrapped__"):  # as by jax.jit and tf.function
        return [value.__wrapped__]
    if isinstance(value, keras.random.SeedGenerator):
        return []
    if isinstance(value, keras.layers.Layer):
        return [type(value), _layer_text(value)]
    own = _own_attributes(value)
    if hasattr(value, "get_config"):
        with contextlib.suppress(NotImplementedError):
            config = {key: one for key, one in value.get_config().items() if key != "name"}
            return [type(value), config, own]
    if own or not is_library(type(value).__module__):
        return [type(value), own]
    return [type(value), vars(value)] if callable(value) and hasattr(value, "__dict__") else None


def _layer_text(layer):
    with contextlib.suppress(NotImplementedError, TypeError, ValueError), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        config = without_names(keras.saving.serialize_keras_object(layer))
        return [without_seeds(config), weights_digest(layer)]
    return weights_digest(layer)


def without_seeds(text):
    """The text of a configuration without the seeds, which Keras draws where none is given."""
    return re.sub(r'"seed": \d+', "", text)


def _own_attributes(value):
    """The attributes of an object that the user's classes gave it, but weights, which change.

    Of losses and metrics also Keras's, as the configurations of some lack arguments.
    """
    theirs = _NAMES
    if not isinstance(value, (keras.losses.Loss, keras.metrics.Metric)):
        if is_library(type(value).__module__):
            return {}
        theirs = _set_by_libraries(type(value))
    names = [name for one in type(value).__mro__ for name in vars(one).get("__slots__", ())]
    held = {name: getattr(value, name) for name in names if hasattr(value, name)}
    held |= getattr(value, "__dict__", {})
    return {
        name: one
        for name, one in held.items()
        if name not in theirs and not name.startswith("_self_")  # of TensorFlow
        if not any(isinstance(leaf, keras.Variable) for leaf in keras.tree.flatten(one))
    }


@functools.cache
def _set_by_libraries(kind):
    """The names of the attributes that the classes of libraries which `kind` is based on set."""
    functions = [
        getattr(one, "__func__", one)
        for base in kind.__mro__
        if is_library(base.__module__)
        for one in vars(base).values()
    ]
    return {
        step.argval
        for one in functions
        if isinstance(one, types.FunctionType)
        for step in dis.get_instructions(inspect.unwrap(one))
        if step.opname == "STORE_ATTR"
    }
