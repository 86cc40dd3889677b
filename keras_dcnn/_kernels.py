"""What the axes of a kernel mean. The shape cannot tell, so the parts take `kernel=`."""

KERNEL_KINDS = ("standard", "depthwise", "transpose")


def incoming_axes(kind, shape):
    """Axes over which the inputs of one neuron run: its norm and its fan-in are over these.

    `standard` (…, in, out): Dense, convolutions, pointwise kernels, grouped ones too. `depthwise`
    (…, channels, multiplier). `transpose` (…, out, in).
    """
    spatial = tuple(range(len(shape) - 2))
    return {
        "standard": (*spatial, len(shape) - 2),
        "depthwise": spatial,
        "transpose": (*spatial, len(shape) - 1),
    }[kind]


def outgoing_axes(kind, shape):
    """Axes over which the outputs fed by one input channel run: its fan-out is over these."""
    incoming_channel = len(shape) - (1 if kind == "transpose" else 2)
    return tuple(axis for axis in range(len(shape)) if axis != incoming_channel)


def check_kernel_shape(part, kind, shape):
    """Raise ValueError for a weight that is no kernel of this kind."""
    least = 3 if kind == "depthwise" else 2
    if len(shape) < least:
        raise ValueError(
            f"{part} with kernel={kind!r} needs a kernel of rank {least} or more; got shape "
            f"{tuple(shape)}: use it on kernels only."
        )
