"""PixelLayer: how all layers for images take them, and refuse what is none."""

import math
import warnings

import keras
import numpy as np

from keras_dcnn._checks import arguments_of, check_real
from keras_dcnn._keras.layers import PipelineLayer


class PixelLayer(PipelineLayer):
    """Base of the layers for images, alone or under the key `"images"` of a dict.

    A subclass sets `data_format` and gives the pure `transform_images(images, transformation)`.
    """

    channels = None  # how many the images must have; None: any number
    ranks = (3, 4)  # of the images
    moves = ("images",)  # the entries of a dict that the layer changes
    _told = False  # of a scale of the pixels that does not fit

    def __call__(self, data, **kwargs):
        # Only what the layer moves reaches Keras, which looks at every leaf that it is given.
        if not isinstance(data, dict):
            return super().__call__(self._check_images(data), **kwargs)
        if "images" not in data:
            raise ValueError(
                f"{self._who} needs the images of a dict under the key 'images'; got the keys "
                f"{[*data]}."
            )
        self._check_images(data["images"])
        moved = {key: data[key] for key in self.moves if key in data}
        if len(moved) > 1:
            return {**data, **super().__call__(moved, **kwargs)}
        return {**data, "images": super().__call__(data["images"], **kwargs)}

    def _apply(self, images, transformation):
        """`transform_images`, compiled where it can be; unsound pixels are refused."""
        if self._is_sound(keras.backend.standardize_dtype(images.dtype)):
            return self.run(self.transform_images, images, transformation)
        images, sound, faint = self.run(self._transform_checked, images, transformation)
        self.refuse_unless(sound, self._rule_for_pixels)
        if faint is not None:
            self.warn_if(faint, self._warn_of_scale)
        return images

    def _is_sound(self, dtype):
        """Whether no pixel of that dtype can be other than it must."""
        if dtype == "bool" or "int" not in dtype:
            return dtype == "bool"
        low, high, _ = self._pixel_bounds()
        return low <= np.iinfo(dtype).min and np.iinfo(dtype).max <= high

    def _transform_checked(self, images, transformation):
        """The images transformed; whether their pixels were sound, NaN counting as 0; and faint."""
        ops, images = self.ops, self.ops.cast(images, "float32")
        low, high, slack = self._pixel_bounds()
        sound = ops.all(ops.logical_and(images >= low - slack, images <= high + slack))
        images = ops.where(ops.isfinite(images), images, min(max(low, 0.0), high))
        faint = None
        if self._may_be_unscaled():
            faint = ops.logical_and(ops.any(images > 0.0), ops.all(images <= 1.0))
        return self.transform_images(images, transformation), sound, faint

    def _may_be_unscaled(self):
        """Whether pixels from 0 to 1 would be a mistake that has not been told yet."""
        low, high = getattr(self, "value_range", (0, 1))
        return low == 0 and high >= 100 and not self._told

    def _warn_of_scale(self):
        if not self._told:
            self._told = True
            warnings.warn(
                f"{self._who} got images whose pixels all lie between 0 and 1, under value_range="
                f"{tuple(self.value_range)}, where they are almost black: set value_range=(0, 1), "
                "or scale them.",
                stacklevel=2,
            )

    def _pixel_bounds(self):
        """Lowest and highest pixel, and how far beyond may count as rounding."""
        low, high = getattr(self, "value_range", (-3e38, 3e38))
        return low, high, 1e-3 * (high - low) if hasattr(self, "value_range") else 0.0

    def _rule_for_pixels(self):
        rule, fix = "finite pixels", "clean the images"
        if hasattr(self, "value_range"):
            rule += f" in value_range={tuple(self.value_range)}"
            fix += " or clip them, or set `value_range` to what they have"
        beyond = "values beyond" if hasattr(self, "value_range") else "what float32 can't hold"
        return f"{self._who} needs {rule}; got NaN, infinity or {beyond}: {fix}."

    def _check_images(self, images):
        """Raise ValueError unless `images` is one image or a batch of the channels expected."""
        shape = shape_of(images)
        axis = -3 if self.data_format == "channels_first" else -1
        known = shape is not None and len(shape) in self.ranks
        if not known or self.channels not in (None, shape[axis]):
            kind = "RGB images" if self.channels == 3 else "images"
            count = self.channels or "channels"
            one = f"({count}, height, width)" if axis == -3 else f"(height, width, {count})"
            videos = " or of videos (batch, frames, …)" if 5 in self.ranks else ""
            raise ValueError(
                f"{self._who} takes {kind} of shape {one} under data_format={self.data_format!r}, "
                f"or a batch of them{videos} of one size; got {described(images, shape)}"
                + (": say it with `images.set_shape`." if known and shape[axis] is None else ".")
            )
        check_real(f"{self._who}: images", images)
        return images

    def get_config(self):
        return {**super().get_config(), **arguments_of(self)}

    @property
    def _who(self):
        return f"{type(self).__name__} `{self.name}`"

    @property
    def channel_axis(self):
        """The axis of the channels, counted from the end: right for one image and for a batch."""
        return -3 if self.data_format == "channels_first" else -1


def shape_of(images):
    """The shape as a tuple with None for what is unknown; None where there is no one shape."""
    shape = getattr(images, "shape", None)
    if shape is None or hasattr(images, "bounding_shape"):  # lists; RaggedTensor
        return None
    return None if getattr(shape, "rank", 0) is None else tuple(shape)


def described(images, shape):
    if shape is not None:
        return f"shape {shape}"
    if hasattr(images, "bounding_shape"):
        return "a RaggedTensor: resize or crop the images to one size first"
    if hasattr(images, "shape"):
        return (
            "a tensor of unknown rank: say it with `images.set_shape((None, None, 3))`, or "
            "`tf.io.decode_image(…, expand_animations=False)`"
        )
    return f"{type(images).__name__}: give one array or tensor"


def as_batch(x, lead, ops):
    """`x` with one axis, of the batch, in the place of the axes `lead`."""
    if len(lead) == 1:
        return x
    return ops.reshape(x, (math.prod(lead), *ops.shape(x)[len(lead) :]))


def from_batch(x, lead, ops):
    return x if len(lead) == 1 else ops.reshape(x, (*lead, *ops.shape(x)[1:]))
