"""Puts regularizers and constraints on the weights of layers that are built."""

import warnings

import keras

from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._structure.copies import custom_classes
from keras_dcnn._structure.kernels import KERNEL_KINDS, layer_kernels, other_weights
from keras_dcnn._structure.layers import is_graph
from keras_dcnn.constraints import MaxNorm


def put_on(layer, named, regularizer, constraint):
    """Give these, where not None, to the weights of a built layer."""
    for weight in weights_of(layer, named, regularizer, constraint):
        _set(layer, weight, "regularizer", regularizer)
        _set(layer, weight, "constraint", fitted(constraint, weight))


def weights_of(layer, named, regularizer, constraint):
    """Those that take one of these: kernels, and other weights if `where` names the layer."""
    return [
        weight
        for weight in layer_kernels(layer) + (other_weights(layer) if named else [])
        if regularizer is not None or fitted(constraint, weight) is not None
    ]


def fitted(constraint, weight):
    """The constraint, a MaxNorm for the kind of this kernel; None for what is no kernel."""
    if weight.axes is None:
        return None
    if not isinstance(constraint, MaxNorm) or constraint.axis is not None:
        return constraint
    fit = {"kernel": weight.kind} if weight.kind in KERNEL_KINDS else {"axis": weight.axes}
    return type(constraint).from_config({**constraint.get_config(), **fit})


def check_adapted(layers, constraint):
    """Raise ValueError for a constraint on layers adapted by LoRA, which Keras would not load."""
    adapted = [path for path, layer in layers if getattr(layer, "lora_enabled", False)]
    if adapted and constraint is not None:
        raise ValueError(
            "Keras takes no constraint on layers that are adapted by LoRA; got "
            f"{', '.join(adapted)}: let `where` leave them out, or give a regularizer alone."
        )


def _set(layer, weight, role, value):
    if value is None:
        return
    setattr(layer, f"{weight.prefix}_{role}", value)  # what is saved
    setattr(weight.variable, role, value)  # what acts
    if role == "regularizer" and getattr(layer, "lora_enabled", False):  # as Keras does
        for part in ("a", "b"):
            getattr(layer, f"lora_{weight.prefix}_{part}").regularizer = value


def warn_if_lost(model, takers):
    """Warn where a custom layer or model does not save what was put on the layers inside."""
    graph = {id(layer) for layer in _graph_layers(model)}
    done = [layer for take, (_, layer) in zip(takers, walk_layers(model), strict=True) if take]
    if graph.issuperset(map(id, done)):
        return
    with custom_classes(model):
        config = keras.saving.serialize_keras_object(model)
        again = keras.saving.deserialize_keras_object(config, safe_mode=False)
    lost = [
        path
        for (path, layer), (_, other) in zip(walk_layers(model), walk_layers(again), strict=True)
        if _carried(layer) != _carried(other)
    ]
    if lost:
        warnings.warn(
            f"what regularize() put on {', '.join(lost)} acts, but is not saved with "
            "the model, since a custom layer around it makes it anew: call regularize() again "
            "after loading.",
            stacklevel=3,
        )


def _graph_layers(model):
    """The layers of sequential and functional models, nested ones too."""
    if not is_graph(model):
        return [model]
    return [layer for inner in model.layers for layer in _graph_layers(inner)]


def _carried(layer):
    """What the kernels of a layer carry, as plain data."""
    return [
        [keras.saving.serialize_keras_object(one) for one in (v.regularizer, v.constraint)]
        for v in (kernel.variable for kernel in layer_kernels(layer))
    ]
