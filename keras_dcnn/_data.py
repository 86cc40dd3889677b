"""Reads the images of every kind of data: arrays, memory maps, tf.data, PyDataset, DataLoader."""

import mmap
import operator

import numpy as np


def image_batches(data, batch_size=256):
    """Yield the images of `data` as NumPy arrays, single or in batches, one pass.

    Takes an array or memory map (sliced, never read whole), or an iterable of batches, of
    `(images, …)` or of dicts with the key `"images"`: tf.data, PyDataset, generator, DataLoader.
    """
    data = _images_of(data)
    if hasattr(data, "shape"):
        parts = _slices(data[None] if len(data.shape) == 3 else data, batch_size)
    elif hasattr(data, "num_batches"):
        if data.num_batches is None:
            raise ValueError("the data must end; got a PyDataset whose `num_batches` is None.")
        parts = (data[i] for i in range(data.num_batches))
    elif hasattr(data, "__iter__") and not isinstance(data, (str, bytes)):
        if getattr(data, "cardinality", None) is not None and int(data.cardinality()) == -1:
            raise ValueError("the data must end; got an infinite dataset: drop its `.repeat()`.")
        parts = iter(data)
    else:
        raise TypeError(
            "the data must be an array of images or an iterable of batches; "
            f"got {type(data).__name__}."
        )
    for part in parts:
        part = part[0] if isinstance(part, list) else part
        yield as_array(_images_of(part))


def _images_of(data):
    """The images of `(images, labels, …)` or of a dict; all else as it is."""
    if isinstance(data, tuple) and data:
        data = data[0]
    if isinstance(data, dict):
        if "images" not in data:
            raise ValueError(f"a dict must hold 'images'; got the keys {sorted(data)}.")
        data = data["images"]
    return data


def as_array(images):
    """Images of any framework as a NumPy array."""
    return np.asarray(images.detach().cpu() if hasattr(images, "detach") else images)


def num_batches(data, batch_size=256):
    """How many parts `image_batches` yields, or None where nobody knows."""
    data = _images_of(data)
    if hasattr(data, "shape"):
        return 1 if len(data.shape) == 3 else -(-data.shape[0] // batch_size)
    return operator.length_hint(data, 0) or None


def gather(parts, batch_size):
    """Join small batches of one shape and dtype to batches of at least `batch_size` images."""
    held = []
    for images in parts:
        images = images[None] if images.ndim == 3 else images
        kind = (images.shape[1:], images.dtype)
        if held and kind != (held[0].shape[1:], held[0].dtype):
            yield np.concatenate(held)
            held = []
        held.append(images)
        if sum(map(len, held)) >= batch_size:
            yield np.concatenate(held) if len(held) > 1 else images
            held = []
    if held:
        yield np.concatenate(held)


def _slices(data, batch_size):
    for start in range(0, data.shape[0], batch_size):
        yield data[start : start + batch_size]
        _give_back_pages(data)


def _give_back_pages(data):
    """What was read of a memory map counts as this process's memory until it is given back."""
    read_only = getattr(data, "mode", None) == "r"  # in mode "c" that would undo changes
    while isinstance(data, np.ndarray):
        data = data.base
    if read_only and isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)
