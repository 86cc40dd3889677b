"""ElasticNet: λ₁‖w‖₁ + λ₂‖w‖², the sum of L1 and L2."""

import keras

from keras_dcnn._checks import check_number, warn_no_effect
from keras_dcnn._keras.layers import find_by_string
from keras_dcnn._structure.kernels import in_floats

ops = keras.ops


@find_by_string
@keras.saving.register_keras_serializable(package="keras_dcnn")
class ElasticNet(keras.regularizers.L1L2):
    """Adds l1·Σ|w| + l2·Σw² to the loss: sparse like L1, stable under correlated inputs like L2.

    The formula of `keras.regularizers.L1L2`, whose defaults and string id `"l1l2"`, however, are a
    penalty of zero, silently. Computed in float32 for weights of half precision and whole numbers,
    in float64 for float64.

    Args:
        l1: λ₁, ≥ 0.
        l2: λ₂, ≥ 0, without the ½ of `WeightDecay`.

    Raises:
        ValueError: for a negative or non-finite number.
        TypeError: for complex weights.

    Example:

    ```python
    import keras
    import keras_dcnn

    layer = keras.layers.Dense(10, kernel_regularizer=keras_dcnn.regularizers.ElasticNet(l1=1e-5))
    ```

    Reference:
        Zou, Hastie: Regularization and Variable Selection via the Elastic Net (2005).
        https://doi.org/10.1111/j.1467-9868.2005.00503.x
    """

    def __init__(self, l1: float = 1e-4, l2: float = 1e-4) -> None:
        check_number("l1", l1, minimum=0)
        check_number("l2", l2, minimum=0)
        if l1 == l2 == 0:
            warn_no_effect("ElasticNet", "l1=0 and l2=0")
        super().__init__(float(l1), float(l2))

    def __call__(self, x):
        x = in_floats("ElasticNet", x)  # times Python's numbers: Keras makes l1 and l2 of float32
        return self.l1 * ops.sum(ops.abs(x)) + self.l2 * ops.sum(ops.square(x))
