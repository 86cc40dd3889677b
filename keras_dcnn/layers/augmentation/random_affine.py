"""RandomAffine: rotation, zoom, translation, shear and flip at the same time, resampled once."""

import math
from typing import Any

import keras

from keras_dcnn._checks import (
    by_key,
    check_choice,
    check_number,
    check_range,
    check_within,
    symmetric_range,
    warn_no_effect,
)
from keras_dcnn.layers._geometric_layer import GeometricLayer

FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


def inverse_affine(angle, zoom, shear, flip, ops=keras.ops):
    """The 2×2 matrices that undo: flip, zoom, shear and then rotate by `angle` (radians, ccw).

    On (row, column) with the rows going down. `zoom`, `shear` and `flip` (±1) are pairs
    (height, width); all are of shape (batch,), the result of (batch, 2, 2).
    """
    cos, sin = ops.cos(angle), ops.sin(angle)
    column = (-sin - shear[1] * cos, cos - shear[1] * sin)
    row = (cos - shear[0] * column[0], sin - shear[0] * column[1])
    rows = [[a * flip[i] / zoom[i] for a in r] for i, r in enumerate((row, column))]
    return ops.stack([ops.stack(r, axis=-1) for r in rows], axis=-2)


@keras.saving.register_keras_serializable(package="keras_dcnn")
class RandomAffine(GeometricLayer):
    """Rotates, zooms, shifts, shears and flips each image, in one resampling.

    Keras's RandomRotation, RandomZoom and their like resample once each, which blurs, and turn XLA
    off for the whole model on TensorFlow. Here the maps are multiplied first and the image is
    resampled once, by gathers that XLA compiles on every backend.

    In training every image gets a draw of its own: it is flipped, zoomed, sheared and rotated about
    its centre, then shifted. At inference (`training=False`, or a model called
    without `training`) nothing is changed.

    Of a dict, `"segmentation_masks"` (`(height, width)` or with channels) are resampled with
    nearest in their own dtype; `"bounding_boxes"` become the boxes around the moved corners,
    clipped to the image (of those outside it the label and the coordinates become −1, as in Keras);
    keras-cv's ragged ones are filled up with −1. `"keypoints"` `(points, 2)`, x before y in pixels
    from the top left corner, move along; those that leave the image, or were outside it before, as
    (−1, −1) and NaN are, become (−1, −1). A third number may be COCO's visibility (0 not labelled,
    1 hidden, 2 visible): points of 0 are marked in the same way, and 0 is what it becomes for those
    lost. The order of the points stays, under flips too: swap left and right yourself where they
    have names. All else, class labels too, is passed through untouched.

    Args:
        rotation: Range of the angle in turns, as in Keras: a number for `(-rotation, rotation)` or
            a pair, between −1 and 1; positive is counter-clockwise. None leaves it out, here and
            below.
        zoom: Range of the magnification, a pair of numbers above 0, drawn uniformly in its
            logarithm; a number z stands for `(1 / (1 + z), 1 + z)`. Above 1 objects grow; 0.01
            to 100 at most. One draw keeps the proportions; a dict `{"height": …, "width": …}`
            gives the two axes their own ranges and draws.
        translation: Range of the shift in heights and widths of the image, a number or a pair
            between −1 and 1; positive is down and right. A dict `{"height": …, "width": …}` gives
            the two their own ranges, here and in the next; else both are drawn from the same one.
        shear: Range of the slant, between −1 and 1 (45 degrees): `"width"` shifts x by shear · y,
            `"height"` y by shear · x.
        flip: `"horizontal"`, `"vertical"` or `"horizontal_and_vertical"`, each in half of the
            draws, or None.
        fill_mode: What is outside the image: `"reflect"` (d c b a | a b c d | d c b a),
            `"wrap"` (a b c d | a b c d | a b c d), `"nearest"` (a a a a | a b c d | d d d d) or
            `"constant"` (`fill_value`; in masks 0).
        fill_value: Pixel value outside the image for `fill_mode="constant"`.
        mask_fill_value: What segmentation masks hold outside the image, whatever the `fill_mode`,
            such as 255 for the pixels that a loss ignores; their dtype must have it. None fills
            them as `fill_mode` says.
        interpolation: `"bilinear"`, `"nearest"` or `"bicubic"`, sharper and about four times the
            work: Keys's kernel with a = −0.5, as in Pillow's and TensorFlow's resizing. Where it
            overshoots it is clipped to what the channel of that image holds.
        bounding_box_format: One of Keras's formats, such as `"xyxy"`; needed for boxes.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.
        seed: Whole number for a reproducible stream of draws, a `keras.random.SeedGenerator` that
            draws one, or None.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        Images `(height, width, channels)` or `(batch, height, width, channels)` (channels_first:
        the channels before the height), any number of channels and any dtype; or a dict that holds
        them under `"images"`. Of five axes, `(batch, frames, height, width, channels)`, they are
        videos: all frames of one get the same draw, and its masks, boxes and keypoints, which have
        the axis of frames too. A single video needs a batch axis: four axes are a batch of images.

    Output shape:
        That of the input, in the layer's `compute_dtype` (float32 as a rule), computed in
        float32.

    Raises:
        ValueError: for an argument outside the ranges above, images of another rank, and boxes
            without `bounding_box_format`.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    layer = keras_dcnn.layers.RandomAffine(
        rotation=0.05, zoom=(0.8, 1.25), flip="horizontal", bounding_box_format="xyxy"
    )
    data = {
        "images": np.zeros((8, 32, 32, 3), "uint8"),
        "bounding_boxes": {"boxes": np.tile([4.0, 4, 9, 9], (8, 1, 1)), "labels": np.ones((8, 1))},
    }
    print(layer(data, training=True)["bounding_boxes"]["boxes"].shape)
    ```

    Reference:
        Jaderberg, Simonyan, Zisserman, Kavukcuoglu: Spatial Transformer Networks (2015), section
        3, for the sampling. https://arxiv.org/abs/1506.02025
    """

    def __init__(
        self,
        rotation: float | tuple[float, float] | None = 0.05,
        zoom: float | tuple[float, float] | dict[str, Any] | None = 0.2,
        translation: float | tuple[float, float] | dict[str, Any] | None = 0.1,
        shear: float | tuple[float, float] | dict[str, Any] | None = None,
        flip: str | None = None,
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        mask_fill_value: float | None = None,
        interpolation: str = "bilinear",
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        seed: int | keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        ranges = {
            "rotation": _range_within_one("rotation", rotation, _TURNS),
            **_zoom_ranges(zoom),
            **_two_ranges(
                "translation", translation, "in heights and widths (divide pixels by them)"
            ),
            **_two_ranges("shear", shear, "the tangent of the angle (0.18 for 10 degrees)"),
        }
        if flip is not None:
            check_choice("flip", flip, FLIPS)
        if flip is None and not any(any(bounds) for bounds in ranges.values() if bounds):
            warn_no_effect("RandomAffine", "no flip and all ranges None or 0 (zoom: 1)")
        super().__init__(
            fill_mode=fill_mode,
            fill_value=fill_value,
            mask_fill_value=mask_fill_value,
            interpolation=interpolation,
            bounding_box_format=bounding_box_format,
            data_format=data_format,
            seed=seed,
            **kwargs,
        )
        self._ranges = ranges
        self.rotation = rotation
        self.zoom = zoom
        self.translation = translation
        self.shear = shear
        self.flip = flip

    def get_random_transformation(self, images: Any) -> Any:
        """Draw `{"matrix": (batch, 2, 2), "offset": (batch, 2)}`: from output to input pixels."""
        ops = self.ops
        uniform = list(ops.unstack(self.uniform(images, 9), 9, axis=-1))
        if not isinstance(self.zoom, dict):
            uniform[2] = uniform[1]
        draws = {name: _between(r, uniform[i]) for i, (name, r) in enumerate(self._ranges.items())}
        flip = [
            ops.sign(u - 0.5 + 1e-9) if name in (self.flip or "") else 1.0
            for name, u in zip(("vertical", "horizontal"), uniform[7:], strict=True)
        ]
        matrix = inverse_affine(
            2.0 * math.pi * draws["rotation"],
            [ops.exp(draws[f"zoom_{axis}"]) for axis in _AXES],
            (draws["shear_height"], draws["shear_width"]),
            flip,
            ops,
        )
        size = ops.stack([ops.cast(n, "float32") for n in self.sizes(images)], axis=0)
        centre = (size - 1.0) / 2.0
        shift = ops.stack([draws[f"translation_{axis}"] for axis in _AXES], axis=-1) * size
        # Not `matmul`, which on accelerators rounds to fewer digits.
        moved = ops.sum(matrix * ops.expand_dims(centre + shift, -2), axis=-1)
        return {"matrix": matrix, "offset": centre - moved}


_AXES = ("height", "width")
_TURNS = "in turns (divide degrees by 360)"


def _between(bounds, uniform):
    """Uniform draws within `bounds`; zeros, of the same shape, for None."""
    low, high = bounds or (0.0, 0.0)
    return low + uniform * (high - low)


def _zoom_ranges(zoom):
    """The ranges of the logarithm along height and width, each None or a pair."""
    pairs = zip(_AXES, by_key("zoom", zoom, _AXES), strict=True)
    return {f"zoom_{axis}": _zoom_range(part) for axis, part in pairs}


def _zoom_range(zoom):
    """The range of the logarithm of the magnification, or None."""
    if zoom is None:
        return None
    if isinstance(zoom, (tuple, list)):
        check_range("zoom", zoom, above=0)
    else:
        check_number("zoom", zoom, minimum=0)
        zoom = (1 / (1 + zoom), 1 + zoom)
    check_within("zoom", zoom, 0.01, 100, "the factor by which objects grow")
    return tuple(map(math.log, zoom))


def _range_within_one(name, given, unit):
    bounds = symmetric_range(name, given)
    check_within(name, bounds, -1, 1, unit)
    return bounds


def _two_ranges(name, given, unit):
    """The ranges along height and width as {"NAME_height": …, "NAME_width": …}."""
    pairs = zip(_AXES, by_key(name, given, _AXES), strict=True)
    return {f"{name}_{axis}": _range_within_one(name, part, unit) for axis, part in pairs}
