"""MaxNorm: keeps the norm of every neuron's incoming weights at or below a limit."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import check_choice, check_number
from keras_dcnn._keras.layers import find_by_string
from keras_dcnn._structure.kernels import KERNEL_KINDS, check_kernel_shape, incoming_axes

ops = keras.ops


def clip_norm(w, max_value, axis):
    """w · min(1, max_value / ‖w‖₂), the norm over `axis`; exactly w where not violated."""
    # Dividing by the largest weight first keeps the squares of huge weights finite. The bounds are
    # for a neuron of zeros, which has no direction, and for XLA, which takes 1/3e38 as 0.
    scale = ops.clip(ops.max(ops.abs(w), axis=axis, keepdims=True), 1e-30, 1e37)
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

    Args:
        max_value: c, above 0; 3 or 4 are usual.
        kernel: What the kernel's axes are: `"standard"` (…, in, out) for Dense and convolutions,
            `"depthwise"` (…, channels, multiplier), `"transpose"` (…, out, in) for
            Conv2DTranspose.
        axis: Axis or axes to take the norm over, in place of those that `kernel` implies.

    Raises:
        ValueError: for a `max_value` not above 0, an unknown `kernel`, and for weights that are no
            kernel, such as biases, when `axis` is None.

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
        for one in axis if isinstance(axis, (list, tuple)) else (axis,):
            if one is not None and not isinstance(one, int):
                raise ValueError(f"`axis` must be an integer, several, or None; got {axis!r}.")
        self.max_value = max_value
        self.kernel = kernel
        self.axis = axis

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        axis = self.axis
        if axis is None:
            check_kernel_shape("MaxNorm", self.kernel, w.shape)
            axis = incoming_axes(self.kernel, w.shape)
        dtype = keras.backend.standardize_dtype(w.dtype)
        if dtype in ("float16", "bfloat16"):  # whose squares overflow, or are coarse
            w = ops.cast(w, "float32")
        return ops.cast(clip_norm(w, self.max_value, axis), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "kernel": self.kernel, "axis": self.axis}
