"""PixelMoments: mean and covariance of images, in a stream or in parts that merge."""

import copy
import os
from typing import Any, Self

import numpy as np

from keras_dcnn._checks import (
    check_choice,
    check_count,
    check_flag,
    check_real,
    data_format_or_default,
)
from keras_dcnn._progress import with_progress
from keras_dcnn._reading.batches import as_array, image_batches, larger_batches, num_batches
from keras_dcnn.statistics._memory import check_covariance
from keras_dcnn.statistics._moments_file import load_moments, save_moments
from keras_dcnn.statistics._sums import make_sums


class PixelMoments:
    """Mean, variance, covariance and range of the pixels of a data set, in parts that merge.

    The layers with an `adapt` take it in place of the data. So the statistics of data that are too
    large for one machine are a cluster's job: each worker makes one of its share, they are added
    up with `+`, and the sum is saved or goes to `adapt`.

    Memory does not grow with the number of images. uint8 and int8 images are summed in integers,
    so any split, order and merging give the same bits; other images in float64 about the mean of
    each part, which is right up to rounding. The results are float64 arrays: `mean`, `variance`,
    `minimum`, `maximum` of the shape `shape`, and `covariance`, a matrix. Variance and covariance
    are divided by `count`, the number of pixels or images.

    With Dask, where `paths` are files of images and `load` reads one:

        parts = dask.bag.from_sequence(paths).map(lambda path: PixelMoments().update(load(path)))
        moments = parts.fold(operator.add).compute()

    Args:
        per: `"channel"`: every pixel is a sample, of as many dimensions as there are channels;
            images of any size. `"dimension"`: every image is a sample of height × width × channels
            dimensions; images of one size, or vectors of shape (batch, dimensions). The frames of
            videos (batch, frames, height, width, channels) are images.
        covariance: Whether to keep the covariance. Per dimension it is a large matrix: that of
            64×64 RGB images has 1.1 GiB. Without it a mean image of any size is cheap.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.

    Raises:
        ValueError: for an unknown argument; for images of the wrong rank or of another size or
            number of channels than those before, of uint8, int8 and other dtypes mixed, or not
            finite; for a covariance that does not fit in memory; for results before the first
            image; for parts that do not match, and for a file of something else.
        TypeError: for pixels that are no numbers.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    images = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype="uint8")
    one = keras_dcnn.statistics.PixelMoments().update_from(images[:60])
    other = keras_dcnn.statistics.PixelMoments().update_from(images[60:])
    (one + other).save("moments.json")

    moments = keras_dcnn.statistics.PixelMoments.load("moments.json")
    print(moments.count, moments.mean, moments.covariance)
    keras_dcnn.layers.FancyPCA().adapt(moments)
    ```

    Reference:
        Chan, Golub, LeVeque: Algorithms for Computing the Sample Variance (1983).
        https://doi.org/10.1080/00031305.1983.10483115
    """

    def __init__(
        self, per: str = "channel", covariance: bool = True, data_format: str | None = None
    ) -> None:
        check_choice("per", per, ("channel", "dimension"))
        check_flag("covariance", covariance)
        data_format = data_format_or_default(data_format)
        self.per = per
        self.data_format = data_format
        self.shape = None  # of the mean, from the first image on
        self._joint = covariance
        self._sums = None

    def update(self, images: Any) -> Self:
        """Take in one image or a batch of images; returns self."""
        images = as_array(images)
        check_real("pixels", images)
        rows, shape = self._rows(images)
        if self.shape not in (None, shape):
            raise ValueError(
                f"all images must have {self._wanted()}; got shape {images.shape}: convert them."
            )
        if len(rows):
            kind = str(rows.dtype) if rows.dtype in (np.uint8, np.int8) else "float64"
            sums = self._sums_of(kind, rows.shape[1])
            sums.add(rows)
            self._sums, self.shape = sums, shape
        return self

    def update_from(self, data: Any, batch_size: int = 256) -> Self:
        """Take in all images of `data`, in one pass; returns self.

        On a terminal, a pass of more than two seconds shows a progress bar.

        `data`: array or memory map, or an iterable of batches, of tuples `(images, …)` or of dicts
        with `"images"`: tf.data, PyDataset, generator, torch DataLoader. Images whose weight, the
        third of a tuple, is 0 are left out; all others count alike. `batch_size`: number of images
        taken at a time from an array.
        """
        check_count("batch_size", batch_size)
        parts, total = image_batches(data, batch_size), num_batches(data, batch_size)
        # One large product of matrices is faster than many small ones.
        join = larger_batches if self.per == "dimension" else lambda parts, _: parts
        for images in join(with_progress(parts, total, "measuring the images"), batch_size):
            self.update(images)
        return self

    def merge(self, other: Self) -> Self:
        """Take in all that `other` has seen; returns self."""
        if not isinstance(other, PixelMoments):
            raise TypeError(f"only PixelMoments merge; got {type(other).__name__}.")
        mine, theirs = (self.per, self._joint), (other.per, other._joint)
        if mine != theirs or (self.shape != other.shape and self.count and other.count):
            raise ValueError(
                f"moments must agree in (per, covariance) and shape to merge; got {mine} "
                f"{self.shape} and {theirs} {other.shape}: make them alike."
            )
        if other.count:
            sums = self._sums_of(other._sums.kind, other._sums.first.size)
            sums.merge(other._sums)
            self._sums, self.shape = sums, other.shape
        return self

    def __add__(self, other):
        if not isinstance(other, PixelMoments):
            return NotImplemented
        return copy.deepcopy(self).merge(other)

    def __radd__(self, other):
        """`sum(parts)` starts with 0."""
        return copy.deepcopy(self) if isinstance(other, int) and other == 0 else NotImplemented

    @property
    def count(self) -> int:
        """Number of pixels (per channel) or images (per dimension)."""
        return self._sums.count if self._sums else 0

    @property
    def mean(self) -> np.ndarray:
        """Mean."""
        return self._seen().mean().reshape(self.shape)

    @property
    def variance(self) -> np.ndarray:
        """Variance, divided by the count."""
        return self._seen().variance().reshape(self.shape)

    @property
    def minimum(self) -> np.ndarray:
        """Lowest values."""
        return self._seen().low.reshape(self.shape).copy()

    @property
    def maximum(self) -> np.ndarray:
        """Highest values."""
        return self._seen().high.reshape(self.shape).copy()

    @property
    def covariance(self) -> np.ndarray:
        """Covariance matrix of the flattened dimensions, divided by the count."""
        if not self._joint:
            raise ValueError("the covariance was not kept: make PixelMoments(covariance=True).")
        return self._seen().covariance()

    def check_range(self, low: float, high: float) -> None:
        """Raise ValueError unless the pixels are plausible for images on [low, high]."""
        darkest, brightest = float(self.minimum.min()), float(self.maximum.max())
        rounding = 1e-5 * (high - low)
        outside = darkest < low - rounding or brightest > high + rounding
        if outside or brightest - low < 0.01 * (high - low):
            raise ValueError(
                f"pixels must lie in value_range=({low}, {high}) and use it; got values from "
                f"{darkest:.7g} to {brightest:.7g}: set `value_range` to what the images have."
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to `path`, .json or, smaller, .npz; `load` goes on where it was."""
        header = {"per": self.per, "covariance": self._joint, "data_format": self.data_format}
        save_moments(path, {**header, "shape": self.shape}, self._seen())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """What `save` wrote, exactly."""
        state, sums = load_moments(path)
        moments = cls(state["per"], state["covariance"], state["data_format"])
        moments.shape, moments._sums = tuple(state["shape"]), sums
        return moments

    def _rows(self, images):
        """The images as rows, and the shape of the mean."""
        ranks = (3, 4, 5) if self.per == "channel" else (2, 3, 4, 5)
        if images.ndim not in ranks:
            raise ValueError(
                "images must be of three axes, such as (height, width, channels), or a batch of "
                f"such or videos{', or vectors' if 2 in ranks else ''}; got shape {images.shape}."
            )
        if images.ndim == 5:  # the frames of videos are images
            images = images.reshape(-1, *images.shape[2:])
        if self.per == "channel":
            axis = -3 if self.data_format == "channels_first" else -1
            channels = images.shape[axis]
            if images.ndim == 3 and channels > 4:
                raise ValueError(
                    f"an image by itself must have 1 to 4 channels; got shape {images.shape}: give "
                    "grey images a channel axis by `images[..., None]`, images of more channels "
                    "in batches."
                )
            return np.moveaxis(images, axis, -1).reshape(-1, channels), (channels,)
        images = images[None] if images.ndim == 3 else images
        return images.reshape(len(images), -1), images.shape[1:]

    def _sums_of(self, kind, dimension):
        """The sums so far, or new ones, or ValueError for another kind of pixels."""
        if self._sums is None:
            if self._joint:
                check_covariance(dimension)
            return make_sums(kind, dimension, self._joint)
        if self._sums.kind != kind:
            raise ValueError(
                "all images must be uint8, or int8, or neither; got both "
                f"{self._sums.kind} and {kind}: cast them."
            )
        return self._sums

    def _wanted(self):
        if self.per == "dimension":
            return f"the shape {self.shape}"
        axis = -3 if self.data_format == "channels_first" else -1
        return f"{self.shape[0]} channels on axis {axis} (data_format={self.data_format!r})"

    def _seen(self):
        if self._sums is None:
            raise ValueError("there must be at least one image; got none, or all of weight 0.")
        return self._sums
