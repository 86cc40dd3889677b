"""PReLU: a leaky rectifier that learns one negative slope per channel."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import check_keywords, check_real, data_format_or_default, is_number


@keras.saving.register_keras_serializable(package="keras_dcnn")
class PReLU(keras.layers.PReLU):
    """Leaky rectifier with one learned negative slope per channel.

    `f(x) = x` for x ≥ 0 and `α·x` below, in training and at inference alike.

    Differs from `keras.layers.PReLU` in what the paper says: slopes start at 0.25 (Keras: 0) and
    there is one per channel (Keras: one per element, which ties the model to one image size and
    costs height × width times the parameters). No regularizer, as the paper advises: decay pulls
    the slopes towards ReLU. An optimizer's own weight decay would too; keep it off them as the
    example shows.

    Args:
        alpha_initializer: Starting slope, a number or a Keras initializer.
        alpha_regularizer: Keras regularizer of the slopes, or None.
        alpha_constraint: Keras constraint of the slopes, or None.
        shared_axes: Axes that share a slope, as in `keras.layers.PReLU`; None for all but the
            batch and the channels.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting: says which
            axis holds the channels. Inputs of rank 2, `(batch, channels)`, are the same in both.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, …, channels)`, or `(batch, channels, …)` with channels_first; all sizes but the
        channels may be unknown and may change.

    Output shape:
        That of the input.

    Raises:
        ValueError: for an unknown `data_format`, and when the number of channels is unknown.

    Example:

    ```python
    import keras
    import keras_dcnn

    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(16, 3)])
    model.add(keras_dcnn.layers.PReLU())
    optimizer = keras.optimizers.AdamW(weight_decay=1e-4)
    optimizer.exclude_from_weight_decay(var_names=["alpha"])
    model.compile(optimizer, "mse")
    ```

    Reference:
        He, Zhang, Ren, Sun: Delving Deep into Rectifiers (2015). https://arxiv.org/abs/1502.01852
    """

    def __init__(
        self,
        alpha_initializer: Any = 0.25,
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_keywords(self, kwargs)
        data_format = data_format_or_default(data_format)
        if is_number(alpha_initializer):
            alpha_initializer = keras.initializers.Constant(float(alpha_initializer))
        super().__init__(
            alpha_initializer, alpha_regularizer, alpha_constraint, shared_axes, **kwargs
        )
        self.data_format = data_format

    def build(self, input_shape: Any) -> None:
        given = self.shared_axes
        if given is None:
            rank = len(input_shape)
            channels = 1 if self.data_format == "channels_first" else rank - 1
            if input_shape[channels] is None:
                raise ValueError(
                    f"PReLU `{self.name}` needs a known number of channels on axis {channels}; got "
                    f"input shape {tuple(input_shape)} under data_format={self.data_format!r}."
                )
            self.shared_axes = [axis for axis in range(1, rank) if axis != channels]
        super().build(input_shape)
        self.shared_axes = given  # the configuration keeps what was asked, not this input's rank

    def call(self, inputs: Any) -> Any:
        check_real(f"PReLU `{self.name}`: inputs", inputs)
        return super().call(keras.ops.cast(inputs, self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
