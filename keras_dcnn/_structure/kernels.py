"""Which layer holds which kernel, and what the axes of a kernel mean. The shape cannot tell.

The table of Keras's layers is in the docstring of `diagnosis.examine`.
"""

import dataclasses
import math

import keras

from keras_dcnn._checks import check_real

KERNEL_KINDS = ("standard", "depthwise", "transpose")  # which the parts take as `kernel=`

_layers = keras.layers
# The kinds of a layer's kernels, in order of use, by the prefix of their arguments, as in
# `kernel_regularizer`. Other classes have the kernels that their arguments say.
_LINEAR = (
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
_MORE = {"recurrent": "standard", "embeddings": "embedding"}
# Weights that are no kernels, which are decayed only on purpose.
_NO_KERNELS = (
    ((_layers.PReLU,), "alpha"),
    ((_layers.BatchNormalization, _layers.GroupNormalization, _layers.LayerNormalization), "gamma"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerKernel:
    """A kernel of a layer; `prefix` is that of its arguments, as in `kernel_regularizer`.

    `kind` is one of KERNEL_KINDS; "einsum", whose axes the layer's equation names; "embedding",
    whose rows are picked one at a time; or None for a weight that is no kernel. `variable` is None
    where the layer has none of its own.
    """

    layer: keras.Layer
    prefix: str
    kind: str | None

    @property
    def variable(self):
        """The underscored come first, since the others may be computed, as under LoRA."""
        names = [f"_{self.prefix}", f"{self.prefix}_kernel", self.prefix]
        names += ["kernel"] if self.prefix == "depthwise" else []
        found = (getattr(self.layer, name, None) for name in names)
        return next((one for one in found if isinstance(one, keras.Variable)), None)

    @property
    def noun(self):
        """What it is called in sentences."""
        names = {"embeddings": "matrix of embeddings", "recurrent": "recurrent kernel"}
        return names.get(self.prefix, "kernel" if self.kind else self.prefix)

    @property
    def axes(self):
        """Those that the weights of one unit, or of one embedding, run over; None for no kernel."""
        if self.kind == "einsum":
            return einsum_axes(self.layer.equation)[0]
        return incoming_axes(self.kind, self.variable.shape) if self.kind else None

    def split(self):
        """Its shape with the groups on axes of their own, the axes of inputs, those of groups."""
        shape = tuple(self.variable.shape)
        if self.kind == "einsum":
            return shape, *einsum_axes(self.layer.equation)
        if self.kind == "depthwise":
            return shape, self.axes, (len(shape) - 2,)
        if self.groups == 1:
            return shape, self.axes, ()
        return (
            (*shape[:-1], self.groups, shape[-1] // self.groups),
            self.axes,
            (len(shape) - 1,),
        )

    @property
    def groups(self):
        """How many separate maps the kernel is made of, none of which sees another's inputs."""
        if self.kind == "einsum":
            return _product(self.variable.shape, einsum_axes(self.layer.equation)[1])
        return getattr(self.layer, "groups", 1) if self.kind == "standard" else 1

    @property
    def fan_in(self):
        """The inputs that one output is a sum of: of an embedding's rows one at a time."""
        return 1 if self.kind == "embedding" else _product(self.variable.shape, self.axes)

    @property
    def fan_out(self):
        """The outputs that one input feeds."""
        shape = self.variable.shape
        if self.kind == "einsum":
            return math.prod(shape) // self.fan_in // self.groups
        if self.kind == "embedding":
            return shape[-1]
        return _product(shape, outgoing_axes(self.kind, shape)) // self.groups


def known_kernels(layer):
    """The kernels of a layer of Keras's whose calls are linear in them, built or not."""
    kinds = next((kinds for classes, kinds in _LINEAR if isinstance(layer, classes)), {})
    return [LayerKernel(layer, prefix, kind) for prefix, kind in kinds.items()]


def layer_kernels(layer):
    """The kernels of floats that a built layer has itself, but recurrent ones and embeddings."""
    others = [LayerKernel(layer, prefix, kind) for prefix, kind in _OTHERS.items()]
    return list(filter(_is_kernel, known_kernels(layer) or others))


def all_kernels(layer):
    """The kernels of floats that a built layer has itself, recurrent ones and embeddings too."""
    more = [LayerKernel(layer, prefix, kind) for prefix, kind in _MORE.items()]
    return layer_kernels(layer) + list(filter(_is_kernel, more))


def no_kernels(layer):
    """The biases, slopes, shifts and scales of a built layer."""
    found = [LayerKernel(layer, prefix, None) for prefix in ("alpha", "beta", "bias", "gamma")]
    return list(filter(_is_made_by_argument, found))


def other_weights(layer):
    """What of a built layer is regularized only on purpose: slopes, scales, embeddings."""
    found = [
        LayerKernel(layer, name, None) for kind, name in _NO_KERNELS if isinstance(layer, kind)
    ]
    if isinstance(layer, _layers.Embedding):
        found.append(LayerKernel(layer, "embeddings", "embedding"))
    return list(filter(_is_made_by_argument, found))


def _is_kernel(kernel):
    if not _is_made_by_argument(kernel):
        return False
    return "float" in kernel.variable.dtype and len(kernel.variable.shape) > 1


def _is_made_by_argument(kernel):
    return hasattr(kernel.layer, f"{kernel.prefix}_regularizer") and kernel.variable is not None


def _product(shape, axes):
    return math.prod(shape[axis] for axis in axes)


def incoming_axes(kind, shape):
    """Axes over which the inputs of one neuron run: its norm and its fan-in are over these.

    `standard` (…, in, out): Dense, convolutions, pointwise kernels, grouped ones too. `depthwise`
    (…, channels, multiplier). `transpose` (…, out, in). For an `embedding` (rows, numbers) those
    of the numbers of one row.
    """
    spatial = tuple(range(len(shape) - 2))
    return {
        "standard": (*spatial, len(shape) - 2),
        "depthwise": spatial,
        "transpose": (*spatial, len(shape) - 1),
        "embedding": (len(shape) - 1,),
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


def in_floats(part, weight):
    """A weight as float32, in which squares of half precision are finite; float64 stays so.

    Raises TypeError for complex numbers.
    """
    weight = keras.ops.convert_to_tensor(weight)
    check_real(f"{part}: weights", weight)
    is_double = keras.backend.standardize_dtype(weight.dtype) == "float64"
    return weight if is_double else keras.ops.cast(weight, "float32")
