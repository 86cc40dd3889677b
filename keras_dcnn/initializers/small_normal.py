"""SmallNormal: small random numbers, whatever the layer."""

from collections.abc import Sequence

import keras

from keras_dcnn._checks import check_number
from keras_dcnn.initializers._normal import Normal


@keras.saving.register_keras_serializable(package="keras_dcnn")
class SmallNormal(Normal):
    """Normal initialisation with a small, fixed standard deviation.

    Draws from N(0, stddev²). Breaks the symmetry between units, no more: since the signal shrinks
    from layer to layer it is for small nets, or for an output layer whose first predictions should
    be near uniform. For deep nets take `HeNormal`.

    Differs from `keras.initializers.RandomNormal` in its default (there 0.05), and in that one
    instance given to several layers draws anew for each.

    Args:
        stddev: Standard deviation, above 0.
        seed: Integer ≥ 0 for a reproducible sequence of draws, or None, which follows
            `keras.utils.set_random_seed`.

    Raises:
        ValueError: for a `stddev` that is not above 0 or not finite.

    Example:

    ```python
    import keras
    import keras_dcnn

    layer = keras.layers.Dense(10, kernel_initializer=keras_dcnn.initializers.SmallNormal())
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 3.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    def __init__(self, stddev: float = 0.001, seed: int | None = None) -> None:
        check_number("stddev", stddev, above=0)
        super().__init__(seed)
        self.stddev = stddev

    def stddev_for(self, shape: Sequence[int]) -> float:
        return self.stddev
