"""HeNormal: the initialisation of He et al., untruncated, for any kernel kind."""

from collections.abc import Sequence
from typing import Any, Self

import keras

from keras_dcnn._checks import check_choice, check_count, check_number, is_number
from keras_dcnn._structure.kernels import KERNEL_KINDS
from keras_dcnn.initializers._normal import FanNormal


def negative_slope_of(activation):
    """√E[α²] of the negative slopes α that a rectifier layer starts with.

    Raises ValueError for a layer that is no rectifier, or whose slope is not one number.
    """
    slope = getattr(activation, "rms_slope", getattr(activation, "negative_slope", None))
    if isinstance(activation, keras.layers.PReLU):
        start = activation.alpha_initializer
        slope = (
            0.0 if isinstance(start, keras.initializers.Zeros) else getattr(start, "value", None)
        )
    if not is_number(slope):
        raise ValueError(
            "`activation` must be a ReLU, LeakyReLU, RReLU, or PReLU with a constant start; got "
            f"{activation!r}: give HeNormal its `negative_slope` as a number."
        )
    return float(slope)


@keras.saving.register_keras_serializable(package="keras_dcnn")
class HeNormal(FanNormal):
    """Normal initialisation that keeps the signal's variance through rectifier layers.

    Draws from N(0, 2 / ((1 + a²)·n)), with a the negative slope of the activation that follows and
    n the fan-in (or fan-out). Deep nets of rectifiers that stall with Glorot's initialisation train
    with it.

    Differs from `keras.initializers.HeNormal` where that departs from the paper: the normal is not
    truncated, the slope counts, and the fan of depthwise kernels is theirs (Keras multiplies it by
    the number of channels). One instance given to several layers draws anew for each. Kernels of
    EinsumDense and attention get their fan from the equation. Embeddings have none: take
    `SmallNormal` for them. `diagnosis.examine` has the whole table, and finds what does not fit its
    layer.

    Args:
        negative_slope: a of the activation: 0 for ReLU, 0.25 for PReLU at its start, for RReLU the
            root of the mean square. `HeNormal.for_activation(layer)` reads it off the layer.
        mode: `"fan_in"` keeps the variance forward, `"fan_out"` that of the gradients backward.
        kernel: What the kernel's axes are: `"standard"` (…, in, out) for Dense, recurrent layers
            and convolutions, `"depthwise"` (…, channels, multiplier), `"transpose"` (…, out, in).
        groups: Groups of the convolution, ≥ 1. Its kernel does not show them, and `"fan_out"` needs
            them; for an EinsumDense the number of kernels that it holds, one per index of the axes
            that are in all three of its equation's terms.
        seed: Integer ≥ 0 for a reproducible sequence of draws, or None, which follows
            `keras.utils.set_random_seed`. The copies of one instance that EinsumDense and attention
            make draw alike with a seed.
        input_axes: Axes of the kernel that the layer sums over, in place of those that `kernel`
            implies. EinsumDense, and so attention, sets them itself.
        output_axes: The other axes.

    Raises:
        ValueError: for an unknown `mode` or `kernel`, for weights that are no kernel or no floats,
            for `groups` that the kernel can't have, and for one of `input_axes` and `output_axes`
            without the other.

    Example:

    ```python
    import keras
    import keras_dcnn

    activation = keras_dcnn.layers.RReLU()
    initializer = keras_dcnn.initializers.HeNormal.for_activation(activation)
    model = keras.Sequential([keras.layers.Conv2D(32, 3, kernel_initializer=initializer)])
    model.add(activation)
    ```

    Reference:
        He, Zhang, Ren, Sun: Delving Deep into Rectifiers (2015). https://arxiv.org/abs/1502.01852
    """

    def __init__(
        self,
        negative_slope: float = 0.0,
        mode: str = "fan_in",
        kernel: str = "standard",
        groups: int = 1,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        check_number("negative_slope", negative_slope)
        check_choice("mode", mode, ("fan_in", "fan_out"))
        check_choice("kernel", kernel, KERNEL_KINDS)
        check_count("groups", groups)
        scale = 2 / (1 + negative_slope**2)
        super().__init__(scale, mode, kernel, groups, seed, input_axes, output_axes)
        self.negative_slope = negative_slope

    @classmethod
    def for_activation(cls, activation: Any, **arguments: Any) -> Self:
        """HeNormal with the negative slope of an activation layer that follows.

        Args:
            activation: A ReLU, LeakyReLU, RReLU, or PReLU of Keras's or ours.
            **arguments: The other arguments of HeNormal.

        Raises:
            ValueError: for another layer, and for a PReLU whose start is not one number.
        """
        return cls(negative_slope_of(activation), **arguments)
