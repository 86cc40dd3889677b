"""ZeroCenter: subtracts the mean of the data set."""

from typing import Any

import keras

from keras_dcnn.layers.preprocessing._adapted_layer import AdaptedLayer


def zero_center(x, mean):
    """x − mean."""
    return x - mean


@keras.saving.register_keras_serializable(package="keras_dcnn")
class ZeroCenter(AdaptedLayer):
    """Subtracts the mean of the data set: per channel, or the mean image.

    Inputs that are all positive make the gradients of a neuron's weights all of one sign, so that
    they can move only together, in zigzags. Convolutional networks are fed images that are
    centred, `x − mean`, and often divided by a standard deviation per channel, for which there is
    `keras.layers.Normalization`.

    The mean is that of the images given to `adapt(data)`, which must be the training images only.
    It is a weight of the layer, saved with it; a mean that is known goes in by
    `layer.build((None, None, None, 3)); layer.mean.assign([123.7, 116.8, 103.9])`. The layer does
    the same in training and at inference.

    Args:
        per: `"channel"`: one mean per channel, for images of any size. `"dimension"`: a mean
            image, for images of one size, or the mean vector of vectors.
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
        ValueError: for an unknown argument, before `adapt`, and for inputs of another shape or
            number of channels than those of `adapt`, or with pixels that are not finite (inside
            XLA, which knows no errors, these count as 0).

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype="uint8")
    layer = keras_dcnn.layers.ZeroCenter()
    layer.adapt(images)
    print(layer(images).shape, layer.mean)
    ```

    Reference:
        LeCun, Bottou, Orr, Müller: Efficient BackProp (1998), section 4.3.
        http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf
    """

    def _weight_shapes(self, shape):
        return {"mean": shape}

    def _measure(self, moments):
        return {"mean": moments.mean}

    def transform_images(self, images: Any, statistics: Any) -> Any:
        x = self.ops.cast(images, "float32")
        return self.ops.cast(zero_center(x, self._aligned(statistics["mean"])), self.compute_dtype)
