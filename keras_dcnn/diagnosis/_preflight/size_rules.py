"""Sizes of filters, strides, pooling and images: what the tutorial advises, what is lost."""

import keras

from keras_dcnn._structure.kernels import known_kernels
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis.finding import Finding

_layers = keras.layers
_POOLING = (_layers.MaxPooling2D, _layers.AveragePooling2D)
_CONVOLUTIONS = (_layers.Conv2D, _layers.DepthwiseConv2D, _layers.SeparableConv2D)
_EARLY = 0.5  # of the kernels behind the one at which nothing is left of the place


def find_lost_places(subject):
    """Convolutions of several places on maps of one, which see but padding beside it."""
    steps = [step for step in _steps(subject) if _is_convolution(step) and _seen(step)]
    alone = [
        step.path for step in steps if _seen(step) == (1, 1) and max(step.operation.kernel_size) > 1
    ]
    if not alone:
        return []
    message = f"{len(alone)} of {len(steps)} convolutions ({listed(alone)}) see maps of 1×1"
    early = len(alone) >= _EARLY * len(steps)
    advice = "pool less often, take smaller strides, or give larger images"
    severity = "warning" if early or len(alone) > 1 else "info"
    return [Finding("lost_places", message, advice, None, severity, {"layers": alone})]


def find_large_filters(subject):
    """What of filters, strides and padding is other than the tutorial advises."""
    steps = [step for step in _steps(subject) if _is_convolution(step) and _seen(step)]
    large = [step.path for step in steps if min(step.operation.kernel_size) > 3]
    far = [
        step.path
        for step in steps
        if max(step.operation.strides) > 2 and step.operation.strides != step.operation.kernel_size
    ]
    bare = [
        step.path
        for step in steps
        if step.operation.padding == "valid" and max(step.operation.kernel_size) > 1
        if _seen(step) != _made(step)
        if not _is_padded(subject.network.before(step))
    ]
    said = [
        (large, "filters larger than 3×3", "3×3 filters, two for one of 5×5"),
        (far, "strides above 2", "strides of 1 or 2"),
        (bare, "no padding, so that maps shrink at their edges", 'padding="same"'),
    ]
    parts = [(f"{text} ({listed(paths, 3)})", advice) for paths, text, advice in said if paths]
    if not parts:
        return []
    message = "; ".join(text for text, _ in parts)
    advice = f"the tutorial advises {', '.join(advice for _, advice in parts)}"
    evidence = {"large": large, "strides": far, "valid": bare}
    return [Finding("filters", message, advice, None, "info", evidence)]


def find_large_pooling(subject):
    """Pooling of other sizes than 2×2, but over the whole map."""
    large = [
        step.path
        for step in _steps(subject)
        if isinstance(step.operation, _POOLING)
        if max(step.operation.pool_size) > 2 and _made(step) != (1, 1)
    ]
    if not large:
        return []
    message = f"pooling over more than 2×2 ({listed(large)})"
    evidence = {"layers": large}
    return [Finding("pooling", message, "the tutorial advises 2×2", None, "info", evidence)]


def find_odd_sides(subject):
    """Maps of which a step of two drops a row or column."""
    dropped = {}
    for step in _steps(subject):
        side, operation = _seen(step), step.operation
        pools = isinstance(operation, _POOLING) and tuple(operation.pool_size) == (2, 2)
        drops = side and max(side) > 2 and any(one % 2 for one in side)
        if drops and pools and operation.padding == "valid":
            dropped[step.path] = f"{side[0]}×{side[1]}"
    if not dropped:
        return []
    message = (
        f"2×2 pooling drops a row or column of maps of odd sides ({', '.join(dropped.values())})"
    )
    advice = "give images of sides that are powers of 2, such as 32, 64, 128, or pad the maps"
    evidence = {"maps": dropped}
    return [Finding("image_side", message, advice, None, "info", evidence)]


def _steps(subject):
    return subject.network.steps if subject.network else ()


def _is_convolution(step):
    return isinstance(step.operation, _CONVOLUTIONS) and bool(known_kernels(step.operation))


def _is_padded(before):
    return before is not None and isinstance(before.operation, _layers.ZeroPadding2D)


def _seen(step):
    return _sides(step.operation, step.input_shape)


def _made(step):
    return _sides(step.operation, step.output_shape)


def _sides(operation, shape):
    """Height and width of maps of a known size, else None."""
    if shape is None or len(shape) != 4:
        return None
    first = getattr(operation, "data_format", None) == "channels_first"
    sides = tuple(shape[2:4] if first else shape[1:3])
    return None if None in sides else sides
