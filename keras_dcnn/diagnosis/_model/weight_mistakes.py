"""Weights that are not finite, filters that are copies or got no gradient, norms above a bound."""

import keras
import numpy as np

from keras_dcnn._checks import as_axes
from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._keras.optimizers import gradient_traces, leaf_optimizers, trained_by
from keras_dcnn._keras.variables import own_float_weights
from keras_dcnn._state.snapshot import are_finite
from keras_dcnn._structure.kernels import all_kernels, incoming_axes, layer_kernels
from keras_dcnn.constraints import MaxNorm
from keras_dcnn.diagnosis._model.symmetry import are_alike, hidden_layers, units_of
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding

_SAME = 1e-5  # of a filter's norm, by which copies may differ
_FEWEST = 3  # weights of a filter, with which two are not the same by chance
_SOME, _MANY = 0.1, 0.4  # of a layer's filters without a gradient; a few are usual
_ABOVE = 1.001  # times the bound, beyond rounding


def find_weights_not_finite(model):
    """Layers of which weights are NaN or infinite."""
    broken = [
        path for path, layer in walk_layers(model) if not are_finite(own_float_weights(layer))
    ]
    if not broken:
        return []
    message = f"weights of {listed(broken)} are NaN or infinite, so that all answers are"
    advice = "build the model anew, or load a checkpoint of before, and lower the learning rate"
    return [Finding("weights_not_finite", message, advice, severity="error")]


def find_copied_filters(model):
    """Trainable kernels of hidden layers of which some filters are copies, but not all."""
    for path, layer, _ in hidden_layers(model):
        for kernel in layer_kernels(layer):
            units = units_of(kernel) if kernel.variable.trainable else None
            if units is None or units.shape[1] < _FEWEST or are_alike(units):
                continue
            copies = sum(_copies(group, _bias(layer, len(group.T))) for group in units)
            if copies:
                yield Finding(
                    "copied_filters",
                    f"{copies} of the {units.shape[0] * units.shape[2]} filters are copies of "
                    "another, so that they compute what that computes",
                    "start each from random weights of its own, such as HeNormal's",
                    path,
                    evidence={"copies": copies, "filters": units.shape[0] * units.shape[2]},
                )


def _bias(layer, count):
    """The biases of so many filters, by which those of equal weights differ; else zeros."""
    bias = getattr(layer, "bias", None)
    if bias is None or tuple(bias.shape) != (count,):
        return np.zeros(count)
    return keras.ops.convert_to_numpy(bias).astype("float64")


def _copies(group, bias):
    """How many columns are (near) copies of another, told apart by a projection of each."""
    group = group.astype("float32", copy=False)
    norms = np.sqrt(np.einsum("iu,iu->u", group, group))
    alive = np.flatnonzero(norms > _SAME * (norms.max() or 1))  # those of zeros are pruned
    direction = np.cos(np.arange(1.0, len(group) + 1) ** 2).astype("float32")
    order = alive[np.argsort((direction @ group)[alive])]
    beside = np.abs(np.diff((direction @ group)[order]))
    close = np.flatnonzero(beside <= _SAME * np.sqrt(len(group)) * norms[order[1:]])
    pairs = ((order[at], order[at + 1]) for at in close)
    return sum(
        np.linalg.norm(group[:, one] - group[:, other]) <= _SAME * norms[one]
        and abs(bias[one] - bias[other]) <= _SAME * norms[one]
        for one, other in pairs
    )


def find_unchanged_filters(model):
    """Filters that no gradient has reached, by the averages that the optimizer keeps of them."""
    shares, traces = {}, _traces(model)
    for path, layer in walk_layers(model) if traces else ():
        for kernel in layer_kernels(layer):
            trace, always = traces.get(id(kernel.variable), (None, False))
            if trace is not None and kernel.variable.trainable:
                share = _share_still(kernel, keras.ops.convert_to_numpy(trace))
                if share > _SOME and (always or share < 1):
                    shares[path] = share
    if not shares:
        return []
    most = max(shares.values())
    return [
        Finding(
            "unchanged_filters",
            f"of {listed(sorted(shares, key=shares.get, reverse=True))} up to {percent(most)} of "
            "the filters got no gradient, by the averages that the optimizer keeps",
            "look whether their units are dead, or the layer is cut off from the loss",
            severity="warning" if most > _MANY else "info",
            evidence={"unchanged": shares},
            confidence="likely",
        )
    ]


def _traces(model):
    """By variable its trace of gradients, and whether that tells of the whole training."""
    optimizer = getattr(model, "optimizer", None)
    found = {}
    for leaf in leaf_optimizers(optimizer) if optimizer is not None else ():
        variables = trained_by(leaf) if isinstance(leaf, keras.optimizers.Optimizer) else None
        if variables and int(keras.ops.convert_to_numpy(leaf.iterations)) > 0:
            traces, always = gradient_traces(leaf)
            pairs = zip(variables, traces, strict=False)
            found |= {id(one): (trace, always) for one, trace in pairs if trace is not None}
    return found


def _share_still(kernel, trace):
    """The share of the filters of which all of the trace is 0."""
    shape, incoming, _ = kernel.split()
    if tuple(trace.shape) != tuple(kernel.variable.shape):  # of what keeps rows and columns
        return 0.0
    return float(np.mean(~trace.reshape(shape).any(axis=tuple(incoming))))


def find_norms_above_max(model):
    """Units whose norm is above the bound of their MaxNorm, after updates."""
    for path, layer in walk_layers(model) if _is_trained(model) else ():
        for kernel in all_kernels(layer):
            constraint = kernel.variable.constraint
            axes = _axes(constraint, kernel.variable.shape)
            if axes is None or not kernel.variable.trainable:
                continue
            norms = _norms(kernel.variable, axes)
            above = norms[norms > _ABOVE * constraint.max_value]
            if len(above):
                yield _above(path, kernel, constraint, above, norms.size)


def _above(path, kernel, constraint, above, count):
    return Finding(
        "above_max_norm",
        f"{len(above)} of {count} norms of the {kernel.noun} are up to {above.max():.3g}, above "
        f"the bound of its {type(constraint).__name__}, {float(constraint.max_value):g}, which was "
        "not applied after the last update",
        "let the optimizer of `compile` make the updates, or apply the constraint after each",
        path,
        evidence={"above": len(above), "norms": count, "largest": float(above.max())},
    )


def _axes(constraint, shape):
    """Those over which a MaxNorm, Keras's or ours, takes its norms; None for none."""
    if not isinstance(constraint, (MaxNorm, keras.constraints.MaxNorm)):
        return None
    if constraint.axis is None:
        return incoming_axes(constraint.kernel, shape)
    axes = as_axes("axis", constraint.axis)
    return axes if all(-len(shape) <= axis < len(shape) for axis in axes) else None


def _norms(variable, axes):
    value = np.abs(keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32")))
    scale = max(float(value.max(initial=0)), 1e-30)
    squares = np.square(value / scale, dtype="float64")
    return scale * np.sqrt(squares.sum(axis=tuple(axes)))


def _is_trained(model):
    optimizer = getattr(model, "optimizer", None)
    leaves = leaf_optimizers(optimizer) if optimizer is not None else ()
    ours = [one for one in leaves if isinstance(one, keras.optimizers.Optimizer)]
    return any(int(keras.ops.convert_to_numpy(one.iterations)) > 0 for one in ours)
