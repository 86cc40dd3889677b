"""Regularizers and constraints that were given to a layer too late to act."""

import keras

from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._structure.kernels import LayerKernel
from keras_dcnn.diagnosis.finding import Finding

_ROLES = ("regularizer", "constraint")


def find_what_is_set_after_building(model):
    """Attributes of layers of Keras's, or ours, that their weights did not get when built."""
    for path, layer in walk_layers(model):
        for name, role, variable in _attached(layer):
            given, acting = getattr(layer, name), getattr(variable, role)
            if given is None or _is_same(given, acting, role):
                continue
            acts = "nothing does" if acting is None else f"another {type(acting).__name__} does"
            yield Finding(
                "set_after_building",
                f"`{name}` was set after the layer was built and does not act: {acts}",
                "give it to the layer when that is made, or use regularizers.regularize, which "
                "copies the model with its weights",
                path,
                evidence={"attribute": name},
            )


def _attached(layer):
    """(name, role, variable) for what a layer is told of weights that are its own."""
    if not _is_built_here(layer):
        return
    for name in [one for one in vars(layer) if one.endswith(_ROLES)]:
        prefix, _, role = name.rpartition("_")
        variable = LayerKernel(layer, prefix, None).variable if prefix else None
        if variable is not None and variable.trainable and "float" in variable.dtype:
            yield name, role, variable


def _is_built_here(layer):
    """Whether the weights are made by Keras or this package; a user's code may add the penalty."""
    build = next(one for one in type(layer).__mro__ if "build" in vars(one))
    return build.__module__.startswith(("keras.", "keras_dcnn."))


def _is_same(given, acting, role):
    """Whether the layer's is the one that acts, or does the same; a name counts for what it is."""
    if given is acting:
        return True
    registry = keras.regularizers if role == "regularizer" else keras.constraints
    serialize = keras.saving.serialize_keras_object
    return acting is not None and serialize(registry.get(given)) == serialize(acting)
