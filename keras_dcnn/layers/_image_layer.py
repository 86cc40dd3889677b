"""ImageLayer: what the augmentation layers share beside the formula."""

import keras

from keras_dcnn import _noise
from keras_dcnn._keras import DrawStream, PipelineLayer
from keras_dcnn._validation import check_choice, check_seed


class ImageLayer(PipelineLayer):
    """Base of the layers that change images in training.

    A subclass gives two methods, sampling apart from applying:
    `get_random_transformation(images)`, whose tensors have one row per image, and the pure
    `transform_images(images, transformation)`; and for each further entry of a dict that it
    `moves`, `transform_KEY(entry, transformation, images)`. All see a batch.

    Takes single images and batches, alone or under the key `"images"` of a dict, of which nothing
    is touched but what the layer moves. Works in a model and inside `tf.data.map` on every backend,
    where it is compiled by XLA. Returns the layer's `compute_dtype`, also for uint8 images.
    """

    channels = 3  # None: any number
    moves = ("images",)  # the entries of a dict that the layer changes

    def __init__(self, data_format=None, seed=None, **kwargs):
        check_seed(seed)
        if data_format is not None:
            check_choice("data_format", data_format, ("channels_last", "channels_first"))
        super().__init__(**kwargs)
        self.data_format = data_format or keras.config.image_data_format()
        self.seed = seed
        self.generator = DrawStream(seed)

    def __call__(self, data, **kwargs):
        # Only what the layer moves reaches Keras, which looks at every leaf that it is given.
        if not isinstance(data, dict):
            return super().__call__(self._check_images(data), **kwargs)
        if "images" not in data:
            raise ValueError(
                f"{self._who} needs the images of a dict under the key 'images'; got the keys "
                f"{sorted(data)}."
            )
        self._check_images(data["images"])
        moved = {key: data[key] for key in self.moves if key in data}
        if len(moved) > 1:
            return {**data, **super().__call__(moved, **kwargs)}
        return {**data, "images": super().__call__(data["images"], **kwargs)}

    def call(self, data, training=True):
        entries = data if isinstance(data, dict) else {"images": data}
        entries = keras.tree.map_structure(self.ops.convert_to_tensor, entries)
        single = len(entries["images"].shape) == 3
        if single:
            entries = keras.tree.map_structure(lambda x: self.ops.expand_dims(x, 0), entries)
        images = entries["images"]
        drawn = self.get_random_transformation if training else self.inference_transformation
        transformation = drawn(images)
        if transformation is None:
            moved = {**entries, "images": self.ops.cast(images, self.compute_dtype)}
        else:
            moved = {"images": self._transform_images(images, transformation)}
            for key in set(entries) - {"images"}:
                moved[key] = getattr(self, f"transform_{key}")(entries[key], transformation, images)
        if single:
            moved = keras.tree.map_structure(lambda x: self.ops.squeeze(x, 0), moved)
        return moved if isinstance(data, dict) else moved["images"]

    def inference_transformation(self, images):
        """What is done to the images outside of training; None for nothing."""
        return None

    def _transform_images(self, images, transformation):
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(images.dtype)):
            images, sound = self.run(self._transform_floats, images, transformation)
            self.refuse_unless(sound, self._rule_for_pixels)
            return images
        return self.run(self.transform_images, images, transformation)

    def _transform_floats(self, images, transformation):
        """The images transformed, and whether their pixels were sound; NaN counts as the lowest."""
        ops, images = self.ops, self.ops.cast(images, "float32")
        low, high, slack = self._pixel_bounds()
        sound = ops.all(ops.logical_and(images >= low - slack, images <= high + slack))
        images = ops.where(ops.isfinite(images), images, max(low, 0.0))
        return self.transform_images(images, transformation), sound

    def _pixel_bounds(self):
        """Lowest and highest pixel, and how far beyond may count as rounding."""
        low, high = getattr(self, "value_range", (-3e38, 3e38))
        return low, high, 1e-3 * (high - low) if hasattr(self, "value_range") else 0.0

    def _rule_for_pixels(self):
        rule = "finite pixels"
        if hasattr(self, "value_range"):
            rule += f" in value_range={tuple(self.value_range)}"
        return (
            f"{self._who} needs {rule}; got NaN, infinity or values beyond: clean or clip the "
            "images, or set `value_range` to what they have."
        )

    def _check_images(self, images):
        """Raise ValueError unless `images` is one image or a batch of the channels expected."""
        shape = _shape(images)
        axis = -3 if self.data_format == "channels_first" else -1
        if shape is None or len(shape) not in (3, 4) or self.channels not in (None, shape[axis]):
            kind = "RGB images" if self.channels == 3 else "images"
            count = self.channels or "channels"
            one = f"({count}, height, width)" if axis == -3 else f"(height, width, {count})"
            raise ValueError(
                f"{self._who} takes {kind} of shape {one} under data_format={self.data_format!r}, "
                f"or a batch of them of one size; got {_described(images, shape)}."
            )
        return images

    @property
    def _who(self):
        return f"{type(self).__name__} `{self.name}`"

    @property
    def channel_axis(self):
        """The axis of the channels, counted from the end: right for one image and for a batch."""
        return -3 if self.data_format == "channels_first" else -1

    def uniform(self, images, count):
        """Uniform draws in [0, 1), `(batch, count)`, that no other call shares."""
        shape = (self.ops.shape(images)[0], count)
        return _noise.uniform(self.next_key(self.generator, self.seed), shape, self.ops)

    def normal(self, images, count):
        """Standard normal draws, `(batch, count)`, that no other call shares."""
        shape = (self.ops.shape(images)[0], count)
        return _noise.normal(self.next_key(self.generator, self.seed), shape, self.ops)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format, "seed": self.seed}


def _shape(images):
    """The shape as a tuple with None for what is unknown; None where there is no one shape."""
    shape = getattr(images, "shape", None)
    if shape is None or hasattr(images, "bounding_shape"):  # lists; RaggedTensor
        return None
    return None if getattr(shape, "rank", 0) is None else tuple(shape)


def _described(images, shape):
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
