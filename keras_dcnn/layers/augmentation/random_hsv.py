"""RandomHSV: jitters hue, saturation and value, with the powers of Exemplar-CNN."""

from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import (
    by_key,
    check_choice,
    check_range,
    check_value_range,
    check_within,
    symmetric_range,
    warn_no_effect,
)
from keras_dcnn.layers._image_layer import ImageLayer

_TINY = 1.2e-38  # the smallest normal float32


def rgb_to_hsv(red, green, blue, ops=keras.ops):
    """Hue in sixths of a turn, in [-1, 5], saturation and value in [0, 1], of RGB in [0, 1]."""
    value = ops.maximum(ops.maximum(red, green), blue)
    chroma = value - ops.minimum(ops.minimum(red, green), blue)
    is_red, is_green = value == red, value == green
    difference = ops.where(is_red, green - blue, ops.where(is_green, blue - red, red - green))
    sector = ops.where(is_red, 0.0, ops.where(is_green, 2.0, 4.0))
    hue = sector + difference / ops.where(chroma > 0, chroma, 1.0)
    saturation = ops.minimum(chroma / ops.where(value > 0, value, 1.0), 1.0)
    return hue, saturation, ops.clip(value, 0.0, 1.0)


def hsv_to_rgb(hue, saturation, value, channel_axis=-1, ops=keras.ops):
    """RGB with `channel_axis`, in the unit of `value`; any hue, in sixths of a turn.

    By broadcasting, not by stacking three channels: for XLA on a CPU stacking is the slowest part.
    """
    hue, value, chroma = (
        ops.expand_dims(x, channel_axis) for x in (hue, value, value * saturation)
    )
    shape = (3, 1, 1) if channel_axis == -3 else (3,)
    k = hue + ops.reshape(ops.convert_to_tensor([5.0, 3.0, 1.0]), shape)
    k = k - 6.0 * ops.floor(k * (1 / 6))  # the remainder of floats is slow there too
    return value - chroma * ops.clip(ops.minimum(k, 4.0 - k), 0.0, 1.0)


def jitter(x, power=None, scale=None, shift=None, ops=keras.ops):
    """clip(x^power · scale + shift, 0, 1) for x in [0, 1]; None leaves a step out."""
    if power is None and scale is None and shift is None:
        return x
    if power is not None:  # 0 comes out as 0 for any power above 0
        x = ops.exp(power * ops.where(x > 0, ops.log(ops.maximum(x, _TINY)), -1e30))
    if scale is not None:
        x = x * scale
    if shift is not None:
        x = x + shift
    return ops.clip(x, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="keras_dcnn")
