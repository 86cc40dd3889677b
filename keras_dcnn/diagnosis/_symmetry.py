"""Hidden layers whose units start alike."""

import keras
import numpy as np

from keras_dcnn._structure.kernels import layer_kernels
from keras_dcnn._structure.layers import followers, is_graph
from keras_dcnn.diagnosis.finding import Finding

_OUTGOING = {"standard": -1, "depthwise": -1, "transpose": -2}


def find_symmetric_kernels(model):
    """Trainable kernels of hidden layers whose units all have the same weights.

    In sequential and functional models, nested ones too; elsewhere the order isn't known.
    """
    return [
        _finding(path, kernel, value)
        for path, layer, residual in _hidden_layers(model)
        for kernel in layer_kernels(layer)
        if kernel.variable.trainable
        if are_units_alike(value := keras.ops.convert_to_numpy(kernel.variable), kernel.kind)
        if value.any() or not residual
    ]


def are_units_alike(kernel, kind):
    """Whether all units have the same weights; of a single unit, whether these are zeros."""
    if not kernel.any():
        return True
    if kind not in _OUTGOING or kernel.shape[_OUTGOING[kind]] == 1:
        return False
    return bool((kernel == kernel.take([0], axis=_OUTGOING[kind])).all())


def _finding(path, kernel, value):
    weights = f"all {value.size} weights of the kernel are {value.flat[0]:g}"
    if np.ptp(value):
        weights = f"all {value.shape[_OUTGOING[kernel.kind]]} units have the same weights"
    return Finding(
        "symmetric_kernel",
        f"{weights}, so that this hidden layer computes one and the same feature, or none",
        "start it from random weights, such as initializers.HeNormal",
        path,
    )


def _hidden_layers(model, prefix="", followed=False):
    """(path, layer, whether it ends a residual branch) for layers with kernels after them."""
    for layer in model.layers if is_graph(model) else ():
        path, after = prefix + layer.name, followers(model, layer)
        hidden = followed or any(map(_has_kernels, after))
        if is_graph(layer):
            yield from _hidden_layers(layer, f"{path}/", hidden)
        elif hidden:
            yield path, layer, _is_added(after)


def _has_kernels(operation):
    return any(len(weight.shape) > 1 for weight in getattr(operation, "trainable_weights", ()))


def _is_added(after):
    """Whether a sum is reached before other kernels."""
    for operation in after:
        if isinstance(operation, keras.layers.Add) or type(operation).__name__ == "Add":
            return True
        if _has_kernels(operation):
            return False
    return False
