"""RandomPaddedCrop: a window at a random place of the padded image, in the centre at inference."""

from typing import Any

import keras

from keras_dcnn._checks import check_count, check_flag
from keras_dcnn.layers._geometric_layer import GeometricLayer


@keras.saving.register_keras_serializable(package="keras_dcnn")
class RandomPaddedCrop(GeometricLayer):
    """Crops each image at a random place of its own, after padding it.

    With padding, the augmentation of CIFAR (32×32, padding 4); without, that of AlexNet (224×224
    from 256×256). Keras's RandomCrop takes one place for the whole batch and turns XLA off for the
    whole model on TensorFlow.

    In training the top and left edge of the window are drawn per image, uniformly over all places
    in the padded image, and half of the images are mirrored if `flip`. At inference
    (`training=False`, or a model called without `training`) the window is the central one (one
    pixel nearer the top left where it can't be exact), unmirrored.

    Of a dict, `"segmentation_masks"`, `"bounding_boxes"` and `"keypoints"` move along, and what is
    lost is marked, as in `RandomAffine`.

    Args:
        height: Height of the window in pixels, ≥ 1.
        width: Width of the window in pixels, ≥ 1.
        padding: Pixels added on each side before, ≥ 0.
        flip: Whether to mirror half of the images, left to right.
        fill_mode: What the padding holds: `"constant"` (`fill_value`; in masks 0), `"reflect"`,
            `"wrap"` or `"nearest"`.
        fill_value: Pixel value of the padding for `fill_mode="constant"`.
        mask_fill_value: What segmentation masks hold in the padding, whatever the `fill_mode`, such
            as 255 for the pixels that a loss ignores; their dtype must have it. None fills them as
            `fill_mode` says.
        bounding_box_format: One of Keras's formats, such as `"xyxy"`; needed for boxes.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.
        seed: Whole number for a reproducible stream of draws, a `keras.random.SeedGenerator` that
            draws one, or None.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        Images `(height, width, channels)` or `(batch, height, width, channels)` (channels_first:
        the channels before the height), any number of channels and any dtype; or a dict that holds
        them under `"images"`. Of five axes, `(batch, frames, height, width, channels)`, they are
        videos, of which all frames get the same window. A single video needs a batch axis: four
        axes are a batch of images.

    Output shape:
        That of the input with the height and width of the window, in the layer's `compute_dtype`
        (float32 as a rule), computed in float32.

    Raises:
        ValueError: for an argument outside the ranges above, and for images that are smaller than
            the window when padded.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    layer = keras_dcnn.layers.RandomPaddedCrop(32, 32, padding=4, flip=True)
    print(layer(np.zeros((8, 32, 32, 3), "uint8"), training=True).shape)
    ```

    Reference:
        Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural
        Networks (2012), section 4.1.
        https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks
    """

    def __init__(
        self,
        height: int,
        width: int,
        padding: int = 0,
        flip: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        mask_fill_value: float | None = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        seed: int | keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        check_count("height", height)
        check_count("width", width)
        check_count("padding", padding, minimum=0)
        check_flag("flip", flip)
        super().__init__(
            fill_mode=fill_mode,
            fill_value=fill_value,
            mask_fill_value=mask_fill_value,
            bounding_box_format=bounding_box_format,
            data_format=data_format,
            seed=seed,
            **kwargs,
        )
        self.height = height
        self.width = width
        self.padding = padding
        self.flip = flip

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        for name, size, window in (("height", height, self.height), ("width", width, self.width)):
            if isinstance(size, int) and size + 2 * self.padding < window:
                raise ValueError(self._too_small(f"images of {name} {size}"))
        return self.height, self.width

    def _too_small(self, received):
        return (
            f"{self._who} needs images of at least height={self.height}, width={self.width} once "
            f"padding={self.padding} is added on each side; got {received}: resize the images, "
            "raise `padding` or crop less."
        )

    def get_random_transformation(self, images: Any) -> Any:
        """Draw `{"matrix": (batch, 2, 2), "offset": (batch, 2)}`: from output to input pixels."""
        ops, room = self.ops, self._room(images)
        draws = self.uniform(images, 3)
        top_left = ops.floor(draws[:, :2] * (room + 1.0)) - self.padding
        mirrored = ops.cast(draws[:, 2] < (0.5 if self.flip else 0.0), "float32")
        return self._window(top_left, mirrored)

    def inference_transformation(self, images: Any) -> Any:
        sizes = self.sizes(images)
        if all(isinstance(n, int) for n in sizes) and sizes == (self.height, self.width):
            return None
        ops = self.ops
        places = ops.zeros((ops.shape(images)[0], 2)) + ops.floor(self._room(images) / 2.0)
        return self._window(places - self.padding, ops.zeros((ops.shape(images)[0],)))

    def _room(self, images):
        """How many pixels the padded image is larger than the window: (height, width)."""
        ops, sizes = self.ops, self.sizes(images)
        self.output_size(*sizes)
        room = ops.stack([ops.cast(n + 2 * self.padding, "float32") for n in sizes], axis=0)
        room = room - ops.cast(ops.convert_to_tensor([self.height, self.width]), "float32")
        if not all(isinstance(size, int) for size in sizes):
            self.refuse_unless(ops.all(room >= 0.0), lambda: self._too_small("smaller ones"))
        return room

    def _window(self, top_left, mirrored):
        """The window whose top left corner is at that pixel; where mirrored, from its right."""
        ops, zeros = self.ops, self.ops.zeros_like(mirrored)
        across = 1.0 - 2.0 * mirrored
        matrix = [[ops.ones_like(mirrored), zeros], [zeros, across]]
        matrix = ops.stack([ops.stack(row, axis=-1) for row in matrix], axis=-2)
        left = top_left[:, 1] + mirrored * (self.width - 1)
        return {"matrix": matrix, "offset": ops.stack([top_left[:, 0], left], axis=-1)}
