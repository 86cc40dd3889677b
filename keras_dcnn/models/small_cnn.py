"""small_cnn: the five-convolution network of the demo."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import check_count


def small_cnn(
    input_shape: Sequence[int],
    num_classes: int,
    width: int = 24,
    activation: Any = "relu",
    kernel_initializer: Any = "glorot_uniform",
    kernel_constraint: Any = None,
    augmentation: Sequence[keras.layers.Layer] = (),
) -> keras.Model:
    """Build a plain convolutional classifier that trains on a laptop's processor.

    3×3 convolutions of stride 1 with zero padding and 2×2 pooling, as the tutorial advises: two of
    `width`, two of `2·width`, one of `4·width` filters, global average pooling, softmax. About
    80,000 parameters.

    Args:
        input_shape: `(height, width, channels)`; the images' pixels in 0…255.
        num_classes: Number of classes, ≥ 2.
        width: Filters of the first convolutions, ≥ 1.
        activation: Name or function of a Keras activation, or a layer class such as
            `keras_dcnn.layers.RReLU`.
        kernel_initializer: Keras initializer of all kernels.
        kernel_constraint: Keras constraint of all kernels, or None.
        augmentation: Layers that see the raw images first.

    Returns:
        An uncompiled `keras.Model` from images to probabilities of shape `(batch, num_classes)`.

    Raises:
        ValueError: for `num_classes` below 2 or `width` below 1.
        TypeError: for a layer in place of a list of layers as `augmentation`.

    Example:

    ```python
    import keras_dcnn

    model = keras_dcnn.models.small_cnn((32, 32, 3), 10, activation=keras_dcnn.layers.RReLU)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    check_count("num_classes", num_classes, minimum=2)
    check_count("width", width)
    if isinstance(augmentation, keras.layers.Layer):
        kind = type(augmentation).__name__
        raise TypeError(f"`augmentation` must be a list of layers; got {kind}: give [layer].")
    kernel = {"kernel_initializer": kernel_initializer, "kernel_constraint": kernel_constraint}
    model = keras.Sequential([keras.Input(input_shape), *augmentation], name="small_cnn")
    model.add(keras.layers.Rescaling(1 / 127.5, offset=-1))
    for stage, filters in enumerate((width, width, 2 * width, 2 * width, 4 * width)):
        if stage in (2, 4):
            model.add(keras.layers.MaxPooling2D(2))
        model.add(keras.layers.Conv2D(filters, 3, padding="same", **kernel))
        is_layer = isinstance(activation, type)
        model.add(activation() if is_layer else keras.layers.Activation(activation))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(num_classes, activation="softmax", **kernel))
    return model
