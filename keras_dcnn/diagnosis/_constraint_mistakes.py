"""Constraints on the wrong axes of a kernel."""

import math

from keras_dcnn._structure.layer_kernels import layer_kernels
from keras_dcnn._structure.layers import walk_layers
from keras_dcnn.constraints import MaxNorm
from keras_dcnn.diagnosis.finding import Finding


def find_wrong_constraint_axes(model):
    """Constraints with an `axis` that is not that of the weights of one unit."""
    return [
        Finding(
            "wrong_constraint_axes",
            f"{type(constraint).__name__} on axes {list(axes)} of the kernel of shape "
            f"{kernel.variable.shape} takes {_count(kernel, axes)} weights together, but a unit "
            f"has {_count(kernel, kernel.axes)}",
            f"give it axis={list(kernel.axes)}, or use constraints.MaxNorm(kernel={kernel.kind!r})",
            path,
        )
        for path, kernel in _kernels(model)
        if (axes := _axes(constraint := kernel.variable.constraint, kernel))
        if set(axes) != set(kernel.axes)
    ]


def find_mismatched_max_norm(model):
    """MaxNorms made for another kind of kernel than that of the layer."""
    return [
        Finding(
            "mismatched_max_norm",
            f"MaxNorm is for kernels of the kind {constraint.kernel!r}, and this one of shape "
            f"{kernel.variable.shape} is {kernel.kind!r}",
            f"make it MaxNorm(kernel={kernel.kind!r}), or let regularizers.regularize() choose",
            path,
        )
        for path, kernel in _kernels(model)
        if isinstance(constraint := kernel.variable.constraint, MaxNorm)
        if constraint.axis is None and kernel.kind not in (None, constraint.kernel)
    ]


def _kernels(model):
    return [
        (path, kernel)
        for path, layer in walk_layers(model)
        for kernel in layer_kernels(layer)
        if kernel.variable.constraint is not None
    ]


def _axes(constraint, kernel):
    """The axes of a constraint, counted from the front, or None for one that has none."""
    axis = getattr(constraint, "axis", None)
    if axis is None:
        return None
    rank = len(kernel.variable.shape)
    return tuple(one % rank for one in (axis if isinstance(axis, (list, tuple)) else [axis]))


def _count(kernel, axes):
    return math.prod(kernel.variable.shape[axis] for axis in axes)