class RandomHSV(ImageLayer):
    """Jitters the hue, saturation and value of each image.

    Widens the range of illumination and colour that a small data set shows: `"contrast 2"` and
    `"color"` of Exemplar-CNN. Use it on images before they are normalised.

    In training every image gets one draw, the same for all its pixels, and with hue h, saturation
    s and value v in [0, 1] becomes `s ← clip(s^p · m + a, 0, 1)`, the same for v with draws of its
    own, and `h ← (h + d) mod 1`. Grey pixels have no hue: where the shift a is positive they turn
    reddish, as the formula has it. At inference (`training=False`, or a model called
    without `training`) the images are returned as they are.

    Args:
        hue: Range of d in turns, a number for `(-hue, hue)` or a pair, between −1 and 1; None
            leaves the hue alone.
        power: Range of p, 0.01 to 100. None leaves the step out, here and in the next two, and a
            dict `{"saturation": …, "value": …}` gives the two their own ranges.
        scale: Range of m, 0 to 100.
        shift: Range of a, −1 to 1.
        power_sampling: `"uniform"` draws p uniformly, as the paper does, so that four in five
            exponents are above 1 and images darken on average; `"log_uniform"` draws log p
            uniformly, which is symmetric.
        value_range: Lowest and highest value of a pixel, `(0, 255)` or `(0, 1)` as a rule. Images
            of 0 to 1 under `(0, 255)` are warned of, but not inside a compiled model.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.
        seed: Whole number for a reproducible stream of draws, a `keras.random.SeedGenerator` that
            draws one, or None.
        **kwargs: Keras's own layer arguments, such as `name` and `dtype`.

    Input shape:
        RGB images `(height, width, 3)` or `(batch, height, width, 3)` (channels_first: the
        channels before the height), any dtype; or a dict that holds them under `"images"`, of
        which all else is passed through untouched. Of five axes, `(batch, frames, height, width,
        3)`, they are videos, of which all frames get the same draw. A single video needs a batch
        axis: four axes are a batch of images.

    Output shape:
        That of the input, in the layer's `compute_dtype` (float32 as a rule), computed in
        float32.

    Raises:
        ValueError: for an argument outside the ranges above, and for images that are not RGB.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype="uint8")
    layer = keras_dcnn.layers.RandomHSV(power={"saturation": None, "value": (0.5, 2.0)}, seed=0)
    print(layer(images, training=True).shape)
    ```

    Reference:
        Dosovitskiy et al.: Discriminative Unsupervised Feature Learning with Exemplar
        Convolutional Neural Networks (2014). https://arxiv.org/abs/1406.6909
    """

    def __init__(
        self,
        hue: float | tuple[float, float] | None = 0.1,
        power: tuple[float, float] | dict[str, Any] | None = (0.25, 4.0),
        scale: tuple[float, float] | dict[str, Any] | None = (0.7, 1.4),
        shift: tuple[float, float] | dict[str, Any] | None = (-0.1, 0.1),
        power_sampling: str = "uniform",
        value_range: tuple[float, float] = (0, 255),
        data_format: str | None = None,
        seed: int | keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice("power_sampling", power_sampling, ("uniform", "log_uniform"))
        check_value_range(value_range)
        turn = symmetric_range("hue", hue)
        check_within("hue", turn, -1, 1, "in turns (divide degrees by 360)")
        ranges = {
            "hue": (turn,),
            "power": _pair_of_ranges("power", power, above=0),
            "scale": _pair_of_ranges("scale", scale, minimum=0),
            "shift": _pair_of_ranges("shift", shift),
        }
        if all(set(pair or ()) <= {_NEUTRAL[stage]} for stage in ranges for pair in ranges[stage]):
            warn_no_effect("RandomHSV", "every stage None or neutral")
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._ranges = ranges
        self.hue = hue
        self.power = power
        self.scale = scale
        self.shift = shift
        self.power_sampling = power_sampling
        self.value_range = value_range

    def get_random_transformation(self, images: Any) -> Any:
        """Draw `{"hue": (d,), "power": (p_s, p_v), …}`, each None or of shape (batch, 1, 1)."""
        uniform = self.ops.reshape(self.uniform(images, 7), (-1, 7, 1, 1))
        columns = iter(self.ops.unstack(uniform, 7, axis=1))
        return {
            stage: tuple(self._draw(stage, bounds, next(columns)) for bounds in ranges)
            for stage, ranges in self._ranges.items()
        }

    def _draw(self, stage, bounds, uniform):
        if bounds is None:
            return None
        low, high = bounds
        if stage == "power" and self.power_sampling == "log_uniform":
            return self.ops.exp(np.log(low) + uniform * np.log(high / low))
        return low + uniform * (high - low)

    def transform_images(self, images: Any, transformation: Any) -> Any:
        ops, (low, high), axis = self.ops, self.value_range, self.channel_axis
        unit = (ops.cast(images, "float32") - low) * (1 / (high - low))
        hue, saturation, value = rgb_to_hsv(*ops.unstack(unit, 3, axis=axis), ops=ops)
        (turn,) = transformation["hue"]
        hue = hue if turn is None else hue + 6.0 * turn
        for_saturation, for_value = zip(*map(transformation.get, _STAGES), strict=True)
        saturation = jitter(saturation, *for_saturation, ops=ops)
        value = jitter(value, *for_value, ops=ops)
        images = hsv_to_rgb(hue, saturation, value * (high - low), axis, ops)
        return ops.cast(low + images if low else images, self.compute_dtype)


_STAGES = ("power", "scale", "shift")
_NEUTRAL = {"hue": 0, "power": 1, "scale": 1, "shift": 0}
_LIMITS = {
    "power": (0.01, 100, "the exponent of saturation and value"),
    "scale": (0, 100, "the factor of saturation and value"),
    "shift": (-1, 1, "on saturation and value in [0, 1]"),
}


def _pair_of_ranges(name, given, **bounds):
    """The ranges for saturation and for value, each None or a pair (low, high)."""
    pair = by_key(name, given, ("saturation", "value"))
    for part in pair:
        if part is not None:
            check_range(name, part, **bounds)
            check_within(name, part, *_LIMITS[name])
    return tuple(None if part is None else tuple(part) for part in pair)
