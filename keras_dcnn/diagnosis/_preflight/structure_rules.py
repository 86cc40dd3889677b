"""Layers that add nothing, or through which little of the gradient comes."""

import keras

from keras_dcnn._structure.kernels import known_kernels
from keras_dcnn.diagnosis._preflight.activation_kinds import (
    MAXIMA,
    NORMALIZATIONS,
    has_kernel,
    has_weights,
    keeps_values,
)
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis.finding import Finding

_NARROW = 8
_FEW_FILTERS = 2  # of a convolution, through which all goes
_DEEP = {"sigmoid": 3, "tanh": 6}  # so many in a row are slow to train
_layers = keras.layers
_DENSE = (_layers.Dense, _layers.Conv1D, _layers.Conv2D, _layers.Conv3D)


def find_cannot_tell(subject):
    """A model with a `call` of its own, of which nobody sees what feeds what."""
    if subject.network is not None:
        return []
    name, kind = subject.model.name, type(subject.model).__name__
    message = (
        f"`{name}`, of class {kind}, has a `call` of its own, so that nobody can tell what feeds "
        "what, and what its outputs go through"
    )
    advice = "give keras.Model(inputs, outputs) to have all of it looked at"
    return [Finding("cannot_tell", message, advice, severity="info")]


def find_linear_layers(subject):
    """Kernels with none but linear functions between, which one kernel could do as well.

    Narrower layers between wide ones are no mistake: they factorise.
    """
    network, linear, pooled = subject.network, [], []
    for step in network.steps if network else ():
        if not _is_affine(step) or network.kind(step) != "linear" or _projects(network, step):
            continue
        ends = list(_next_kernels(network, step))
        if ends and all(end is not None and _adds_nothing(step, end[0]) for end in ends):
            (pooled if any(by_maximum for _, by_maximum in ends) else linear).append(step.path)
    found = []
    if linear:
        message = (
            f"no activation follows {_these(linear)}, so that it and the next layer are as one"
        )
        advice = "give it an activation, such as ReLU, or leave it out"
        evidence = {"layers": linear}
        found.append(Finding("linear_layer", message, advice, _only(linear), evidence=evidence))
    if pooled:
        message = f"nothing but max-pooling follows {_these(pooled)}, which has no activation"
        advice = 'give it one, such as activation="relu"'
        evidence = {"layers": pooled}
        found.append(
            Finding("missing_activation", message, advice, _only(pooled), "info", evidence)
        )
    return found


def _these(paths):
    return "this layer" if len(paths) == 1 else listed(paths)


def _only(paths):
    return paths[0] if len(paths) == 1 else None


def _projects(network, step):
    """Whether this is the linear, normalized end of a block, as of MobileNetV2's."""
    single = max(getattr(step.operation, "kernel_size", (2,))) == 1
    return single and any(isinstance(one.operation, NORMALIZATIONS) for one in network.after(step))


def _is_affine(step):
    operation = step.operation
    if isinstance(operation, _layers.TimeDistributed):
        operation = operation.layer
    kinds = [kernel.kind for kernel in known_kernels(operation)]
    return isinstance(operation, _DENSE) and kinds == ["standard"]


def _next_kernels(network, step, by_maximum=False):
    """(step, whether a maximum lies between) for the kernels behind; None where a path ends."""
    after = network.after(step)
    if not after or any(number in network.outputs for number in step.outputs):
        yield None
    for user in after:
        largest = by_maximum or isinstance(user.operation, MAXIMA)
        if _is_affine(user):
            yield user, largest
        elif _is_linear(network, user):
            yield from _next_kernels(network, user, largest)
        else:
            yield None


def _is_linear(network, step):
    """Whether a step is linear, or a maximum over places."""
    operation = step.operation
    if isinstance(operation, (keras.layers.BatchNormalization, keras.layers.Rescaling)):
        return True
    return keeps_values(operation) or (
        not has_kernel(step)
        and not isinstance(operation, NORMALIZATIONS)
        and network.kind(step) == "linear"
        and isinstance(operation, keras.layers.Activation)
    )


