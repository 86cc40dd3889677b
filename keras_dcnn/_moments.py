"""Streaming mean and covariance of the channels, in constant memory, merged in any order."""

import numpy as np


def image_batches(data, batch_size=256):
    """Yield the images of `data` as NumPy arrays, single or in batches, one pass.

    Takes an array or memory map (sliced, never read whole), or an iterable of batches, of
    `(images, …)` or of dicts with the key `"images"`: tf.data, PyDataset, generator, DataLoader.
    """
    if hasattr(data, "shape"):
        if len(data.shape) == 3:
            data = data[None]
        parts = (data[i : i + batch_size] for i in range(0, data.shape[0], batch_size))
    elif hasattr(data, "num_batches"):
        if data.num_batches is None:
            raise ValueError("the data must end; got a PyDataset whose `num_batches` is None.")
        parts = (data[i] for i in range(data.num_batches))
    elif hasattr(data, "__iter__"):
        if getattr(data, "cardinality", None) is not None and int(data.cardinality()) == -1:
            raise ValueError("the data must end; got an infinite dataset: drop its `.repeat()`.")
        parts = iter(data)
    else:
        raise TypeError(
            "the data must be an array of images or an iterable of batches; "
            f"got {type(data).__name__}."
        )
    for part in parts:
        if isinstance(part, (tuple, list)):
            part = part[0]
        if isinstance(part, dict):
            if "images" not in part:
                raise ValueError(f"a dict must hold 'images'; got the keys {sorted(part)}.")
            part = part["images"]
        if hasattr(part, "detach"):
            part = part.detach().cpu()
        yield np.asarray(part)


class ChannelMoments:
    """Count, mean and covariance of rows of channels.

    8-bit images are summed in integers, so that any split and any order give the same bits. Other
    data is summed in float64 about the mean of each part (Chan, Golub, LeVeque 1983).
    """

    def __init__(self, channels):
        self.count = 0
        self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)
        self._exact = None
        self._sum = np.zeros(channels, object)  # exact: Python integers, which do not overflow
        self._products = np.zeros((channels, channels), object)
        self._mean = np.zeros(channels)
        self._scatter = np.zeros((channels, channels))  # Σ (x − mean)(x − mean)ᵀ

    def update(self, rows):
        """Take in `rows`, an array of shape (n, channels), n may be 0."""
        if not len(rows):
            return
        part = ChannelMoments(len(self._mean))
        part.count = len(rows)
        part.low, part.high = rows.min(0), rows.max(0)
        part._exact = rows.dtype in (np.uint8, np.int8)
        rows = rows.astype("float64")
        if part._exact:  # float64 is exact here: 2¹⁶ × rows stays far below 2⁵³
            part._sum = _integers(rows.sum(0))
            part._products = _integers(rows.T @ rows)
        else:
            part._mean = rows.mean(0)
            rows = rows - part._mean
            part._scatter = rows.T @ rows
        self.merge(part)

    def merge(self, other):
        """Take in what `other` has seen."""
        if not other.count:
            return
        if self._exact is None:
            self._exact = other._exact
        if self._exact != other._exact:
            raise ValueError("all images must be of 8-bit integers, or none; got both: cast them.")
        total = self.count + other.count
        self._sum = self._sum + other._sum
        self._products = self._products + other._products
        delta = other._mean - self._mean
        self._scatter = (
            self._scatter
            + other._scatter
            + np.outer(delta, delta) * (self.count * other.count / total)
        )
        self._mean = self._mean + delta * (other.count / total)
        self.count = total
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)

    def check_range(self, low, high):
        """Raise ValueError unless the pixels are there, finite and plausible for [low, high]."""
        if not self.count:
            raise ValueError("there must be at least one image; got none.")
        darkest, brightest = float(self.low.min()), float(self.high.max())
        if not np.isfinite(darkest + brightest):
            raise ValueError("pixels must be finite; got NaN or infinity: remove those images.")
        rounding = 1e-5 * (high - low)
        outside = darkest < low - rounding or brightest > high + rounding
        if outside or brightest - low < 0.01 * (high - low):
            raise ValueError(
                f"pixels must lie in value_range=({low}, {high}) and use it; got values from "
                f"{darkest:.7g} to {brightest:.7g}: set `value_range` to what the images have."
            )

    def mean(self):
        """Mean of each channel, float64."""
        if self._exact:
            return np.array([total / self.count for total in self._sum], "float64")
        return self._mean

    def covariance(self):
        """Population covariance (divided by the count), float64."""
        if self._exact:
            scatter = self.count * self._products - np.outer(self._sum, self._sum)
            return np.array([[s / self.count**2 for s in row] for row in scatter], "float64")
        return self._scatter / self.count


def _integers(values):
    return np.vectorize(int, otypes=[object])(values)
