"""Hidden layers whose units start alike."""

import math

import keras
import numpy as np

from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._structure.kernels import known_kernels, layer_kernels
from keras_dcnn._structure.layers import followers, is_graph
from keras_dcnn.diagnosis.finding import Finding

_HOLDERS = (
    keras.layers.Wrapper,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
)


def find_symmetric_kernels(model):
    """Trainable kernels of hidden layers whose units all have the same weights.

    In sequential and functional models, nested ones too; elsewhere the order isn't known.
    """
    return [
        _finding(path, units)
        for path, layer, after in hidden_layers(model)
        for kernel in layer_kernels(layer)
        if kernel.variable.trainable
        if are_alike(units := units_of(kernel))
        if units.any() or not reaches(after, keras.layers.Add)
    ]


def units_of(kernel):
    """The weights by group, input and unit."""
    shape, incoming, groups = kernel.split()
    outgoing = [axis for axis in range(len(shape)) if axis not in (*incoming, *groups)]
    value = keras.ops.convert_to_numpy(kernel.variable).reshape(shape)
    sizes = [math.prod(shape[axis] for axis in axes) for axes in (groups, incoming, outgoing)]
    return value.transpose(*groups, *incoming, *outgoing).reshape(sizes)


def are_alike(units):
    """Whether all units of a group have the same weights; of single units, whether zeros."""
    if not units.any():
        return True
    return units.shape[-1] > 1 and bool((units == units[:, :, :1]).all())


def _finding(path, units):
    weights = f"all {units.size} weights of the kernel are {units.flat[0]:g}"
    if np.ptp(units):
        group = " of each group" if units.shape[0] > 1 else ""
        weights = f"all {units.shape[2]} units{group} have the same weights"
    return Finding(
        "symmetric_kernel",
        f"{weights}, so that this hidden layer computes one and the same feature, or none",
        "start it from random weights, such as initializers.HeNormal",
        path,
    )


def hidden_layers(model, prefix="", followed=False):
    """(path, layer, operations after it) for layers with kernels after them."""
    for layer in model.layers if is_graph(model) else ():
        path, after = prefix + layer.name, followers(model, layer)
        hidden = followed or any(map(_has_kernels, after))
        if is_graph(layer):
            yield from hidden_layers(layer, f"{path}/", hidden)
        elif hidden:
            yield from ((path + inner, one, after) for inner, one in _inside(layer))


def _inside(layer):
    """A layer and, of wrappers and attention, the linear layers in it, with their paths."""
    yield "", layer
    if isinstance(layer, _HOLDERS):
        for path, inner in walk_layers(layer):
            if known_kernels(inner):
                yield f"/{path}", inner


def _has_kernels(operation):
    return any(len(weight.shape) > 1 for weight in getattr(operation, "trainable_weights", ()))


def reaches(after, joining):
    """Whether a sum, or a product, is reached before other kernels: a layer or an operation."""
    for operation in after:
        if isinstance(operation, joining) or type(operation).__name__ == joining.__name__:
            return True
        if _has_kernels(operation):
            return False
    return False
