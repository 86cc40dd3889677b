"""MaxNorm: keeps the norm of every neuron's incoming weights at or below a limit."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import arguments_of, as_axes, check_choice, check_number
from keras_dcnn._keras.layers import find_by_string
from keras_dcnn._structure.kernels import (
    KERNEL_KINDS,
    check_kernel_shape,
    in_floats,
    incoming_axes,
)

ops = keras.ops
# For a neuron of zeros, which has no direction, and for XLA, which takes 1/3e38 as 0.
_BOUNDS = {"float32": (1e-30, 1e37), "float64": (1e-300, 1e307)}


def clip_norm(w, max_value, axis):
    """w · min(1, max_value / ‖w‖₂), the norm over `axis`; exactly w where not violated."""
    # Dividing by the largest weight first keeps the squares of huge weights finite.
    bounds = _BOUNDS[keras.backend.standardize_dtype(w.dtype)]
    scale = ops.clip(ops.max(ops.abs(w), axis=axis, keepdims=True), *bounds)
    direction = w / scale
    norm = ops.sqrt(ops.sum(ops.square(direction), axis=axis, keepdims=True))
    return ops.where(scale * norm > max_value, direction * (max_value / norm), w)


@find_by_string
@keras.saving.register_keras_serializable(package="keras_dcnn")
class MaxNorm(keras.constraints.Constraint):
    """Limits the L2 norm of each neuron's incoming weights, after every update.

    Lets one use large learning rates: weights can't explode. Goes well with dropout.

    `w ← w · min(1, c/‖w‖₂)` for each neuron with its weights w and the limit c, so weights within
    the limit are not touched at all. `keras.constraints.MaxNorm` shrinks those a little at each
    step, and its default axis is right for Dense kernels only.

    Whole numbers come back as float32; float64 is computed in float64, half precision in float32.

    Args:
        max_value: c, above 0; 3 or 4 are usual.
        kernel: What the kernel's axes are: `"standard"` (…, in, out) for Dense, convolutions and
            recurrent layers, `"depthwise"` (…, channels, multiplier), `"transpose"` (…, out, in)
            for Conv2DTranspose.
        axis: Axis or axes to take the norm over, in place of those that `kernel` implies: those of
            an EinsumDense's kernel that its equation sums over, `[0]` for `"abc,cde->abde"`; `-1`
            for an Embedding. `[]` limits each weight alone. The kernels of attention differ in
            their axes and share one constraint: `regularizers.regularize` gives each its own.
            `diagnosis.examine` has the whole table, and finds what does not fit its layer.

    Raises:
        ValueError: for a `max_value` not above 0, an unknown `kernel`, an `axis` that the weights
            have not got, and for weights that are no kernel, such as biases, when `axis` is None.
        TypeError: for complex weights.

    Example:

    ```python
    import keras
    import keras_dcnn

    layer = keras.layers.Conv2D(32, 3, kernel_constraint=keras_dcnn.constraints.MaxNorm(3.0))
    layer = keras.layers.DepthwiseConv2D(
        3, depthwise_constraint=keras_dcnn.constraints.MaxNorm(3.0, kernel="depthwise")
    )
    ```

    Reference:
        Srivastava et al.: Dropout (2014), section 5.1. https://jmlr.org/papers/v15/srivastava14a.html
    """

    def __init__(
        self,
        max_value: float = 3.0,
        kernel: str = "standard",
        axis: int | Sequence[int] | None = None,
    ) -> None:
        check_number("max_value", max_value, above=0)
        check_choice("kernel", kernel, KERNEL_KINDS)
        as_axes("axis", axis)
        self.max_value = max_value
        self.kernel = kernel
        self.axis = axis

    def __call__(self, w):
        dtype = keras.backend.standardize_dtype(ops.convert_to_tensor(w).dtype)
        w = in_floats("MaxNorm", w)
        axes, limit = self._axes(w.shape), float(self.max_value)
        # Backends differ in what no axes mean: none, or all.
        w = clip_norm(w, limit, axes) if axes else ops.clip(w, -limit, limit)
        return ops.cast(w, dtype) if "float" in dtype else w

    def _axes(self, shape):
        if self.axis is None:
            check_kernel_shape("MaxNorm", self.kernel, shape)
            return incoming_axes(self.kernel, shape)
        rank, axes = len(shape), as_axes("axis", self.axis)
        counted = {axis % rank for axis in axes if -rank <= axis < rank}
        if len(counted) != len(axes):
            raise ValueError(
                "`axis` of MaxNorm must be different axes of the weights, whose shape is "
                f"{tuple(shape)}; got {self.axis!r}."
            )
        return tuple(counted)

    def get_config(self) -> dict[str, Any]:
        return arguments_of(self)
