"""The kernels of a layer: the variable, what its axes are, and the arguments that penalise it."""

from typing import NamedTuple

import keras

from keras_dcnn._structure.kernel_axes import TRANSPOSED, einsum_axes, incoming_axes

# What a layer calls its kernel in its arguments, and the attributes that may hold it. The
# underscored ones come first, since the others may be computed, as under LoRA.
_KERNELS = {
    "kernel": ("_kernel", "kernel"),
    "depthwise": ("depthwise_kernel", "kernel"),
    "pointwise": ("pointwise_kernel",),
}
_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)
_OTHERS = (
    (keras.layers.PReLU, "alpha", ("alpha",)),
    (_NORMALIZATIONS, "gamma", ("gamma",)),
    (keras.layers.Embedding, "embeddings", ("_embeddings", "embeddings")),
)


class LayerKernel(NamedTuple):
    """A kernel; `prefix` is that of its arguments, `kernel_regularizer` or `depthwise_…`.

    `kind` is one of KERNEL_KINDS, or None for a kernel of other axes. `axes` are the incoming ones,
    and none for a weight that is no kernel.
    """

    prefix: str
    variable: keras.Variable
    kind: str | None
    axes: tuple


def find_variable(layer, prefix, attributes):
    """The variable that `layer` made under the arguments of this prefix, or None."""
    if not hasattr(layer, f"{prefix}_regularizer"):
        return None
    found = (getattr(layer, attribute, None) for attribute in attributes)
    return next((one for one in found if isinstance(one, keras.Variable)), None)


def layer_kernels(layer):
    """The kernels of floats that a built layer has itself; recurrent ones are not among them."""
    found = []
    for prefix, attributes in _KERNELS.items():
        variable = find_variable(layer, prefix, attributes)
        if variable is not None and "float" in variable.dtype and len(variable.shape) > 1:
            found.append(LayerKernel(prefix, variable, *_kind_and_axes(layer, prefix, variable)))
    return found


def other_weights(layer):
    """The slopes, scales or embeddings of a built layer, which are decayed only on purpose."""
    found = []
    for kind, prefix, attributes in _OTHERS:
        variable = find_variable(layer, prefix, attributes)
        if isinstance(layer, kind) and variable is not None:
            found.append(LayerKernel(prefix, variable, None, ()))
    return found


def _kind_and_axes(layer, prefix, variable):
    if isinstance(layer, keras.layers.EinsumDense):
        return None, einsum_axes(layer.equation)[0]
    kind = "depthwise" if prefix == "depthwise" else "standard"
    if isinstance(layer, TRANSPOSED):
        kind = "transpose"
    return kind, incoming_axes(kind, variable.shape)
