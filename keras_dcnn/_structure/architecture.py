"""Whether models differ in their weights alone, so that one compiled graph serves them all."""

import json
import re
import warnings

import keras

from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._structure.settings import FUNCTIONS, is_ours, owner

# What holds more than its configuration and variables: code, vocabularies, others' modules.
_HOLD_MORE = (
    *("__lambda__", "IntegerLookup", "StringLookup", "TextVectorization"),
    *("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"),
)
_BY_PLACE = ("input_layers", "output_layers", "keras_history")
_AUTOMATIC = re.compile(r"(input_layer|keras_tensor)(_\d+)?")


def architecture(model):
    """A text that is equal for models that `InferenceStep` runs alike, whatever layers' names.

    None where the configuration can't tell: with classes and functions not Keras's own or ours.
    """
    layers, variables = all_layers(model), state_variables(model)
    held = [value for layer in layers for value in vars(layer).values()]
    # A configuration names a function, and a user's may have the name of one of Keras's.
    if not all(is_ours(owner(one)) for one in held if isinstance(one, FUNCTIONS)):
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        try:
            config = architecture_of(keras.saving.serialize_keras_object(model))
        except (AttributeError, NotImplementedError, OSError, TypeError, ValueError):
            return None  # it has no configuration
    # Layers may share variables, of which a configuration says nothing.
    place = {id(variable): i for i, variable in enumerate(variables)}
    shared = [[place.get(id(variable)) for variable in layer.variables] for layer in layers]
    kinds = [(tuple(v.shape), str(v.dtype), v.trainable) for v in variables]
    return config and f"{config} {shared} {kinds}"


def architecture_of(config):
    """The same of a configuration of which a model is yet to be made."""
    return without_names(config) if _tells_all(_anonymous(config, {})) else None


def without_names(config):
    """A model's configuration as a text in which names play no part.

    Nor do initializers and constraints, as what a model answers does not hang on them.
    """
    return json.dumps(_anonymous(config, {}), sort_keys=True)


def _tells_all(config):
    if isinstance(config, list):
        return all(map(_tells_all, config))
    if not isinstance(config, dict):
        return True
    ours = is_ours(config.get("module", "keras") or "")  # null for what a script defines
    known = ours and config.get("class_name") not in _HOLD_MORE
    return known and all(map(_tells_all, config.values()))


def _anonymous(value, places, by_place=False):
    """In graphs the place of a layer stands for its name."""
    if isinstance(value, (list, tuple)):
        return [_anonymous(one, places, by_place) for one in value]
    if not isinstance(value, dict):
        return places.get(value, value) if by_place else value
    beside = ("build_config", "compile_config")
    if isinstance(value.get("config"), dict) and not _has_a_name_that_counts(value):
        beside += ("name",)
        value = {**value, "config": {k: v for k, v in value["config"].items() if k != "name"}}
    layers = value.get("layers")
    if isinstance(layers, list):
        named = [one.get("name", one.get("config", {}).get("name")) for one in layers]
        places = {name: place for place, name in enumerate(named)}
    return {
        key: _anonymous(one, places, by_place or key in _BY_PLACE)
        for key, one in value.items()
        if key not in beside and not key.endswith(("_initializer", "_constraint"))
    }


def _has_a_name_that_counts(thing):
    """That of a policy, and of an input, by which Keras finds a user's data in a dict."""
    kind, name = str(thing.get("class_name")), thing["config"].get("name", "")
    return kind.endswith("DTypePolicy") or (kind == "InputLayer" and not _AUTOMATIC.fullmatch(name))
