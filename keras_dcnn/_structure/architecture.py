"""Whether models differ in their weights alone, so that one compiled graph serves them all."""

import functools
import json
import re

import keras
import numpy as np

from keras_dcnn._keras.graph import all_layers, operations_in
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._reading.fingerprints import NAME as TRAINED_ON

_FOREIGN = ("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper")
_AUTOMATIC = re.compile(r"(input_layer|keras_tensor)(_\d+)?")


def architecture(model):
    """A text that is equal for models that `InferenceStep` runs alike, whatever layers' names.

    None where that can't be told, as with functions, which a configuration names and does not hold,
    and with layers that keep tensors, arrays or vocabularies outside variables.
    """
    layers = all_layers(model)
    if has_state_outside_variables(model) or any(
        _holds(one, _is_function) for one in operations_in(model)
    ):
        return None
    try:
        config = without_names(
            {
                "class_name": None,
                "config": keras.saving.serialize_keras_object(model.get_config()),
                "build_config": None,
            }
        )
    except (TypeError, ValueError, NotImplementedError):  # it has no configuration
        return None
    if '"class_name": "function"' in config:
        return None
    kinds = [(id(type(layer)), _own_values(layer)) for layer in layers]
    variables = [(tuple(v.shape), str(v.dtype), v.trainable) for v in state_variables(model)]
    return f"{config} {kinds} {variables}"


def has_state_outside_variables(model):
    """Whether variables alone do not make a model of a given configuration."""
    return any(
        hasattr(layer, "save_assets")
        or type(layer).__name__ in _FOREIGN
        or (not isinstance(layer, keras.layers.Normalization) and _holds(layer, _is_array))
        for layer in all_layers(model)
    )


def _holds(thing, kind):
    """Whether an attribute of its own, or what is in a list or dict of these, is of a kind."""
    for name, value in vars(thing).items():
        if name in _names_of_every() or hasattr(type(thing), name):
            continue
        inside = value.values() if isinstance(value, dict) else value
        inside = inside if isinstance(value, (dict, list, tuple)) else [value]
        if any(map(kind, inside)):
            return True
    return False


def _is_array(value):
    if isinstance(value, keras.Variable):
        return False
    return isinstance(value, np.ndarray) or keras.ops.is_tensor(value)


def _is_function(value):
    ours = str(getattr(value, "__module__", "")).startswith("keras.")
    return callable(value) and hasattr(value, "__name__") and not ours


def _own_values(layer):
    """Numbers and texts that a layer from elsewhere keeps, in its configuration or not."""
    if type(layer).__module__.startswith(("keras.", "keras_dcnn.")):
        return None
    own = {name: value for name, value in vars(layer).items() if name not in _names_of_every()}
    return sorted((name, repr(value)) for name, value in own.items() if _is_plain(value))


def _is_plain(value):
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))


@functools.cache
def _names_of_every():
    """What Keras sets in any layer or model, and what we note."""

    class Bare(keras.Model):
        pass

    more = {"_parent_path", "_build_shapes_dict", "_auto_config", TRAINED_ON}
    return {*vars(keras.layers.Layer(name="bare")), *vars(Bare(name="bare")), *more}


def without_names(config):
    """A model's configuration as a text in which names play no part."""
    return json.dumps(_anonymous(config, {}), sort_keys=True)


def _anonymous(value, places, is_layer=False):
    """A configuration without names of layers; in graphs the place stands for the name.

    Without initializers too, which have done their work.
    """
    if isinstance(value, (list, tuple)):
        return [_anonymous(one, places, is_layer) for one in value]
    if not isinstance(value, dict):
        return value
    if is_layer or "build_config" in value or value.get("class_name") == "InputLayer":
        value = _without_name(value)
    config = value.get("config")
    if isinstance(config, dict) and isinstance(config.get("layers"), list):
        places = {layer.get("config", {}).get("name"): i for i, layer in _numbered(config)}
    return {
        key: _placed(one, places)
        if key in ("input_layers", "output_layers", "keras_history")
        else _anonymous(one, places, key == "layers")
        for key, one in value.items()
    }


def _numbered(config):
    return enumerate(layer for layer in config["layers"] if isinstance(layer, dict))


def _without_name(layer):
    beside = ("name", "build_config", "compile_config")
    layer = {key: one for key, one in layer.items() if key not in beside}
    if isinstance(layer.get("config"), dict):
        # By the names of inputs that a user gave Keras finds their data in a dict.
        of_user = layer.get("class_name") == "InputLayer" and not _AUTOMATIC.fullmatch(
            layer["config"].get("name", "")
        )
        layer["config"] = {
            key: one
            for key, one in layer["config"].items()
            if (key != "name" or of_user) and not key.endswith("_initializer")
        }
    return layer


def _placed(history, places):
    """`["conv2d_3", 0, 0]`, or lists or dicts of such, with the layer's place for its name."""
    if isinstance(history, dict):
        return {key: _placed(one, places) for key, one in history.items()}
    if isinstance(history, (list, tuple)):
        return [_placed(one, places) for one in history]
    return places.get(history, history)
