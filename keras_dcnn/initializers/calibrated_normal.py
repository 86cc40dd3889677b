"""CalibratedNormal: unit variance in, unit variance out of a linear layer."""

import math
from collections.abc import Sequence

import keras

from keras_dcnn._checks import check_choice
from keras_dcnn._structure.kernels import KERNEL_KINDS, check_kernel_shape, incoming_axes
from keras_dcnn.initializers._normal import Normal


@keras.saving.register_keras_serializable(package="keras_dcnn")
class CalibratedNormal(Normal):
    """Normal initialisation with variance 1/fan-in, so that a layer keeps its input's variance.

    Draws from N(0, 1/n), with n the fan-in: for layers without activation, or with one that is
    linear about zero (tanh, SELU). Before rectifiers, which halve the variance, take `HeNormal`.

    Differs from `keras.initializers.LecunNormal` in that the normal is not truncated, that the fan
    of depthwise kernels is theirs (Keras multiplies it by the number of channels), and that one
    instance given to several layers draws anew for each.

    Args:
        kernel: What the kernel's axes are: `"standard"` (…, in, out) for Dense and convolutions,
            grouped ones too, `"depthwise"` (…, channels, multiplier), `"transpose"` (…, out, in).
        seed: Integer ≥ 0 for a reproducible sequence of draws, or None, which follows
            `keras.utils.set_random_seed`.

    Raises:
        ValueError: for an unknown `kernel`, and for weights that are no kernel.

    Example:

    ```python
    import keras
    import keras_dcnn

    layer = keras.layers.Dense(
        32, activation="tanh", kernel_initializer=keras_dcnn.initializers.CalibratedNormal()
    )
    ```

    Reference:
        LeCun, Bottou, Orr, Müller: Efficient BackProp (1998), section 4.6.
        https://doi.org/10.1007/3-540-49430-8_2
    """

    def __init__(self, kernel: str = "standard", seed: int | None = None) -> None:
        check_choice("kernel", kernel, KERNEL_KINDS)
        super().__init__(seed)
        self.kernel = kernel

    def stddev_for(self, shape: Sequence[int]) -> float:
        check_kernel_shape("CalibratedNormal", self.kernel, shape)
        return 1 / math.sqrt(math.prod(shape[axis] for axis in incoming_axes(self.kernel, shape)))
