"""Reads the images of every kind of data: arrays, memory maps, tf.data, PyDataset, DataLoader."""

import operator

import keras
import numpy as np

from keras_dcnn._reading.ends import check_ends


def image_batches(data, batch_size=256):
    """Yield the images of `data` as NumPy arrays, single or in batches, one pass.

    Takes an array or memory map (sliced, never read whole), or an iterable of batches, of
    `(images, …)` or of dicts with the key `"images"`: tf.data, PyDataset, generator, DataLoader.
    """
    data = _images_of(data)
    check_ends("the data", data)
    if len(getattr(data, "shape", ())) == 3:
        data = data[None]
    for part in _sliced(data, batch_size) if hasattr(data, "shape") else _batches(data):
        yield as_array(_images_of(tuple(part) if isinstance(part, list) else part))


def input_batches(data, batch_size=64):
    """Yield what a model takes, batch by batch, of data as `fit` takes them; one pass.

    Arrays, a list or dict of them, or `(inputs, labels)` of these; tf.data, PyDataset, DataLoader.
    """
    data = _first_of(data, tuple)
    check_ends("the data", data)
    for part in _sliced(data, batch_size) if _sliceable(data) else _batches(data):
        if not _sliceable(data):
            part = _first_of(part, (tuple, list))  # a DataLoader yields lists
        yield keras.tree.map_structure(as_array, part)


def first_batch(data, num_samples):
    """What a model takes, of the first batch of `data`: an array, or a list or dict of arrays.

    Of arrays, or a list or dict of them, as `fit` takes them: at most `num_samples` samples, evenly
    spread. Of tf.data, PyDataset, generator, DataLoader: the whole first batch. The first of a
    tuple is the inputs. Raises ValueError for no samples and for values that are not finite.
    """
    data = _first_of(data, tuple)
    if not _sliceable(data):
        batch, num_samples = next(iter(_batches(data)), None), None
        if batch is None:
            raise ValueError("the data must hold at least one sample; got none.")
        data = _first_of(batch, (tuple, list))
    return keras.tree.map_structure(lambda x: _checked(x, num_samples), data)


def _images_of(data):
    """The images of `(images, labels, …)` or of a dict; all else as it is."""
    data = _first_of(data, tuple)
    if isinstance(data, dict):
        if "images" not in data:
            raise ValueError(f"a dict must hold 'images'; got the keys {sorted(data)}.")
        data = data["images"]
    return data


def _first_of(data, kinds):
    return data[0] if isinstance(data, kinds) and len(data) else data


def _sliceable(data):
    return hasattr(data, "shape") or isinstance(data, (dict, list))


def _sliced(data, batch_size):
    """Slices of arrays, or of a list or dict of them."""
    for start in range(0, len(keras.tree.flatten(data)[0]), batch_size):
        yield keras.tree.map_structure(lambda x, at=start: x[at : at + batch_size], data)


def _batches(data):
    """The batches of data that are no arrays."""
    if hasattr(data, "num_batches"):
        count = 1 if data.num_batches is None else data.num_batches  # endless, so the first will do
        return (data[i] for i in range(count))
    if hasattr(data, "__iter__") and not isinstance(data, (str, bytes)):
        return data
    raise TypeError(
        f"the data must be an array or an iterable of batches; got {type(data).__name__}."
    )


def as_array(images):
    """Images of any framework as a NumPy array."""
    return np.asarray(images.detach().cpu() if hasattr(images, "detach") else images)


def num_batches(data, batch_size=256):
    """How many parts `image_batches` yields, or None where nobody knows."""
    data = _images_of(data)
    if hasattr(data, "shape"):
        return 1 if len(data.shape) == 3 else -(-data.shape[0] // batch_size)
    return operator.length_hint(data, 0) or None


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


def larger_batches(parts, batch_size):
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
