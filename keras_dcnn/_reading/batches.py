"""Reads the images of every kind of data: arrays, memory maps, tf.data, PyDataset, DataLoader."""

import operator

import keras
import numpy as np

from keras_dcnn._checks import check_real
from keras_dcnn._reading.ends import check_ends


def image_batches(data, batch_size=256):
    """Yield the images of `data` as NumPy arrays, single or in batches, one pass.

    Takes an array or memory map (sliced, never read whole), or an iterable of batches, of
    `(images, …)` or of dicts with the key `"images"`: tf.data, PyDataset, generator, DataLoader.
    Images whose weight, the third of a tuple, is 0 are left out.
    """
    data, weights = _weighted(data, tuple)
    data, weights = images_of(data), _numbers(weights)
    check_ends("the data", data)
    if len(getattr(data, "shape", ())) == 3:
        data = [(data, None, weights)]
    sliced = hasattr(data, "shape")
    whole = (data,) if weights is None else (data, weights)
    for part in _sliced(whole, batch_size) if sliced else _batches(data):
        images, *weights = part if sliced else _weighted(part, (tuple, list))  # as a DataLoader's
        yield from _images_that_count(as_array(images_of(images)), *map(_numbers, weights))


def _numbers(third):
    """The third of `(images, labels, …)` where it is numbers, so weights; else None."""
    if isinstance(third, list) and all(map(np.isscalar, third)):
        third = np.asarray(third)
    kind = str(getattr(third, "dtype", type(third).__name__))
    return third if any(number in kind for number in ("float", "int", "bool")) else None


def _images_that_count(images, weights=None):
    """A list of the images, one or a batch, or of nothing where all have the weight 0."""
    if weights is None:
        return [images]
    if images.ndim == 3:
        return [images] if as_array(weights).any() else []
    images = images[_that_count(weights, len(images))]
    return [images] if len(images) else []


def input_batches(data, batch_size=64, model=None):
    """Yield what a model takes, batch by batch, of data as `fit` takes them; one pass.

    Arrays, a list or dict of them, or `(inputs, labels)` of these; tf.data, PyDataset, DataLoader;
    and a list of batches, which the inputs of the `model` tell from a list of inputs. Samples whose
    weight, the third of a tuple, is 0 are left out.
    """
    data, weights = _weighted(data, tuple)
    check_ends("the data", data)
    sliced = _sliceable(data) and not is_list_of_batches(data, model)
    whole = (data,) if weights is None else (data, weights)
    for part in _sliced(whole, batch_size) if sliced else _batches(data):
        inputs, *weights = part if sliced else _weighted(part, _kinds(part, model))
        inputs = keras.tree.map_structure(as_array, inputs)
        if weights and weights[0] is not None:
            kept = _that_count(weights[0], len(keras.tree.flatten(inputs)[0]))
            if not kept.all():
                inputs = keras.tree.map_structure(lambda leaf, kept=kept: leaf[kept], inputs)
        if len(keras.tree.flatten(inputs)[0]):
            yield inputs


def is_list_of_batches(data, model):
    """Whether a list holds batches, rather than an array for each input of the model.

    Raises ValueError for as many arrays as are neither.
    """
    if not isinstance(data, list) or not data:
        return False
    if all(isinstance(part, (tuple, list, dict)) and _has_arrays(part) for part in data):
        return True
    inputs = _num_inputs(model)
    if inputs is None or not all(getattr(part, "shape", None) for part in data):
        return False
    if inputs not in (1, len(data)):
        raise ValueError(
            f"a list must hold an array for each of the {inputs} inputs of `{model.name}`, or "
            f"batches as tuples; got {len(data)} arrays: give [(inputs,), …]."
        )
    if inputs == 1 and len({len(part.shape) for part in data}) > 1:
        raise ValueError(
            f"a list must hold batches for the one input of `{model.name}`; got arrays of shapes "
            f"{', '.join(str(tuple(part.shape)) for part in data)}: inputs with their labels are "
            "a tuple."
        )
    return inputs == 1


