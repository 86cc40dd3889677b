"""Images as people have them, as arrays → pixels that a classifier takes; refused in words."""

import numpy as np

from keras_dcnn._images.pixels import square_pixels
from keras_dcnn._reading.batches import as_array


def given_images(x, reading):
    """(images, size, size, 3) in 0…255, of one image, a batch, or a list of images of any sizes.

    Grey images get three channels, transparent ones the background; those of another size are
    cropped in the centre and resized. ValueError for values that are no pixels of 0…255.
    """
    if isinstance(x, (list, tuple)):
        images = [one for given in x for one in _batch(as_array(given), reading)]
        if not images:
            raise ValueError("`x` must hold at least one image; got none.")
        return np.stack([_of_size(one, reading) for one in images])
    batch = _batch(as_array(x), reading)
    if batch.shape[1:3] == (reading.size, reading.size):
        return batch
    return np.stack([_of_size(one, reading) for one in batch])


def _batch(x, reading):
    """(images, height, width, 3), checked."""
    if x.dtype.kind not in "uif" or x.ndim not in (2, 3, 4):
        raise ValueError(
            "`x` must be images, (height, width, channels) or a batch or list of them; got an "
            f"array of shape {x.shape} and dtype {x.dtype}."
        )
    if x.ndim == 2:
        x = x[None, ..., None]
    elif x.ndim == 3:
        x = x[None] if x.shape[-1] in (1, 3, 4) else x[..., None]
    if x.shape[-1] not in (1, 3, 4) or 0 in x.shape:
        raise ValueError(
            "`x` must have 1, 3 or 4 channels, the last axis: grey, RGB or RGBA; got shape "
            f"{x.shape}."
        )
    if x.dtype != np.uint8:
        _check_values(x)
    if x.shape[-1] == 4:
        return np.stack([_of_size(one, reading) for one in x])
    return np.repeat(x, 3, -1) if x.shape[-1] == 1 else x


def _check_values(x):
    flat = x.reshape(len(x), -1)
    low, high = flat.min(1), flat.max(1)
    if not np.isfinite(flat.sum(1, dtype="float64")).all():
        place = int(np.argmin(np.isfinite(flat.sum(1, dtype="float64"))))
        raise ValueError(f"images must be finite; number {place} has NaN or infinity.")
    place = int(low.argmin())
    if low[place] < 0:
        raise ValueError(
            f"images must have values of 0…255; number {place} has {low[place]:.4g}: undo the "
            "scaling (this model scales its images by itself)."
        )
    place = int(high.argmax())
    if high[place] > 255:
        raise ValueError(
            f"images must have values of 0…255; number {place} has {high[place]:.6g}: divide "
            "images of 16 bits by 257."
        )
    ones = (x.dtype.kind == "f") & (high > 0) & (high <= 1)
    if ones.any():
        raise ValueError(
            f"images must have values of 0…255; number {int(ones.argmax())} has none above "
            f"{high[ones.argmax()]:.4g}, as images of 0…1: multiply by 255."
        )


def _of_size(image, reading):
    if image.shape == (reading.size, reading.size, 3):
        return image
    return square_pixels(np.rint(image).astype("uint8"), reading)
