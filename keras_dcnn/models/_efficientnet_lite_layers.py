"""The layers of EfficientNet-Lite: a stem, seven stages of inverted bottlenecks, and a top."""

import math
from typing import NamedTuple

import keras


class Variant(NamedTuple):
    """How a network is scaled, the side of its images, and the dropout before the classes."""

    width: float
    depth: float
    side: int
    dropout: float


# https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py
VARIANTS = {
    "lite0": Variant(1.0, 1.0, 224, 0.2),
    "lite1": Variant(1.0, 1.1, 240, 0.2),
    "lite2": Variant(1.1, 1.2, 260, 0.3),
}


class Bottleneck(NamedTuple):
    """An inverted bottleneck, by the name that Keras gives it: stage and letter."""

    name: str
    kernel_size: int
    strides: int
    expansion: int
    filters: int


def bottlenecks_of(variant):
    """The blocks from input to output; the stem, the first and last stage's depth stay unscaled."""
    stages = (
        # repeats, kernel size, strides, expansion, filters
        *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
        *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
    )
    blocks = []
    for number, (repeats, kernel_size, strides, expansion, filters) in enumerate(stages, 1):
        scaled = 1 < number < len(stages)
        repeats = math.ceil(repeats * variant.depth) if scaled else repeats
        for i in range(repeats):
            blocks.append(
                Bottleneck(
                    f"block{number}{'abcdefgh'[i]}_",
                    kernel_size,
                    1 if i else strides,
                    expansion,
                    _rounded(filters * variant.width),
                )
            )
    return blocks


def _rounded(filters, divisor=8):
    """To the nearest multiple of 8, if it takes less than a tenth away."""
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * filters else rounded + divisor


def set_initializers(model, draw):
    """Give kernels the initializers of Keras's own EfficientNet, and draw them if asked.

    The layers are made with zeros: JAX compiles a draw anew for each shape, which takes half a
    minute for one network, and is in vain where a file has the weights. With the initializers in
    its configuration the model can be made anew, as k-fold trainings do.
    """
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        law = (1 / 3, "fan_out", "uniform")
        if not isinstance(layer, keras.layers.Dense):
            law = (2.0, "fan_out", "truncated_normal")
        initializer = keras.initializers.VarianceScaling(*law)
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.depthwise_initializer = initializer
        else:
            layer.kernel_initializer = initializer
        if draw:
            layer.kernel.assign(initializer(layer.kernel.shape, layer.kernel.dtype))


def features(images, variant):
    """The last feature map, 1280 channels at a 32nd of the images' side; kernels are 0 as yet."""
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(images)
    x = _convolved(x, "stem_", 32, 3, strides=2)
    for block in bottlenecks_of(variant):
        x = _block(x, block)
    return _convolved(x, "top_", 1280)


def _block(x, block):
    """1×1 to more channels, k×k within each, 1×1 to fewer; added to x where the shapes agree."""
    y, channels = x, x.shape[_axis()]
    if block.expansion > 1:
        y = _convolved(x, f"{block.name}expand_", channels * block.expansion)
    y = keras.layers.DepthwiseConv2D(
        block.kernel_size,
        strides=block.strides,
        padding="same",
        use_bias=False,
        depthwise_initializer="zeros",
        name=f"{block.name}dwconv",
    )(y)
    y = _activated(_batch_norm(y, block.name), block.name)
    y = _convolved(y, f"{block.name}project_", block.filters, activated=False)
    if block.strides > 1 or channels != block.filters:
        return y
    return keras.layers.Add(name=f"{block.name}add")([y, x])


def _convolved(x, prefix, filters, kernel_size=1, strides=1, activated=True):
    """Convolution without bias, BatchNorm and, if asked, ReLU6."""
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="zeros",
        name=f"{prefix}conv",
    )(x)
    x = _batch_norm(x, prefix)
    return _activated(x, prefix) if activated else x


def _batch_norm(x, prefix):
    return keras.layers.BatchNormalization(axis=_axis(), epsilon=1e-3, name=f"{prefix}bn")(x)


def _activated(x, prefix):
    return keras.layers.ReLU(max_value=6, name=f"{prefix}activation")(x)


def _axis():
    """That of the channels, in Keras's data format."""
    return -1 if keras.config.image_data_format() == "channels_last" else 1
