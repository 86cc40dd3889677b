"""The samples that `examine` runs a model on, and the batch of the one step."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array, counting, is_list_of_batches
from keras_dcnn._reading.ends import check_readable_again
from keras_dcnn._reading.rows import check_lengths, named

_MOST = 256  # samples, as in DeadUnits


class Samples(NamedTuple):
    """Inputs of at most so many samples; `batch` is (x, y, sample_weight), or None without y."""

    x: Any
    batch: tuple | None

    @property
    def count(self):
        """How many samples there are."""
        return len(keras.tree.flatten(self.x)[0])


def read_samples(data, model, batch_size):
    """The Samples of arrays, evenly spread, or of the first batches."""
    check_readable_again("`data`", data)
    if is_list_of_batches(data, model) or not _is_arrays(data):
        batches = _first_batches(data)
        first = batches[0]
    else:
        whole = _floats(data if isinstance(data, tuple) else (data,))
        check_lengths(named(whole))
        batches = [_unpacked(_spread(whole))]
        first = _rows(batches[0], slice(batch_size))
    x = _joined([one for batch in batches if (one := _that_counts(batch)) is not None])
    _check_finite(x)
    return Samples(x, None if first[1] is None else first)


def _is_arrays(data):
    leaves = keras.tree.flatten(data)
    return isinstance(data, (tuple, list, dict)) or getattr(leaves[0], "shape", None) is not None


def _first_batches(data):
    """Batches of (x, y, sample_weight) until there are samples enough."""
    batches = data
    if hasattr(data, "num_batches"):  # without an end, one will do
        batches = (data[i] for i in range(1 if data.num_batches is None else data.num_batches))
    elif not hasattr(data, "__iter__") or isinstance(data, (str, bytes)):
        raise TypeError(
            "`data` must be x or (x, y) of arrays, or batches of them, such as a tf.data set; got "
            f"{type(data).__name__}."
        )
    found, count = [], 0
    for batch in batches:
        found.append(_unpacked(_floats(tuple(batch) if isinstance(batch, list) else batch)))
        count += len(keras.tree.flatten(found[-1][0])[0])
        if count >= _MOST:
            break
    if not count:
        raise ValueError("`data` must hold at least one sample; got none.")
    return found


def _unpacked(batch):
    return keras.utils.unpack_x_y_sample_weight(batch)


def _floats(data):
    """Arrays as NumPy's, those of floats in Keras's float type, as `fit` has it; None stays."""
    return keras.tree.map_structure(_as_float, data)


def _as_float(x):
    if x is None or isinstance(x, np.memmap):
        return x
    x = as_array(x)
    is_float = np.issubdtype(x.dtype, np.floating)
    return x.astype(keras.config.floatx(), copy=False) if is_float else x


def _spread(arrays):
    count = len(keras.tree.flatten(arrays)[0])
    return _floats(_rows(arrays, slice(None, None, max(1, count // _MOST)), np.array))


def _rows(arrays, rows, make=lambda x: x):
    return keras.tree.map_structure(lambda x: None if x is None else make(x[rows][:_MOST]), arrays)


def _that_counts(batch):
    """The inputs of the samples whose weight is not 0; None where there are none."""
    x, _, weights = batch
    if weights is None or isinstance(weights, dict):
        return x
    kept = counting(weights)
    return keras.tree.map_structure(lambda leaf: leaf[kept], x) if kept.any() else None


def _joined(parts):
    if not parts:
        raise ValueError("`data` must hold at least one sample that counts; got weights of 0 only.")
    return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves)[:_MOST], *parts)


def _check_finite(x):
    for leaf in keras.tree.flatten(x):
        if leaf.dtype.kind == "f" and not np.isfinite(leaf).all():
            raise ValueError("`data` must be finite; got NaN or infinity in the inputs.")
