"""standard_augmentation: the tutorial's everyday set, in the order in which it makes sense."""

from typing import Any

import keras

from keras_dcnn.layers.augmentation.fancy_pca import FancyPCA
from keras_dcnn.layers.augmentation.random_affine import RandomAffine
from keras_dcnn.layers.augmentation.random_hsv import RandomHSV
from keras_dcnn.layers.augmentation.random_padded_crop import RandomPaddedCrop


@keras.saving.register_keras_serializable(package="keras_dcnn")
class AugmentationPipeline(keras.layers.Pipeline):
    """Keras's Pipeline says training=True to its layers unasked, also in an exported model."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask)


def standard_augmentation(
    height: int,
    width: int,
    value_range: tuple[float, float] = (0, 255),
    padding: int = 0,
    flip: bool = True,
    moments: Any = None,
    bounding_box_format: str | None = None,
    seed: int | keras.random.SeedGenerator | None = None,
) -> keras.layers.Pipeline:
    """The tutorial's everyday augmentation as one layer: places first, then colours.

    In a model or in `tf.data.Dataset.map`. In training the images go through

    1. `RandomAffine(rotation=0.05, zoom=0.2)`: rotation and zoom at the same time, reflecting
       at the border,
    2. `RandomPaddedCrop(height, width, padding, flip)`: a window at a random place, mirrored in
       half of the images,
    3. `RandomHSV(power_sampling="log_uniform")`, which leaves the images as bright on average as
       they were,
    4. `FancyPCA(scale="stddev")`.

    At inference only the central window is taken. The images are to be normalised after it. All
    frames of a video `(batch, frames, height, width, 3)` get the same draws. For another set make a
    `keras.layers.Pipeline` of the layers that you want.

    Args:
        height: Height of the images that come out, in pixels.
        width: Width of the images that come out, in pixels.
        value_range: Lowest and highest value of a pixel, `(0, 255)` or `(0, 1)` as a rule.
        padding: Pixels added on each side before cropping: 0 where the images are larger than the
            window, about an eighth of the side (4 for 32×32) where they are as large.
        flip: Whether to mirror half of the images; not for digits and letters.
        moments: `PixelMoments` of the training images, for the colours that FancyPCA shifts along;
            None for those of ImageNet.
        bounding_box_format: One of Keras's formats, such as `"xyxy"`; needed for boxes.
        seed: Whole number for reproducible streams of draws, a `keras.random.SeedGenerator` that
            draws them, or None.

    Returns:
        A `keras.layers.Pipeline`.

    Raises:
        ValueError: for an argument that a layer refuses.

    Example:

    ```python
    import keras
    import keras_dcnn

    model = keras.Sequential([keras.Input((32, 32, 3))])
    model.add(keras_dcnn.layers.standard_augmentation(32, 32, padding=4))
    model.add(keras.layers.Rescaling(1 / 127.5, offset=-1))
    model.add(keras.layers.Conv2D(16, 3))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 1.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    colours = FancyPCA(scale="stddev", value_range=value_range, seed=seed)
    if moments is not None:
        colours.adapt(moments)
    places = {"bounding_box_format": bounding_box_format, "seed": seed}
    return AugmentationPipeline(
        [
            RandomAffine(rotation=0.05, zoom=0.2, translation=None, **places),
            RandomPaddedCrop(height, width, padding=padding, flip=flip, **places),
            RandomHSV(power_sampling="log_uniform", value_range=value_range, seed=seed),
            colours,
        ]
    )
