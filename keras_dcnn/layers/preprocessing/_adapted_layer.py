"""AdaptedLayer: what the preprocessing layers share beside the formula."""

import math
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_choice, check_real, data_format_or_default
from keras_dcnn._keras.layers import is_symbolic
from keras_dcnn._keras.variables import UNMEASURED, MeasuredWeight
from keras_dcnn._reading.batches import images_of
from keras_dcnn.layers._pixel_layer import PixelLayer, as_batch, described, from_batch, shape_of
from keras_dcnn.statistics._adapt import adapting, moments_for
from keras_dcnn.statistics._memory import check_memory
from keras_dcnn.statistics.pixel_moments import PixelMoments


class AdaptedLayer(PixelLayer):
    """Base of the layers whose weights are statistics of a data set, measured by `adapt`.

    A subclass gives `_weight_shapes(shape)`, a dict, for statistics of that shape;
    `_measure(moments)`, a dict of the same keys; and the pure
    `transform_images(images, statistics)`, which sees a batch and a dict of tensors.

    The statistics are float32 weights that are not trained. They are `UNMEASURED` before `adapt`.
    """

    ranks = (3, 4, 5)
    covariance = False  # whether `_measure` needs it

    def __init__(self, per: str = "channel", data_format: str | None = None, **kwargs: Any) -> None:
        check_choice("per", per, ("channel", "dimension"))
        super().__init__(**kwargs)
        self.per = per
        self.data_format = data_format_or_default(data_format)
        self._shape = None  # of the mean: (channels,), or that of one input

    def adapt(self, data: Any, batch_size: int = 256) -> None:
        """Measure the statistics on a data set, in one pass; more images take no more memory.

        Models that hold the layer need not be compiled again. On JAX and PyTorch a
        `tf.data.Dataset.map` made before keeps the statistics of that time.

        Args:
            data: An array or memory map, or anything that yields batches (or single images):
                `tf.data.Dataset`, `keras.utils.PyDataset`, a generator, a torch `DataLoader`. Of
                `(images, labels, …)` the first is taken, of a dict the entry `"images"`; images
                whose weight, the third, is 0 are left out. Or the `PixelMoments` of such images,
                ready made, with the `per` of this layer.
            batch_size: Number of images taken at a time from an array.

        Raises:
            ValueError: for no images, images of the wrong shape or not finite, and data that do
                not vary where they must.
        """
        with adapting(self):
            shape = getattr(images_of(data), "shape", None)
            if shape is not None and len(shape) == 3 and not isinstance(data, PixelMoments):
                raise ValueError(
                    f"images must have a channel axis; got shape {tuple(shape)}: give it to grey "
                    "images by `x[..., None]`; a single colour image goes as `x[None]`."
                )
        moments = moments_for(self, data, batch_size, self._shape, self.per, self.covariance)
        with adapting(self):
            statistics = self._measure(moments)
            if not self.built:
                self.build(self._batch_of(moments.shape))
            statistics = {name: as_float32(name, value) for name, value in statistics.items()}
        for name, value in statistics.items():
            getattr(self, name).assign(value)

    def build(self, input_shape):
        if self.built:
            return
        rank, shape = len(input_shape), _of_one(tuple(input_shape))
        if self.per == "channel":
            shape = (input_shape[self.channel_axis],)
        if None in shape or rank not in ((4, 5) if self.per == "channel" else (2, 4, 5)):
            raise ValueError(f"{self._who} takes {self._inputs()}; got shape {tuple(input_shape)}.")
        sizes = self._weight_shapes(shape)
        numbers = sum(map(math.prod, sizes.values()))
        check_memory(f"{self._who}, its weights and their initial values,", 8 * numbers)
        self._shape = shape
        unmeasured, kind = keras.initializers.Constant(UNMEASURED), MeasuredWeight
        for name, size in sizes.items():
            weight = kind(unmeasured, size, "float32", trainable=False, autocast=False, name=name)
            setattr(self, name, weight)
            kind = keras.Variable  # the first of them tells for all

    def call(self, images):
        images = self.ops.convert_to_tensor(images)
        statistics = {name: self.value_of(getattr(self, name)) for name in self._names()}
        lead = self.ops.shape(images)[: self._num_lead(images.shape)]
        images = self._apply(as_batch(images, lead, self.ops), statistics)
        return from_batch(images, lead, self.ops)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    @property
    def channels(self):
        """How many the images must have; None: any number."""
        return self._shape[0] if self._shape and self.per == "channel" else None

    def _names(self):
        return list(self._weight_shapes(self._shape))

    def _aligned(self, statistic):
        """A statistic in the shape in which it meets a batch of images."""
        if self.per == "channel" and self.channel_axis == -3:
            return self.ops.reshape(statistic, (-1, 1, 1))
        return statistic

    def _num_lead(self, shape):
        """How many axes lead to an image: none, the batch, or the batch and the frames."""
        return len(shape) - (3 if self.per == "channel" else len(self._shape or _of_one(shape)))

    def _batch_of(self, shape):
        """An input shape for statistics of this shape."""
        if self.per == "dimension":
            return (None, *shape)
        return (None, *shape, None, None) if self.channel_axis == -3 else (None, None, None, *shape)

    def _check_images(self, images):
        """Raise ValueError unless `images` fit the statistics, and these have been measured."""
        if self.per == "channel":
            super()._check_images(images)
        else:
            shape = shape_of(images)
            fits = shape is not None and (
                self._shape is None or self._shape in (shape, shape[1:], shape[2:])
            )
            if not fits:
                fix = "resize them, or where the size is unknown, say it with `images.set_shape`"
                raise ValueError(
                    f"{self._who} takes {self._inputs()}; got {described(images, shape)}"
                    + (f": {fix}." if shape is not None else ".")
                )
            check_real(f"{self._who}: images", images)
        measured = self.built and getattr(self, self._names()[0]).measured
        if not measured and not is_symbolic(images):
            raise ValueError(
                f"{self._who} has no statistics yet: call its `adapt(data)` first, or load weights."
            )
        return images

    def _inputs(self):
        if self._shape is not None:
            return f"inputs of shape {self._shape}, or a batch of them"
        if self.per == "channel":
            return "batches of images (four axes) or videos (five), a known number of channels"
        return "batches of images (four axes), videos (five) or vectors (two) of known size"


def _of_one(shape):
    """The shape of one input, of that of a batch, or of a batch of videos."""
    return shape[1:] if len(shape) < 5 else shape[2:]


def as_float32(name, value):
    """The statistic as the weight holds it; ValueError where float32 ends, at 3.4e38."""
    value = np.asarray(value, "float64")
    highest = np.abs(value).max()
    if not highest < UNMEASURED:  # nor NaN
        raise ValueError(
            f"the statistics must fit in float32, below 3.4e38; `{name}` would hold {highest:.3g}: "
            "scale the images first."
        )
    return value.astype("float32")
