"""ImageLayer: what the augmentation layers share beside the formula."""

import functools

import keras

from keras_dcnn._checks import data_format_or_default
from keras_dcnn._random import noise as _noise
from keras_dcnn._random.draws import DrawStream, as_seed
from keras_dcnn.layers._pixel_layer import PixelLayer, as_batch, from_batch


class ImageLayer(PixelLayer):
    """Base of the layers that change images in training.

    A subclass gives two methods, sampling apart from applying:
    `get_random_transformation(images)`, whose tensors have one row per image or video, and the pure
    `transform_images(images, transformation)`; and for each further entry of a dict that it
    `moves`, `transform_KEY(entry, transformation, images)`. All see a batch; the frames of videos
    are one batch to those that apply.

    Takes single images, batches, and batches of videos, all frames of one of which get the same
    draw; alone or under the key `"images"` of a dict, of which nothing is touched but what the
    layer moves. Works in a model and inside `tf.data.map` on every backend,
    where it is compiled by XLA. Returns the layer's `compute_dtype`, also for uint8 images.

    Without `training` a model, as one that is exported, does not augment; a layer that is called
    by itself, as in `tf.data.Dataset.map(layer)`, does.
    """

    channels = 3
    ranks = (3, 4, 5)

    def __init__(self, data_format=None, seed=None, **kwargs):
        seed = as_seed(seed)
        super().__init__(**kwargs)
        self.data_format = data_format_or_default(data_format)
        self.seed = seed
        self.generator = DrawStream(seed)

    def call(self, data, training=None):
        training = not self.in_model() if training is None else training
        entries = data if isinstance(data, dict) else {"images": data}
        entries = keras.tree.map_structure(self.ops.convert_to_tensor, entries)
        lead = self.ops.shape(entries["images"])[:-3]  # (), (batch,) or (batch, frames)
        images = entries["images"] if lead else self.ops.expand_dims(entries["images"], 0)
        drawn = self.get_random_transformation if training else self.inference_transformation
        transformation = drawn(images)
        if transformation is None:
            moved = self.unmoved(entries)
        else:
            moved = self._moved_together(entries, transformation, lead)
        return moved if isinstance(data, dict) else moved["images"]

    def _moved_together(self, entries, transformation, lead):
        """All entries transformed, as one batch, and given back with the axes `lead`."""
        if len(lead) == 2:
            repeated = functools.partial(_each_repeated, count=lead[1], ops=self.ops)
            transformation = keras.tree.map_structure(repeated, transformation)
        entries = keras.tree.map_structure(lambda x: as_batch(x, lead, self.ops), entries)
        images = entries["images"]
        moved = {"images": self._apply(images, transformation)}
        for key in set(entries) - {"images"}:
            moved[key] = getattr(self, f"transform_{key}")(entries[key], transformation, images)
        return keras.tree.map_structure(lambda x: from_batch(x, lead, self.ops), moved)

    def unmoved(self, entries):
        """The entries where nothing is drawn, in the dtypes that they have else."""
        return {**entries, "images": self.ops.cast(entries["images"], self.compute_dtype)}

    def inference_transformation(self, images):
        """What is done to the images outside of training; None for nothing."""
        return None

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


def _each_repeated(x, count, ops):
    """A row per video as rows for its frames; None for None."""
    return None if x is None else ops.repeat(x, count, axis=0)
