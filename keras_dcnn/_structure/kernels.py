"""Which layer holds which kernel, and what the axes of a kernel mean. The shape cannot tell."""

import dataclasses

import keras

KERNEL_KINDS = ("standard", "depthwise", "transpose")  # which the parts take as `kernel=`

_layers = keras.layers
# The kinds of a layer's kernels, in order of use, by the prefix of their arguments, as in
# `kernel_regularizer`. Other classes have the kernels that their arguments say.
_KNOWN = (
    ((_layers.Dense, _layers.Conv1D, _layers.Conv2D, _layers.Conv3D), {"kernel": "standard"}),
    ((_layers.DepthwiseConv1D, _layers.DepthwiseConv2D), {"depthwise": "depthwise"}),
    (
        (_layers.Conv1DTranspose, _layers.Conv2DTranspose, _layers.Conv3DTranspose),
        {"kernel": "transpose"},
    ),
    (
        (_layers.SeparableConv1D, _layers.SeparableConv2D),
        {"depthwise": "depthwise", "pointwise": "standard"},
    ),
    ((_layers.EinsumDense,), {"kernel": "einsum"}),
)
_OTHERS = {"kernel": "standard", "depthwise": "depthwise", "pointwise": "standard"}
# Weights that are no kernels, which are decayed only on purpose.
_NO_KERNELS = (
    ((_layers.PReLU,), "alpha"),
    ((_layers.BatchNormalization, _layers.GroupNormalization, _layers.LayerNormalization), "gamma"),
    ((_layers.Embedding,), "embeddings"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerKernel:
    """A kernel of a layer; `prefix` is that of its arguments, as in `kernel_regularizer`.

    `kind` is one of KERNEL_KINDS, or "einsum", whose axes the layer's equation names; None for a
    weight that is no kernel. `variable` is None where the layer has none of its own, as under LoRA.
    """

    layer: keras.Layer
    prefix: str
    kind: str | None

    @property
    def variable(self):
        """The underscored come first, since the others may be computed, as under LoRA."""
        names = (f"_{self.prefix}", f"{self.prefix}_kernel", self.prefix, "kernel")
        found = (getattr(self.layer, name, None) for name in names)
        return next((one for one in found if isinstance(one, keras.Variable)), None)

    @property
    def axes(self):
        """The incoming ones, and none for a weight that is no kernel."""
        if self.kind == "einsum":
            return einsum_axes(self.layer.equation)[0]
        return incoming_axes(self.kind, self.variable.shape) if self.kind else ()


def known_kernels(layer):
    """The kernels of a layer of Keras's whose calls are linear in them, built or not."""
    kinds = next((kinds for classes, kinds in _KNOWN if isinstance(layer, classes)), {})
    return [LayerKernel(layer, prefix, kind) for prefix, kind in kinds.items()]


def layer_kernels(layer):
    """The kernels of floats that a built layer has itself; recurrent ones are not among them."""
    others = [LayerKernel(layer, prefix, kind) for prefix, kind in _OTHERS.items()]
    return [
        kernel
        for kernel in known_kernels(layer) or others
        if _is_made_by_argument(kernel)
        if "float" in kernel.variable.dtype and len(kernel.variable.shape) > 1
    ]


def other_weights(layer):
    """The slopes, scales or embeddings of a built layer, which are decayed only on purpose."""
    found = [
        LayerKernel(layer, name, None) for kind, name in _NO_KERNELS if isinstance(layer, kind)
    ]
    return [weight for weight in found if _is_made_by_argument(weight)]


def _is_made_by_argument(kernel):
    return hasattr(kernel.layer, f"{kernel.prefix}_regularizer") and kernel.variable is not None


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
