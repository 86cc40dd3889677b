"""LogitAdjustedCrossentropy: cross-entropy that asks more of the model for rare classes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import arguments_of, check_flag, check_keywords
from keras_dcnn.losses._priors import shift_of

ops = keras.ops


def adjusted_crossentropy(y, logits, shift):
    """−log softmax(f + shift) of the label, `y` being whole numbers or one-hot rows."""
    return _crossentropy(y, logits)(y, logits + shift, from_logits=True)


def adjusted_crossentropy_of_probabilities(y, p, shift):
    """The same for p = softmax(f): −log p_y + log Σₖ pₖ exp(shiftₖ) − shift_y.

    So Keras itself takes the logarithm of `p`: on TensorFlow it finds the logits behind a softmax,
    whose gradients are right where a probability is 0. The sum is of numbers of which one is not 0.
    """
    crossentropy = _crossentropy(y, p)
    plain = crossentropy(y, p)  # first, as it refuses labels in words of its own
    inside = ops.clip(p, keras.config.epsilon(), 1)
    scale = ops.log(ops.sum(inside * ops.exp(shift), -1) / ops.sum(inside, -1))
    if crossentropy is ops.categorical_crossentropy:
        return plain + ops.sum(y * (scale[..., None] - shift), -1)
    return plain + scale - ops.take(shift, ops.cast(_without_last_axis(y, p), "int32"))


def nan_outside(y, outputs):
    """NaN for each number that is no class, 0 for classes and for rows; where XLA can't raise.

    Keras's own losses count such a sample as 0 on JAX.
    """
    if _crossentropy(y, outputs) is ops.categorical_crossentropy:
        return 0.0
    y = _without_last_axis(y, outputs)
    is_class = (y >= 0) & (y < outputs.shape[-1]) & (y == ops.floor(y))
    return ops.cast(ops.where(is_class, 0.0, float("nan")), outputs.dtype)


def _without_last_axis(y, outputs):
    """Numbers without a last axis of one."""
    return ops.squeeze(y, -1) if len(y.shape) == len(outputs.shape) else y


def _crossentropy(y, outputs):
    """Keras's operation: for one-hot rows, or for numbers, which may have a last axis of one."""
    if len(y.shape) == len(outputs.shape) and y.shape[-1] != 1:
        return ops.categorical_crossentropy
    return ops.sparse_categorical_crossentropy


@keras.saving.register_keras_serializable(package="keras_dcnn")
class LogitAdjustedCrossentropy(keras.losses.Loss):
    """Cross-entropy after adding τ·log π to the logits, for training on rare and common classes.

    What a plain training learns of how often the classes come, this loss adds by itself, so that
    the model need not: it then answers as for classes that all come alike, which is what balanced
    accuracy asks. Against class weights it moves the borders between classes also where every
    training image is right. On CIFAR-10 with classes 1 : 100 the paper reports a balanced accuracy
    of 77.9 % for 71.4 % of plain cross-entropy; `imbalance.adjust_logits`, which needs no new
    training, 77.3 %.

    `L(y, f) = −log softmax(f + τ·log π)_y`, of logits f and class shares π. τ = 1 is balanced
    softmax (Ren et al.); τ = 0 is Keras's own cross-entropy. At inference there is nothing to do:
    the model's own outputs are the balanced ones. Don't use it with `class_weight` or a balanced
    sampling of the same classes, unless each is to do a part.

    Give the model's last layer no activation, and `from_logits=True`: of a softmax, a probability
    below 1e-7 counts as 1e-7, without a gradient on JAX and PyTorch, as in Keras's own losses.

    Args:
        priors: How many training images each class has, or its share of them, above 0, such as
            `np.bincount(y)`; as many as the model has outputs.
        tau: τ, ≥ 0; above 1 rare classes are favoured.
        from_logits: Whether the model's outputs are logits; False for those of a softmax.
        **kwargs: Keras's own: `reduction`, `name` and `dtype`.

    Input shape:
        Labels `(batch, …)` or `(batch, …, 1)` of whole numbers, or `(batch, …, classes)` one-hot or
        soft; outputs `(batch, …, classes)`.

    Raises:
        ValueError: for a class without images, and for outputs that are not one a class. A label
            that is no class, such as NaN, is refused by TensorFlow and PyTorch. XLA can't refuse
            it: on JAX, and on TensorFlow with `jit_compile`, the loss is NaN.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    y = np.array([0, 0, 0, 0, 0, 0, 1, 2])
    loss = keras_dcnn.losses.LogitAdjustedCrossentropy(np.bincount(y), from_logits=True)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", loss, metrics=["accuracy"])
    ```

    Reference:
        Menon et al.: Long-tail learning via logit adjustment (2021).
        https://arxiv.org/abs/2007.07314
        Ren et al.: Balanced Meta-Softmax for Long-Tailed Visual Recognition (2020).
        https://arxiv.org/abs/2007.10740
    """

    def __init__(
        self,
        priors: Sequence[float] | np.ndarray,
        tau: float = 1.0,
        from_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        check_keywords(self, kwargs, ("reduction", "name", "dtype"))
        self._shift = shift_of(priors, tau)
        check_flag("from_logits", from_logits)
        super().__init__(**{"name": "logit_adjusted_crossentropy", **kwargs})
        self.priors = np.asarray(priors).tolist()
        self.tau = tau
        self.from_logits = from_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if y_pred.shape[-1] != len(self.priors):
            raise ValueError(
                "LogitAdjustedCrossentropy needs an output for each of the "
                f"{len(self.priors)} classes of `priors`; the model has {y_pred.shape[-1]}: give "
                "as many priors, and two outputs rather than one sigmoid."
            )
        shift = ops.convert_to_tensor(self._shift, y_pred.dtype)
        of_labels = (
            adjusted_crossentropy if self.from_logits else adjusted_crossentropy_of_probabilities
        )
        return of_labels(y_true, y_pred, shift) + nan_outside(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **arguments_of(self)}