def _adds_nothing(step, end):
    """Whether the values between are at least as many as those at one of the ends."""
    between = _size(step.operation)
    sizes = [_inputs(step), _size(end.operation)]
    return None in (between, *sizes) or between >= min(sizes)


def _size(operation):
    operation = getattr(operation, "layer", operation)
    return getattr(operation, "units", getattr(operation, "filters", None))


def _inputs(step):
    return step.input_shape[-1] if step.input_shape else None


def find_few_filters(subject):
    """Convolutions of one or two filters, of several places, through which all goes."""
    network = subject.network
    paths = (
        [step.path for step in network.steps if _is_bottleneck(network, step)] if network else []
    )
    if not paths:
        return []
    message = (
        f"convolutions of {_FEW_FILTERS} filters or fewer ({listed(paths)}) are all that the rest "
        "of the network sees"
    )
    advice = "take 8 filters or more, and more the smaller the maps"
    evidence = {"layers": paths}
    return [Finding("narrow_layer", message, advice, None, "warning", evidence, "possible")]


def _is_bottleneck(network, step):
    operation = step.operation
    if not isinstance(operation, _layers.Conv2D) or not _is_affine(step):
        return False
    if operation.filters > _FEW_FILTERS or max(operation.kernel_size) == 1:
        return False
    after = network.after(step)
    while len(after) == 1 and len(after[0].inputs) == 1:  # not a gate, which is multiplied
        if has_kernel(after[0]):
            return True
        after = network.after(after[0])
    return False


def find_saturating_layers(subject):
    """Sigmoids or tanh in depth, and probabilities in the middle of a network."""
    network, found, hidden = subject.network, [], {}
    for step in network.steps if network else ():
        kind = network.kind(step)
        if kind in ("softmax", *_DEEP) and _feeds_kernels(network, step):
            hidden.setdefault(kind, []).append(step.path)
    for kind, least in _DEEP.items():
        paths = hidden.get(kind, ())
        if len(paths) >= least:
            message = f"{len(paths)} layers end in {kind} ({listed(paths)}), which lets little of "
            message += "the gradient through where it is near its ends"
            advice = "take ReLU or one of its kin, or BatchNormalization in front of each"
            found.append(
                Finding(
                    "saturating_layers",
                    message,
                    advice,
                    evidence={"layers": list(paths)},
                    confidence="possible",
                )
            )
    if "softmax" in hidden:
        message = f"a softmax within the network leaves one unit open ({_these(hidden['softmax'])})"
        advice = "take ReLU there, and softmax for the outputs alone"
        found.append(Finding("hidden_softmax", message, advice, _only(hidden["softmax"])))
    return found


def _feeds_kernels(network, step):
    """Whether the values go into a Dense layer or convolution, not into a gate.

    Nor does that count where they are normalized in front of the function or behind it.
    """
    before = network.before(step)
    if isinstance(step.operation, keras.layers.Activation) and before is not None:
        if isinstance(before.operation, NORMALIZATIONS):
            return False
    elif not has_kernel(step):
        return False
    waiting = network.after(step)
    while waiting:
        user = waiting.pop()
        if _is_affine(user):
            return True
        if keeps_values(user.operation):
            waiting += network.after(user)
    return False


def find_narrow_layers(subject):
    """A hidden layer right before the classes that is too narrow to tell so many apart."""
    found = []
    for head in subject.heads:
        classes = head.units if head.loss and head.loss.family in ("sparse", "categorical") else 0
        step = subject.network.before(head.last) if head.last else None
        while step is not None and not _is_affine(step) and not has_weights(step):
            step = subject.network.before(step)
        width = _size(step.operation) if step is not None and _is_affine(step) else None
        if not width or not classes or width >= classes or width >= max(_NARROW, classes / _NARROW):
            continue
        message = f"{width} units are all that the {classes} classes are told apart by"
        advice = f"make it wider, {4 * classes} units or more"
        evidence = {"units": width, "classes": classes}
        found.append(
            Finding("narrow_layer", message, advice, step.path, "warning", evidence, "possible")
        )
    return found
