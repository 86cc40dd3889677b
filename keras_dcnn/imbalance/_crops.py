"""Crops of images: where they lie, by chance or by a map, and how they are resized; NumPy only."""

import numpy as np


def draw_window(random, height, width, scale, places=None):
    """Where a crop lies: rows and columns, as two slices.

    Its sides are those of the image times one number, uniform in `scale`, rounded to pixels. Where
    it lies is uniform; with `places`, the result of `cumulative_places` for the image, its centre
    is drawn from these, and it is moved as little as keeps it in the image.
    """
    share = random.uniform(*scale)
    sides = [max(1, round(share * length)) for length in (height, width)]
    if places is None or not places[-1, -1]:
        starts = [
            random.integers(n - side + 1) for n, side in zip((height, width), sides, strict=True)
        ]
    else:
        centre = _draw_centre(random, places)
        starts = [
            min(max(round(at * length - side / 2), 0), length - side)
            for at, length, side in zip(centre, (height, width), sides, strict=True)
        ]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


def cumulative_places(maps):
    """From activation maps (n, h, w), of each its sums over the places so far, in [0, 1].

    Negative places count for nothing. All sums are 0 where no place is above 0.
    """
    sums = np.maximum(maps, 0).astype("float64").reshape(len(maps), -1).cumsum(axis=1)
    total = sums[:, -1:]
    sums = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
    return sums.astype("float32").reshape(maps.shape)


def _draw_centre(random, places):
    """A row and a column, as shares of the height and the width, uniform within a place drawn."""
    place = np.searchsorted(places.ravel(), random.random(), side="right")
    place = np.unravel_index(place, places.shape)
    return [(i + random.random()) / n for i, n in zip(place, places.shape, strict=True)]


def resize(image, height, width, axes=(0, 1)):
    """An image enlarged to height × width, bilinear, in its dtype; whole numbers are rounded.

    Pixels have their values at their centres, as in Pillow and keras.ops.image.resize.
    """
    wide = image.astype(np.result_type(image.dtype, "float32"))
    for axis, size in zip(axes, (height, width), strict=True):
        wide = _interpolated(wide, size, axis)
    return (np.rint(wide, out=wide) if image.dtype.kind in "biu" else wide).astype(image.dtype)


def _interpolated(x, size, axis):
    """`x` with `size` values on an axis, each between the two that are nearest."""
    last = x.shape[axis] - 1
    at = np.clip((np.arange(size) + 0.5) * (last + 1) / size - 0.5, 0, last)
    low = at.astype(int)
    share = (at - low).astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    start, step = x.take(low, axis), x.take(np.minimum(low + 1, last), axis)
    step -= start
    step *= share
    start += step
    return start
