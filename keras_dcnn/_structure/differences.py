"""In what two models of equal weights differ that are to answer alike, in words."""

import json

import keras

from keras_dcnn._keras.graph import all_layers
from keras_dcnn._structure.settings import FUNCTIONS, code_of, is_ours, owner, settings

# Layers that act in training only.
_TRAINING_LAYERS = {
    *("ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "Dropout", "FancyPCA"),
    *("GaussianDropout", "GaussianNoise", "MixUp", "RandAugment", "SpatialDropout1D"),
    *("SpatialDropout2D", "SpatialDropout3D"),
}
# What a configuration says of training, precision, names and sizes, and not of the answer.
_NOT_OF_THE_ANSWER = {
    *("batch_input_shape", "batch_shape", "build_config", "compile_config", "build_input_shape"),
    *("dtype", "lora_alpha", "lora_rank", "module", "momentum", "name", "rate", "registered_name"),
    *("renorm", "renorm_clipping", "renorm_momentum", "seed", "stddev", "synchronized"),
    *("trainable", "input_layers", "output_layers"),
}
_SUFFIXES = ("_initializer", "_constraint", "_regularizer")


def config_of(model):
    """The configuration of a model as a file has it; None where the model has none."""
    try:
        return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    except (AttributeError, NotImplementedError, OSError, TypeError, ValueError):
        return None


def config_difference(there, own):
    """The first difference of two configurations, "… there, … in the model"; None for none.

    What only one of them has is passed over, as another version of Keras may have left it out.
    """
    if there is None or own is None:
        return None
    return _difference(_answer(there, {}), _answer(own, {}), "the model")


def code_difference(there, own):
    """The same of two models as they are: in the code of their classes and what it closes over."""
    theirs, ours = _acting(there), _acting(own)
    for one, other in zip(theirs, ours, strict=True) if len(theirs) == len(ours) else ():
        found = _difference_of_code(one, other, f"`{other.name}`")
        if found:
            return found
    return None


def _difference_of_code(there, own, name):
    calls = [vars(layer).get("call", type(layer).call) for layer in (there, own)]
    if not all(is_ours(owner(call)) for call in calls) and code_of(calls[0]) != code_of(calls[1]):
        return f"`call` of {name} is other code"
    theirs, ours = settings(there), settings(own)
    for key in sorted(theirs.keys() & ours.keys() - {"call"}):
        pair = theirs[key], ours[key]
        if all(isinstance(one, FUNCTIONS) for one in pair):
            if code_of(pair[0]) != code_of(pair[1]):
                return f"the function `{key}` of {name} is other code"
        elif not (is_ours(type(own).__module__) or _is_of_training(key)) and pair[0] != pair[1]:
            return _in_words(f"`{key}` of {name}", *pair)
    return None


def _acting(model):
    return [one for one in all_layers(model) if not _only_trains(type(one).__module__, type(one))]


def _only_trains(module, kind):
    name = getattr(kind, "__name__", kind)
    listed = name in _TRAINING_LAYERS or name.startswith("Random") or name == "InputLayer"
    return listed and is_ours(module)


def _is_of_training(key):
    return key in _NOT_OF_THE_ANSWER or key.endswith(_SUFFIXES) or "drop" in key


def _answer(value, places):
    """What of a configuration hangs together with the answer; places stand for layers' names."""
    if isinstance(value, list):
        return [_answer(one, places) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("layers"), list):
        return {"layers": _acting_of(value["layers"])}
    if "keras_history" in value:
        name, *which = value["keras_history"]
        place = places.get(name, name)
        return {"from": place if isinstance(place, list) else [place, *which]}
    return {key: _answer(one, places) for key, one in value.items() if not _is_of_training(key)}


def _acting_of(layers):
    """Those of a graph that act, by their places; what trains only is looked through."""
    places, acting, inputs = {}, [], 0
    for layer in layers:
        name, kind = layer.get("config", {}).get("name"), layer["class_name"]
        if kind == "InputLayer":
            places[name] = f"input {inputs}"
            inputs += 1
        elif _only_trains(layer.get("module") or "", kind):
            places[name] = next(_origins(layer.get("inbound_nodes"), places), None)
        else:
            places[name] = len(acting)
            acting.append(_answer(layer, places))
    return acting


def _origins(value, places):
    """The places of what a layer takes."""
    if isinstance(value, dict) and "keras_history" in value:
        yield _answer(value, places)["from"]
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _origins(one, places)


def _difference(there, own, place):
    """The first of two structures, depth first."""
    if isinstance(there, dict) and isinstance(own, dict):
        graphs = all("layers" in (one.get("config") or ()) for one in (there, own))
        for key in own:
            if key not in there or (key == "class_name" and graphs):
                continue
            where = place if key == "config" else f"`{key}` of {place}"
            found = _difference(there[key], own[key], "layer" if key == "layers" else where)
            if found:
                return found
        return None
    lists = isinstance(there, list) and isinstance(own, list)
    if lists and place == "layer" and len(there) != len(own):
        return _in_words("the number of layers", len(there), len(own))
    if lists and len(there) == len(own) and any(isinstance(one, (dict, list)) for one in own):
        pairs = enumerate(zip(there, own, strict=True))
        return next(filter(None, (_difference(*pair, f"{place} {i}") for i, pair in pairs)), None)
    return None if there == own else _in_words(place, there, own)


def _in_words(what, there, own):
    return f"{what} is {there!r:.60} there, {own!r:.60} in the model"
