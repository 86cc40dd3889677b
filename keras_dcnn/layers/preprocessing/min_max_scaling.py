"""MinMaxScaling: maps the range of the data set to [−1, 1]."""

from typing import Any

import keras

from keras_dcnn.layers.preprocessing._adapted_layer import AdaptedLayer, as_float32


def scale_to_unit_range(x, low, high, ops=keras.ops):
    """2 (x − low) / (high − low) − 1; 0 where high = low."""
    varies = high > low
    scaled = 2 * (x - low) / ops.where(varies, high - low, 1.0) - 1
    return ops.where(varies, scaled, 0.0)


@keras.saving.register_keras_serializable(package="keras_dcnn")
class MinMaxScaling(AdaptedLayer):
    """Maps the range that each channel or dimension has in the data set to [−1, 1].

    Makes dimensions of different units equally important: `2 (x − low) / (high − low) − 1`. The
    channels of photographs have about one scale already; there it does little more than
    `keras.layers.Rescaling`.

    Lowest and highest value are those of the data given to `adapt(data)`, which must be the
    training images only: other images may go beyond [−1, 1]. A channel or dimension that is
    constant in the data becomes 0. The layer does the same in training and at inference.

    Args:
        per: `"channel"`: one range per channel, for images of any size. `"dimension"`: one per
            pixel and channel, for images of one size, or per entry of vectors.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        Images `(height, width, channels)` or `(batch, height, width, channels)` (channels_first:
        the channels before the height), any dtype, or a dict that holds them under `"images"`, of
        which all else is passed through untouched. Of five axes, `(batch, frames, height, width,
        channels)`, they are videos, of which each frame is an image. With `per="dimension"` also
        vectors `(batch, dimensions)`.

    Output shape:
        That of the input, in the layer's `compute_dtype` (float32 as a rule).

    Raises:
        ValueError: for an unknown argument, before `adapt`, in `adapt` for data that are constant
            throughout, and for inputs of another shape or number of channels than those of
            `adapt`, or with pixels that are not finite (inside XLA, which knows no errors, these
            count as 0).

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype="uint8")
    layer = keras_dcnn.layers.MinMaxScaling(per="dimension")
    layer.adapt(images)
    print(layer(images).shape)
    ```

    Reference:
        LeCun, Bottou, Orr, Müller: Efficient BackProp (1998), section 4.3.
        http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf
    """

    def _weight_shapes(self, shape):
        return {"low": shape, "high": shape}

    def _measure(self, moments):
        low, high = as_float32("low", moments.minimum), as_float32("high", moments.maximum)
        if not (high > low).any():
            raise ValueError(
                f"there must be {'channels' if self.per == 'channel' else 'dimensions'} that vary; "
                f"all {low.size} are constant in the data, in float32: give it more images."
            )
        return {"low": low, "high": high}

    def transform_images(self, images: Any, statistics: Any) -> Any:
        ops, x = self.ops, self.ops.cast(images, "float32")
        low, high = self._aligned(statistics["low"]), self._aligned(statistics["high"])
        return ops.cast(scale_to_unit_range(x, low, high, ops), self.compute_dtype)
