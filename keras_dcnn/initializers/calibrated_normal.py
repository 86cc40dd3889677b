"""CalibratedNormal: unit variance in, unit variance out of a linear layer."""

from collections.abc import Sequence

import keras

from keras_dcnn._checks import check_choice
from keras_dcnn._structure.kernels import KERNEL_KINDS
from keras_dcnn.initializers._normal import FanNormal


@keras.saving.register_keras_serializable(package="keras_dcnn")
class CalibratedNormal(FanNormal):
    """Normal initialisation with variance 1/fan-in, so that a layer keeps its input's variance.

    Draws from N(0, 1/n), with n the fan-in: for layers without activation, or with one that is
    linear about zero (tanh, SELU). Before rectifiers, which halve the variance, take `HeNormal`.

    Differs from `keras.initializers.LecunNormal` in that the normal is not truncated, that the fan
    of depthwise kernels is theirs (Keras multiplies it by the number of channels), and that one
    instance given to several layers draws anew for each. Kernels of EinsumDense and attention get
    their fan from the equation. Embeddings have none: take `SmallNormal` for them.
    `diagnosis.examine` has the whole table, and finds what does not fit its layer.

    Args:
        kernel: What the kernel's axes are: `"standard"` (…, in, out) for Dense, recurrent layers
            and convolutions, grouped ones too, `"depthwise"` (…, channels, multiplier),
            `"transpose"` (…, out, in).
        seed: Integer ≥ 0 for a reproducible sequence of draws, or None, which follows
            `keras.utils.set_random_seed`. The copies of one instance that EinsumDense and attention
            make draw alike with a seed.
        input_axes: Axes of the kernel that the layer sums over, in place of those that `kernel`
            implies. EinsumDense, and so attention, sets them itself.
        output_axes: The other axes.

    Raises:
        ValueError: for an unknown `kernel`, for weights that are no kernel or no floats, and for
            one of `input_axes` and `output_axes` without the other.

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

    def __init__(
        self,
        kernel: str = "standard",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        check_choice("kernel", kernel, KERNEL_KINDS)
        super().__init__(1.0, "fan_in", kernel, 1, seed, input_axes, output_axes)
