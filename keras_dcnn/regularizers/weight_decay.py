"""WeightDecay: ½λ‖w‖², the penalty whose gradient is λw."""

from typing import Any

import keras

from keras_dcnn._checks import arguments_of, check_number, warn_no_effect
from keras_dcnn._keras.layers import find_by_string
from keras_dcnn._structure.kernels import in_floats

ops = keras.ops


@find_by_string
@keras.saving.register_keras_serializable(package="keras_dcnn")
class WeightDecay(keras.regularizers.Regularizer):
    """Adds ½·decay·‖w‖² to the loss, so that its gradient is decay·w.

    This is the scale of the papers and of SGD with weight decay. `keras.regularizers.L2(λ)` has no
    ½ and so decays twice as fast for the same number. With Adam and its kin prefer the optimizer's
    own `weight_decay`, which is not divided by the gradient's running scale. Computed in float32
    for weights of half precision and whole numbers, in float64 for float64.

    Args:
        decay: λ, ≥ 0. AlexNet's is 0.0005.

    Raises:
        ValueError: for a negative or non-finite `decay`.
        TypeError: for complex weights.

    Example:

    ```python
    import keras
    import keras_dcnn

    layer = keras.layers.Dense(10, kernel_regularizer=keras_dcnn.regularizers.WeightDecay(5e-4))
    ```

    Reference:
        Krizhevsky, Sutskever, Hinton (2012), section 5.
        https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks
    """

    def __init__(self, decay: float = 5e-4) -> None:
        check_number("decay", decay, minimum=0)
        if decay == 0:
            warn_no_effect("WeightDecay", "decay=0")
        self.decay = decay

    def __call__(self, x):
        return 0.5 * float(self.decay) * ops.sum(ops.square(in_floats("WeightDecay", x)))

    def get_config(self) -> dict[str, Any]:
        return arguments_of(self)
