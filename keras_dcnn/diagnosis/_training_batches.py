"""Batches for a training that must leave the data, and their order, untouched."""

import contextlib
import itertools
import sys

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn.diagnosis._random_data import is_loader, loader_copy, random_states_kept
from keras_dcnn.diagnosis._tf_data import independent_copy


def check_data(data):
    """Raise TypeError for what is no training data, ValueError for what can be read once only."""
    bare = hasattr(data, "shape") or isinstance(data, (dict, str, bytes))
    bare = bare or (isinstance(data, list) and any(hasattr(one, "shape") for one in data))
    if bare or not (hasattr(data, "num_batches") or hasattr(data, "__iter__")):
        raise TypeError(
            "`data` must be a tuple (x, y), or an iterable of such batches, as tf.data, PyDataset "
            f"and DataLoader are; got {type(data).__name__}."
        )
    if hasattr(data, "__next__") and iter(data) is data:
        raise ValueError(
            f"`data` must be readable more than once; got a {type(data).__name__}, whose batches "
            "would be lost to the training: give arrays, a list of batches, a "
            "keras.utils.PyDataset, or tf.data.Dataset.from_generator of the function that makes "
            "the generator."
        )


@contextlib.contextmanager
def training_batches(data, batch_size, generator):
    """Tuples `(x, y, sample_weight)` for `train_on_batch`, round after round without end.

    `generator` draws the order of arrays and of what is read by index.
    """
    with random_states_kept(data), contextlib.closing(_rounds(data, batch_size, generator)) as them:
        yield them


def _rounds(data, batch_size, generator):
    begin_round = _reader(data, batch_size, generator)
    while True:
        batch = None
        for batch in begin_round():
            yield keras.tree.map_structure(
                _for_backend, keras.utils.unpack_x_y_sample_weight(batch)
            )
        if batch is None:
            raise ValueError("`data` must hold at least one batch; got none.")


def _reader(data, batch_size, generator):
    """A function that begins a round through the data."""
    if isinstance(data, tuple):
        arrays = keras.tree.map_structure(_as_floats, data)
        _check_arrays(arrays)
        return lambda: _slices(arrays, batch_size, generator)
    if hasattr(data, "num_batches"):
        return lambda: _by_index(data, generator)
    return _untouched(data).__iter__


def _check_arrays(arrays):
    arrays = [array for array in keras.tree.flatten(arrays) if array is not None]
    if any(array.ndim == 0 for array in arrays):
        raise ValueError("`data` must hold arrays; got a number: give (x, y) as arrays.")
    sizes = [len(array) for array in arrays]
    if len(set(sizes)) > 1:
        raise ValueError(f"`data` must hold as many samples in each array; got {sizes}.")


def _slices(arrays, batch_size, generator):
    """Batches of rows drawn anew; all of one size, so that nothing is compiled twice."""
    size = next(len(array) for array in keras.tree.flatten(arrays) if array is not None)
    order = generator.permutation(size)
    for start in range(0, size, batch_size):
        rows = order[start : start + batch_size]
        if start == 0 or len(rows) == batch_size:
            yield keras.tree.map_structure(
                lambda x, rows=rows: None if x is None else x[rows], arrays
            )


def _by_index(data, generator):
    number = data.num_batches
    for i in itertools.count() if number is None else generator.permutation(number):
        yield data[int(i)]


def _untouched(data):
    """A copy in the place of data whose order depends on how often they were read."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow and isinstance(data, tensorflow.data.Dataset):
        return independent_copy(data)
    return loader_copy(data) if is_loader(data) else data


def _as_floats(x):
    """An array, of Keras's float type where it is of floats."""
    x = None if x is None else as_array(x)
    floats = x is not None and np.issubdtype(x.dtype, np.floating)
    return x.astype(keras.config.floatx(), copy=False) if floats else x


def _for_backend(x):
    return x if x is None or keras.ops.is_tensor(x) else as_array(x)
