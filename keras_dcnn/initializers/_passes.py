"""The passes of LSUV through a model, of a few samples each: some look, some change the kernels."""

import collections
import dataclasses
import functools
import math

import keras
import numpy as np

from keras_dcnn._keras.compiling import is_traced
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.variables import full_precision, own_trainable_weights
from keras_dcnn._state.layer_calls import intercepted, shadowed
from keras_dcnn._structure.kernels import LayerKernel, known_kernels
from keras_dcnn.initializers._orthonormal import orthonormal_kernel

ops = keras.ops
_ROUNDING = 1e-6  # a standard deviation below this share of the mean is float32's rounding


@dataclasses.dataclass(eq=False)
class Treatment:
    """What is done to a kernel; `note` says why it isn't treated."""

    layer: keras.Layer
    name: str
    kernel: LayerKernel = None  # none of an unknown layer
    note: str = ""
    start: np.ndarray = None
    place: float = math.inf  # among the calls of the layers
    target: float = 1.0  # the variance on the first batch with which that on all is 1
    before: float = None
    after: float = None
    iterations: int = 0

    @property
    def variable(self):
        return self.kernel and self.kernel.variable


def treatments(model):
    """Of the kernels of all layers of a model, those of unknown layers with a note."""
    found, normalized = [], _normalized(model)
    for layer in all_layers(model):
        path = layer.path or layer.name  # a layer without weights has no path yet
        kernels = known_kernels(layer)
        for kernel in kernels:
            name = f"{path} {kernel.prefix}_kernel" if len(kernels) > 1 else path
            note = _note(kernel) or ("spectrally normalized" if layer in normalized else "")
            found.append(Treatment(layer, name, kernel, note))
        if not kernels and _has_matrix(layer):
            found.append(Treatment(layer, path, note=f"unknown kernel of {type(layer).__name__}"))
    return found


def _normalized(model):
    """The layers whose kernels SpectralNormalization scales at every step of training."""
    wrapper = keras.layers.SpectralNormalization
    return [layer.layer for layer in all_layers(model) if isinstance(layer, wrapper)]


def _note(kernel):
    if kernel.variable is None:
        return "not called"
    if isinstance(kernel.layer.dtype_policy, keras.dtype_policies.QuantizedDTypePolicy):
        return "quantized"
    if getattr(kernel.layer, "lora_enabled", False):
        return "adapted by LoRA"
    return "" if kernel.variable.trainable else "frozen"


def _has_matrix(layer):
    matrices = any(len(weight.shape) > 1 for weight in own_trainable_weights(layer))
    # SpectralNormalization has the kernel of its layer as its own too.
    others = (keras.layers.PReLU, keras.layers.SpectralNormalization)
    return matrices and not isinstance(layer, others)


class Passes:
    """Through a model, over batches of inputs; `tick()` is called at each call of a kernel."""

    def __init__(self, model, batches, kernels, tick):
        self._model, self._batches, self._kernels, self._tick = model, batches, kernels, tick

    def look(self):
        """Measure the kernels as they are, and note why some can't be treated."""
        calls = collections.Counter()

        def count(kernel, call):
            kernel.place = min(kernel.place, calls.total())
            calls[id(kernel.variable)] += 1
            if is_traced(call.args, call.keywords):
                kernel.note = kernel.note or "inside a compiled loop"

        for kernel, (_, variance) in self._measured(count).items():
            kernel.before = variance
        for kernel in self._kernels:
            number = calls[id(kernel.variable)] // len(self._batches)
            if not kernel.note and number != 1:
                kernel.note = f"shared, called {number} times" if number else "not called"

    def treat(self, generator, tolerance, max_iterations):
        """Make orthonormal, and scale until the variances on all batches are within the tolerance.

        On the first batch, as each layer is called, so that the next one sees the change; the
        share of that batch in the variance on all, which scaling hardly changes, is allowed for.
        """
        self._kernels = [kernel for kernel in self._kernels if not kernel.note]
        for one in self._kernels:
            one.variable.assign(orthonormal_kernel(generator, one.kernel))
        off = self._kernels
        while off and max_iterations:
            self._run(self._batches[0], functools.partial(_scale, tolerance))
            measured = self._measured().items()
            off = [one for one, parts in measured if not _is_reached(one, *parts, tolerance)]
            max_iterations -= 1
        for kernel in off:
            kernel.note = kernel.note or "not within the tolerance"

    def _measured(self, also=lambda kernel, call: None):
        """Variances of what the kernels compute: on the first batch, and on all."""
        parts = collections.defaultdict(list)

        def measure(kernel, call):
            also(kernel, call)
            if not is_traced(call.args, call.keywords):
                parts[kernel].append(_moments(kernel, call))

        for inputs in self._batches:
            self._run(inputs, measure)
        return {kernel: (_variance(each[:1]), _variance(each)) for kernel, each in parts.items()}

    def _run(self, inputs, visit):
        """Run the model, with `visit(kernel, call)` before each call of a kernel's layer."""
        of_layer = collections.defaultdict(list)
        for kernel in self._kernels:
            if kernel.variable is not None:
                of_layer[kernel.layer].append(kernel)

        def visit_layer(layer, call):
            for kernel in of_layer[layer]:
                visit(kernel, call)
                self._tick()

        with intercepted(list(of_layer), visit_layer):
            self._model(inputs, training=False)


def _moments(kernel, call):
    """Number, mean and variance of the elements of what `call` gives without bias and activation.

    For the depthwise kernel of a separable convolution: of what its pointwise kernel is given.
    """
    replaced = {"activation": None, "use_bias": False, "bias": None}
    pointwise = getattr(kernel.layer, "pointwise_kernel", None)
    if pointwise is not None and kernel.kernel.kind == "depthwise":
        identity = np.eye(pointwise.shape[-2]).reshape((*pointwise.shape[:-1], -1))
        replaced["pointwise_kernel"] = ops.convert_to_tensor(identity, kernel.layer.compute_dtype)
    with shadowed(kernel.layer, **replaced):
        x = ops.convert_to_numpy(call())
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.mean(x, dtype="float64")
        squares = sum(np.square(part - mean, dtype="float64").sum() for part in x)
    return x.size, mean, squares / x.size


def _variance(parts):
    """That of all elements, from the moments of parts; 0 where they are alike up to rounding."""
    sizes, means, variances = np.transpose(parts)
    mean = np.average(means, weights=sizes)
    variance = np.average(variances + (means - mean) ** 2, weights=sizes)
    return 0.0 if variance <= (_ROUNDING * mean) ** 2 else float(variance)


def _scale(tolerance, kernel, call):
    """W ← W / √(Var(W∗x) / target), where it isn't within the tolerance."""
    ratio = _variance([_moments(kernel, call)]) / kernel.target
    if not kernel.note and _is_usable(kernel, ratio) and abs(ratio - 1) >= tolerance:
        with full_precision():
            kernel.variable.assign(kernel.variable / math.sqrt(ratio))
        kernel.iterations += 1


def _is_reached(kernel, first, variance, tolerance):
    """Whether the variance on all batches is within the tolerance; else sets what to aim at."""
    if kernel.note:
        return True
    if not _is_usable(kernel, variance if first else 0.0):
        return False
    kernel.after, kernel.target = variance, first / variance
    return abs(variance - 1) < tolerance


def _is_usable(kernel, variance):
    """Whether it can be scaled by; else puts the kernel back, with a note."""
    if math.isfinite(variance) and variance > 0:
        return True
    with full_precision():
        kernel.variable.assign(kernel.start)
    kernel.note, kernel.after = "output not finite" if variance else "zero or constant output", None
    return False
