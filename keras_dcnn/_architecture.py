"""Whether models differ in their weights alone, so that one compiled graph serves them all."""

import json

import keras

from keras_dcnn._keras import all_layers, state_variables

_FOREIGN = ("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper")


def architecture(model):
    """A text that is equal for models of one architecture, whatever their layers are named.

    None where that can't be told, as with functions, which a configuration names and does not hold,
    and with layers that keep state outside variables, such as vocabularies.
    """
    layers = all_layers(model)
    if has_state_outside_variables(model) or any(map(_holds_a_function, layers)):
        return None
    try:
        config = without_names(
            {
                "class_name": f"{type(model).__module__}.{type(model).__qualname__}",
                "config": keras.saving.serialize_keras_object(model.get_config()),
                "build_config": None,
            }
        )
    except (TypeError, ValueError, NotImplementedError):  # it has no configuration
        return None
    variables = [(tuple(v.shape), str(v.dtype), v.trainable) for v in state_variables(model)]
    return f"{config} {variables}"


def has_state_outside_variables(model):
    """Whether weights alone do not make a model of a given configuration."""
    return any(
        hasattr(layer, "save_assets") or type(layer).__name__ in _FOREIGN
        for layer in all_layers(model)
    )


def _holds_a_function(layer):
    own = (value for name, value in vars(layer).items() if not hasattr(type(layer), name))
    return any(
        callable(value)
        and hasattr(value, "__name__")
        and not str(getattr(value, "__module__", "")).startswith("keras.")
        for value in own
    )


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
        layer["config"] = {
            key: one
            for key, one in layer["config"].items()
            if key != "name" and not key.endswith("_initializer")
        }
    return layer


def _placed(history, places):
    """`["conv2d_3", 0, 0]`, or lists or dicts of such, with the layer's place for its name."""
    if isinstance(history, dict):
        return {key: _placed(one, places) for key, one in history.items()}
    if isinstance(history, (list, tuple)):
        return [_placed(one, places) for one in history]
    return places.get(history, history)
