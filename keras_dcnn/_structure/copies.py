"""A copy of a built model with its weights, by way of Keras's own file format."""

import collections
import inspect
import itertools
import tempfile
import types
import warnings
from pathlib import Path

import keras
import numpy as np

from keras_dcnn._keras.graph import all_layers, walk_layers, walk_paths
from keras_dcnn._structure.architecture import without_names


def custom_classes(model):
    """A scope in which Keras finds the classes of the model and its layers, registered or not.

    Of several with one name none: Keras finds those by their modules.
    """
    classes = {type(layer) for layer in all_layers(model)}
    count = collections.Counter(one.__name__ for one in classes)
    return keras.saving.custom_object_scope(
        {one.__name__: one for one in classes if count[one.__name__] == 1}
    )


def copy_model(model, purpose):
    """A copy of a built model, uncompiled, that shares nothing with it, its layers in their order.

    By way of a file since that is how Keras copies vocabularies and other state that is no weight.
    Raises ValueError, which says what for, where Keras can't, or makes another model.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        custom_classes(model),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
            copy = keras.saving.load_model(path, compile=False, safe_mode=False)
            for old, new in zip(all_layers(model), all_layers(copy), strict=False):
                new.trainable = old.trainable  # which a layer around others does not save
            difference = _difference(model, copy)
            if difference:
                raise ValueError(f"what is loaded differs in `{difference}`")
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            reason = str(error).rpartition("Exception encountered: ")[2].strip()
            reason = " ".join(reason.split()).removesuffix(".") or type(error).__name__
            raise ValueError(
                f"{purpose} needs a copy of `{model.name}`, and Keras can't save it and load it "
                f"again ({reason[:200]}): {_advice(model, reason)}."
            ) from error
    for old, new in zip(model.variables, copy.variables, strict=True):
        # For some that a file has not got Keras only warns. JAX would share the buffer.
        new.assign(keras.ops.convert_to_numpy(old))
    return copy


def _advice(model, reason):
    if reason.startswith("Could not "):  # locate a function or class, interpret an activation
        return (
            "put `@keras.saving.register_keras_serializable()` on functions and classes of your "
            "own, and lambdas in a Lambda layer"
        )
    paths = collections.defaultdict(list)
    for path, layer in walk_paths(model):
        paths[id(layer)].append(path)
    several = next((found for found in paths.values() if len(found) > 1), None)
    if several and "__init__()" not in reason:  # so it is in Keras 3.15
        return (
            f"it does not load a layer that is in several models, as `{'` and `'.join(several)}`: "
            "give each its own layers"
        )
    return f"give {type(model).__name__} and its layers a `get_config` that has all their arguments"


def _difference(model, copy):
    """The path of the first layer that is another in the copy; None if there is none."""
    for (path, one), (_, other) in itertools.zip_longest(
        walk_layers(model), walk_layers(copy), fillvalue=(model.name, model)
    ):
        if _kind(one) != _kind(other):
            return path
    return None if _kind(model) == _kind(copy) else model.name


def _kind(layer):
    """What tells a layer from another, but for names, which Keras gives anew to inner layers."""
    variables = [(tuple(v.shape), str(v.dtype)) for v in layer.variables]
    return [type(layer), variables, _configuration(layer), _arguments(layer)]


def _configuration(layer):
    try:
        text = without_names(keras.saving.serialize_keras_object(layer))
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return None  # that of the layer around it makes it
    return None if "__lambda__" in text else text  # as Python may write one in several ways


def _arguments(layer):
    """What a layer of the user's keeps of its arguments, as the configuration may lack them."""
    if type(layer).__module__.partition(".")[0] in ("keras", "keras_dcnn"):
        return {}
    held = vars(layer)
    names = [name for name in inspect.signature(type(layer).__init__).parameters if name != "name"]
    return {name: _plain(held.get(name, held.get(f"_{name}"))) for name in names}


def _plain(value):
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.__qualname__ if isinstance(value, types.FunctionType) else type(value)
