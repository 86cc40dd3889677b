"""Reads the images of every kind of data: arrays, memory maps, tf.data, PyDataset, DataLoader."""

import mmap
import operator

import keras
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


def first_batch(data, num_samples):
    """What a model takes, of the first batch of `data`: an array, or a list or dict of arrays.

    Of arrays, or a list or dict of them, as `fit` takes them: at most `num_samples` samples, evenly
    spread. Of tf.data, PyDataset, generator, DataLoader: the whole first batch. The first of a
    tuple is the inputs. Raises ValueError for no samples and for values that are not finite.
    """
    data = data[0] if isinstance(data, tuple) and data else data
    if not (hasattr(data, "shape") or isinstance(data, (dict, list))):
        num_samples = None
        data = _first_of(data)
        data = data[0] if isinstance(data, (tuple, list)) else data
    return keras.tree.map_structure(lambda x: _checked(x, num_samples), data)


def input_batches(data, batch_size=64):
    """Yield what a model takes, batch by batch, of data as `fit` takes them; one pass.

    Arrays, a list or dict of them, or `(inputs, labels)` of these; tf.data, PyDataset, DataLoader.
    """
    data = data[0] if isinstance(data, tuple) and data else data
    if hasattr(data, "shape") or isinstance(data, (dict, list)):
        size = len(keras.tree.flatten(data)[0])
        for start in range(0, size, batch_size):
            yield keras.tree.map_structure(
                lambda x, at=start: as_array(x[at : at + batch_size]), data
            )
        return
    if not hasattr(data, "num_batches") and not hasattr(data, "__iter__"):
        raise TypeError(
            f"the data must be an array or an iterable of batches; got {type(data).__name__}."
        )
    batches = (data[i] for i in range(data.num_batches)) if hasattr(data, "num_batches") else data
    for batch in batches:
        first = batch[0] if isinstance(batch, (tuple, list)) else batch  # a DataLoader yields lists
        yield keras.tree.map_structure(as_array, first)


def _first_of(data):
    if hasattr(data, "num_batches"):
        return data[0]
    if not hasattr(data, "__iter__") or isinstance(data, (str, bytes)):
        raise TypeError(
            f"the data must be an array or an iterable of batches; got {type(data).__name__}."
        )
    for batch in data:
        return batch
    raise ValueError("the data must hold at least one sample; got none.")


def _checked(samples, num_samples):
    """At most so many samples, evenly spread, as an array of which every value is finite."""
    if getattr(samples, "shape", None) and num_samples:
        samples = samples[:: max(1, samples.shape[0] // num_samples)][:num_samples]
    samples = as_array(samples)
    if samples.ndim == 0 or len(samples) == 0:
        raise ValueError(f"the data must hold at least one sample; got shape {samples.shape}.")
    if np.issubdtype(samples.dtype, np.inexact) and not np.isfinite(samples).all():
        raise ValueError("the data must be finite; got NaN or infinity.")
    return samples


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
