"""The kernels of a model's layers, and what each computes, measured while the model runs."""

import dataclasses
import math

import keras
import numpy as np

from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.variables import own_trainable_weights
from keras_dcnn._state.layer_calls import shadowed
from keras_dcnn._structure.kernel_axes import kernels_of

ops = keras.ops
_ROUNDING = 1e-6  # a standard deviation below this share of the mean is float32's rounding


@dataclasses.dataclass(eq=False)
class LayerKernel:
    """A kernel of a layer, and what is known of it; `note` says why it can't be treated."""

    layer: keras.Layer
    attribute: str
    kind: str
    note: str = ""
    variable: keras.Variable = None
    start: np.ndarray = None
    place: float = math.inf  # among the calls of the layers
    before: float = None
    after: float = None
    iterations: int = 0

    def __post_init__(self):
        variable = getattr(self.layer, self.attribute) if self.layer.built and self.kind else None
        if not self.layer.built:
            self.note = "not called"
        elif isinstance(variable, keras.Variable):
            self.variable = variable
            self.start = np.array(ops.convert_to_numpy(variable))
            self.note = "" if variable.trainable else "frozen"
        elif self.kind:
            self.note = "adapted by LoRA"

    @property
    def name(self):
        """The layer's path, with the kernel's name where the layer has two."""
        path = self.layer.path or self.layer.name  # a layer without weights has no path yet
        return f"{path} {self.attribute}" if len(kernels_of(self.layer)) > 1 else path

    def measure(self, call):
        """Variance, over all elements, of what `call` gives without bias and activation.

        For the depthwise kernel of a separable convolution: of what its pointwise kernel is given.
        0 where all elements are the same up to rounding.
        """
        replaced = {"activation": None, "use_bias": False, "bias": None}
        if self.attribute == "depthwise_kernel":
            replaced["pointwise_kernel"] = _identity_like(self.layer.pointwise_kernel, self.layer)
        with shadowed(self.layer, **replaced):
            mean, variance = moments(ops.convert_to_numpy(call()))
        return 0.0 if variance <= (_ROUNDING * mean) ** 2 else variance


def kernels_in(model):
    """The kernels of all layers of a model, those of unknown layers with a note."""
    kernels = []
    for layer in all_layers(model):
        known = kernels_of(layer)
        kernels += [LayerKernel(layer, attribute, kind) for attribute, kind in known.items()]
        if not known and _has_other_kernel(layer):
            kernels.append(LayerKernel(layer, "", "", f"unknown kernel of {type(layer).__name__}"))
    return kernels


def _has_other_kernel(layer):
    matrices = [weight for weight in own_trainable_weights(layer) if len(weight.shape) > 1]
    return bool(matrices) and not isinstance(layer, keras.layers.PReLU)


def _identity_like(pointwise_kernel, layer):
    *spatial, channels, _ = pointwise_kernel.shape
    identity = np.eye(channels).reshape((*spatial, channels, channels))
    return ops.convert_to_tensor(identity, layer.compute_dtype)


def moments(x):
    """Mean and variance over all elements, summed in float64, in little memory."""
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.mean(x, dtype="float64")
        squares = sum(np.square(part - mean, dtype="float64").sum() for part in x)
    return float(mean), float(squares / x.size)
