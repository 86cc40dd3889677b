"""Constraints on the wrong axes of a kernel."""

import math

from keras_dcnn._checks import as_axes
from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._structure.kernels import all_kernels, incoming_axes, no_kernels
from keras_dcnn.constraints import MaxNorm
from keras_dcnn.diagnosis.finding import Finding


def find_wrong_constraint_axes(model):
    """Constraints with an `axis` that is not that of the weights of one unit."""
    return [
        Finding(
            "wrong_constraint_axes",
            f"{type(constraint).__name__} on axes {list(axes)} of the {kernel.noun} of shape "
            f"{kernel.variable.shape} takes {_count(kernel, axes)} weights together, but "
            f"the {_count(kernel, kernel.axes)} of {_unit(kernel)} lie along {list(kernel.axes)}",
            f"give it axis={list(kernel.axes)}, or use constraints.MaxNorm({_argument(kernel)})",
            path,
        )
        for path, kernel in _constrained(model, all_kernels)
        if (axes := _axes_of(constraint := kernel.variable.constraint, kernel)) is not None
        if set(axes) != set(kernel.axes)
    ]


def find_mismatched_max_norm(model):
    """MaxNorms made for another kind of kernel than that of the layer."""
    return [
        Finding(
            "mismatched_max_norm",
            f"MaxNorm is for kernels of the kind {constraint.kernel!r}, and this {kernel.noun} of "
            f"shape {kernel.variable.shape} {_what_it_is(kernel)}",
            _advice(kernel),
            path,
        )
        for path, kernel in _constrained(model, all_kernels, no_kernels)
        if isinstance(constraint := kernel.variable.constraint, MaxNorm)
        if constraint.axis is None
        if kernel.axes is None
        or set(incoming_axes(constraint.kernel, kernel.variable.shape)) != set(kernel.axes)
    ]


def _what_it_is(kernel):
    return f"is {kernel.kind!r}" if kernel.kind else "is no kernel"


def _advice(kernel):
    if kernel.kind is None:
        return "take it off, or give it an axis"
    by_regularize = kernel.prefix not in ("recurrent", "embeddings")
    choose = ", or let regularizers.regularize() choose" if by_regularize else ""
    return f"make it MaxNorm({_argument(kernel)}){choose}"


def _constrained(model, *lists):
    return [
        (path, kernel)
        for path, layer in walk_layers(model)
        for kernels in lists
        for kernel in kernels(layer)
        if kernel.variable.constraint is not None
    ]


def _axes_of(constraint, kernel):
    """The axes of a constraint, counted from the front, or None for one that has none."""
    axis = getattr(constraint, "axis", None)
    if axis is None:
        return None
    rank = len(kernel.variable.shape)
    return tuple(one % rank for one in as_axes("axis", axis))


def _argument(kernel):
    """What a MaxNorm for this kernel is made with."""
    if kernel.kind in ("einsum", "embedding"):
        return f"axis={list(kernel.axes)}"
    return f"kernel={kernel.kind!r}"


def _unit(kernel):
    return "an embedding" if kernel.kind == "embedding" else "a unit"


def _count(kernel, axes):
    return math.prod(kernel.variable.shape[axis] for axis in axes)