def first_batch(data, num_samples, model=None):
    """What a model takes, of the first batch of `data`: an array, or a list or dict of arrays.

    Of arrays, or a list or dict of them, as `fit` takes them: at most `num_samples` samples, evenly
    spread. Of tf.data, PyDataset, generator, DataLoader, and a list of batches: the whole first
    batch. The first of a tuple is the inputs. Raises ValueError for no samples and for values that
    are not finite. Samples whose weight, the third of a tuple, is 0 are left out.
    """
    data, weights = _weighted(data, tuple)
    batches = not _sliceable(data) or is_list_of_batches(data, model)
    if batches and isinstance(data, list) and len(data) == 1 and hasattr(data[0], "shape"):
        data, batches = data[0], False
    if batches:
        batch, num_samples = next(iter(_batches(data)), None), None
        if batch is None:
            raise ValueError("the data must hold at least one sample; got none.")
        data, weights = _weighted(batch, _kinds(batch, model))
    rows = None if weights is None else np.flatnonzero(counting(weights))
    return keras.tree.map_structure(lambda x: _checked(x, num_samples, rows), data)


def images_of(data):
    """The images of `(images, labels, …)` or of a dict; all else as it is."""
    data = _first_of(data, tuple)
    if isinstance(data, dict):
        if "images" not in data:
            raise ValueError(f"a dict must hold 'images'; got the keys {sorted(data)}.")
        data = data["images"]
    return data


def _first_of(data, kinds):
    return data[0] if isinstance(data, kinds) and len(data) else data


def _weighted(data, kinds):
    """The inputs, and the weights of samples or None, of what may be `(inputs, …)`."""
    if not isinstance(data, kinds) or not len(data):
        return data, None
    return data[0], data[2] if len(data) == 3 else None


def _kinds(batch, model):
    """What holds `(inputs, labels, weights)`: tuples, and the lists of a DataLoader."""
    return (tuple, list) if _num_inputs(model) in (None, 1) or _pairs(batch) else tuple


def _that_count(weights, count):
    """`counting` for so many samples."""
    kept = counting(weights)
    if len(kept) != count:
        raise ValueError(f"each sample must have a weight; got {len(kept)} for {count} samples.")
    return kept


def counting(weights):
    """For each sample whether it counts: whether one of its weights is not 0."""
    weights = np.atleast_1d(as_array(weights))
    check_real("sample weights", weights)
    return (weights != 0).reshape(len(weights), -1).any(axis=1)


def _num_inputs(model):
    """How many arrays a model takes; None where that isn't known."""
    if getattr(model, "inputs", None):
        return len(model.inputs)
    shape = (model.get_build_config() or {}).get("input_shape") if model is not None else None
    single = isinstance(shape, (tuple, list)) and all(
        size is None or isinstance(size, int) for size in shape
    )
    return 1 if single else None


def _has_arrays(structure):
    return all(getattr(leaf, "shape", None) for leaf in keras.tree.flatten(structure))


def _pairs(part):
    """Whether a list is inputs that are a list themselves, and labels."""
    return isinstance(part, list) and bool(part) and isinstance(part[0], (list, tuple, dict))


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
    if hasattr(images, "detach"):  # NumPy has no bfloat16 of PyTorch's
        images = images.detach().cpu()
        images = images.float() if "bfloat16" in str(images.dtype) else images
    return np.asarray(images)


def num_batches(data, batch_size=256):
    """How many parts `image_batches` yields, or None where nobody knows."""
    data = images_of(data)
    if hasattr(data, "shape"):
        return 1 if len(data.shape) == 3 else -(-data.shape[0] // batch_size)
    return operator.length_hint(data, 0) or None


def _checked(samples, num_samples, rows):
    """At most so many samples, evenly spread, as an array of which every value is finite."""
    if rows is not None:
        rows = rows[:: max(1, len(rows) // (num_samples or len(rows) or 1))][:num_samples]
        samples = as_array(samples)[rows]
    elif getattr(samples, "shape", None) and num_samples:
        samples = samples[:: max(1, samples.shape[0] // num_samples)][:num_samples]
    samples = as_array(samples)
    if samples.ndim == 0 or len(samples) == 0:
        raise ValueError(
            "the data must hold at least one sample that counts, in arrays; got shape "
            f"{samples.shape}."
        )
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
