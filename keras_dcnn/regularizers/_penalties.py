"""Puts regularizers and constraints on the weights of layers that are built."""

import warnings

import keras

from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._structure.copies import custom_classes
from keras_dcnn._structure.kernels import layer_kernels, other_weights
from keras_dcnn._structure.layers import is_graph
from keras_dcnn.constraints import MaxNorm


def put_on(layer, named, regularizer, constraint):
    """Give these, where not None, to the weights of a built layer."""
    for weight in weights_of(layer, named):
        _set(layer, weight, "regularizer", regularizer)
        _set(layer, weight, "constraint", fitted(constraint, weight))


def weights_of(layer, named):
    """The kernels of a layer, and its other weights if `where` names it."""
    return layer_kernels(layer) + (other_weights(layer) if named else [])


def fitted(constraint, weight):
    """The constraint, a MaxNorm for the kind of this kernel; None for what is no kernel."""
    if not weight.axes:
        return None
    if not isinstance(constraint, MaxNorm) or constraint.axis is not None:
        return constraint
    fit = {"axis": weight.axes} if weight.kind == "einsum" else {"kernel": weight.kind}
    return type(constraint).from_config({**constraint.get_config(), **fit})


def _set(layer, weight, role, value):
    if value is not None:
        setattr(layer, f"{weight.prefix}_{role}", value)  # what is saved
        setattr(weight.variable, role, value)  # what acts


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
