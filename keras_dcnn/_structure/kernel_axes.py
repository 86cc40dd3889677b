"""What the axes of a kernel mean. The shape cannot tell, so the parts take `kernel=`."""

import keras

KERNEL_KINDS = ("standard", "depthwise", "transpose")

_layers = keras.layers
TRANSPOSED = (_layers.Conv1DTranspose, _layers.Conv2DTranspose, _layers.Conv3DTranspose)
_KERNELS_OF = (
    ((_layers.Dense, _layers.Conv1D, _layers.Conv2D, _layers.Conv3D), {"kernel": "standard"}),
    ((_layers.DepthwiseConv1D, _layers.DepthwiseConv2D), {"kernel": "depthwise"}),
    (TRANSPOSED, {"kernel": "transpose"}),
    (
        (_layers.SeparableConv1D, _layers.SeparableConv2D),
        {"depthwise_kernel": "depthwise", "pointwise_kernel": "standard"},
    ),
    ((_layers.EinsumDense,), {"kernel": "einsum"}),
)


def kernels_of(layer):
    """{attribute: kind} of the kernels of a layer, in order of use; {} for an unknown layer.

    The kind is one of KERNEL_KINDS, or "einsum", whose axes the layer's equation names.
    """
    return next((kinds for classes, kinds in _KERNELS_OF if isinstance(layer, classes)), {})


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


def einsum_axes(equation):
    """Axes of the kernel that are summed over, and those that inputs and outputs share."""
    operands, outputs = equation.split("->")
    inputs, kernel = operands.split(",")
    summed = [axis for axis, letter in enumerate(kernel) if letter not in outputs]
    shared = [axis for axis, letter in enumerate(kernel) if letter in outputs and letter in inputs]
    return tuple(summed), tuple(shared)


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
