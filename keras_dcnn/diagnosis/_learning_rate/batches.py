"""Batches for a training that leaves the data, and their order, untouched where it can."""

import contextlib
import copy
import itertools
import random
import sys
import warnings

import keras
import numpy as np

from keras_dcnn._checks import check_real
from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.ends import check_readable_again
from keras_dcnn._state.snapshot import variables_kept

_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)


def check_data(data):
    """Raise TypeError for what is no training data, ValueError for what can be read once only."""
    bare = hasattr(data, "shape") or isinstance(data, (dict, str, bytes))
    bare = bare or (isinstance(data, list) and any(hasattr(one, "shape") for one in data))
    got = "a list of arrays" if bare and isinstance(data, list) else type(data).__name__
    if bare or not (hasattr(data, "num_batches") or hasattr(data, "__iter__")):
        raise TypeError(
            "`data` must be a tuple (x, y), or an iterable of such batches, as tf.data, PyDataset "
            f"and DataLoader are; got {got}."
        )
    check_readable_again("`data`", data)


@contextlib.contextmanager
def training_batches(data, batch_size, generator):
    """Tuples `(x, y, sample_weight)` for `train_on_batch`, round after round without end.

    `generator` draws the order of arrays and of what is read by index.
    """
    rounds = _rounds(_apart(data), batch_size, generator)
    with variables_kept(_variables_of(data)), contextlib.closing(rounds):
        yield rounds


def _variables_of(data):
    """Of the layers and seeds that a PyDataset augments with."""
    own = vars(data).values() if hasattr(data, "num_batches") else ()
    layers = [one for one in own if isinstance(one, keras.Layer)]
    seeds = [one.state for one in own if isinstance(one, keras.random.SeedGenerator)]
    return [*(variable for layer in layers for variable in layer.variables), *seeds]


def _apart(data):
    """What gives the same batches, while `data` and the generators in them do not move on.

    Warns where that can't be had.
    """
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow and isinstance(data, tensorflow.data.Dataset):
        with contextlib.suppress(tensorflow.errors.OpError, TypeError, ValueError):
            return _copy_of_graph(data)
    elif hasattr(data, "num_batches"):
        own = copy.copy(data)
        generators = {k: v for k, v in vars(own).items() if isinstance(v, _GENERATORS)}
        vars(own).update(copy.deepcopy(generators))
        return own
    elif isinstance(data, (list, tuple)) or _draws_as_pytorch_does(data):
        return data
    warnings.warn(
        "find_learning_rate had to read `data` themselves: what they draw or count went on, so the "
        "next `fit` may get other batches than without it. Arrays, a PyDataset and tf.data below "
        "2 GB stay as they were.",
        stacklevel=4,
    )
    return data


def _draws_as_pytorch_does(data):
    """Whether data are a DataLoader that draws from PyTorch's global numbers, which are kept."""
    torch = sys.modules.get("torch.utils.data")
    if not torch or not isinstance(data, torch.DataLoader):
        return False
    return all(getattr(one, "generator", None) is None for one in (data, data.sampler))


def _copy_of_graph(dataset):
    """A tf.data set made of the graph of another, data in memory too, that begins as that did.

    A shuffle with a seed too gives another order at each reading, and its count can't be set back.
    """
    import tensorflow as tf

    graph = tf.raw_ops.DatasetToGraphV2(
        input_dataset=tf.data.experimental.to_variant(dataset),
        external_state_policy=1,  # functions of Python are called in the copy as well
        strip_device_assignment=False,
    )
    graph = tf.compat.v1.GraphDef.FromString(graph.numpy())
    for node in graph.node:
        handles = node.attr["value"].tensor.resource_handle_val if node.op == "Const" else ()
        for kind in ("SeedGenerator", "MemoryCache"):
            if any(f"/{kind}" in handle.name for handle in handles):  # shared by all iterators
                node.op = f"Dummy{kind}"  # which stands for a new one
                node.attr.clear()
    copied = tf.raw_ops.DatasetFromGraph(graph_def=graph.SerializeToString())
    copied = tf.data.experimental.from_variant(copied, dataset.element_spec)
    return copied.with_options(dataset.options())


def _rounds(data, batch_size, generator):
    if isinstance(data, tuple):
        data = keras.tree.map_structure(_as_floats, data)
    for number in itertools.count():
        batch = None
        for batch in _one_round(data, batch_size, generator):
            yield keras.tree.map_structure(
                _for_backend, keras.utils.unpack_x_y_sample_weight(batch)
            )
        if batch is None:
            again = (
                " when read again: give data that can be, as a list of batches" if number else ""
            )
            raise ValueError(f"`data` must hold at least one batch; got none{again}.")


def _one_round(data, batch_size, generator):
    if isinstance(data, tuple):
        return _slices(data, batch_size, generator)
    if not hasattr(data, "num_batches"):
        return data
    number = data.num_batches
    order = itertools.count() if number is None else generator.permutation(number)
    return (data[int(i)] for i in order)


def _slices(arrays, batch_size, generator):
    """Batches of rows drawn anew; all of one size, so that nothing is compiled twice."""
    size = _size(arrays)
    order = generator.permutation(size)
    for start in range(0, size, batch_size):
        rows = order[start : start + batch_size]
        if start == 0 or len(rows) == batch_size:
            yield keras.tree.map_structure(
                lambda x, rows=rows: None if x is None else x[rows], arrays
            )


def _size(arrays):
    arrays = [array for array in keras.tree.flatten(arrays) if array is not None]
    if not arrays or any(array.ndim == 0 for array in arrays):
        got = "a number" if arrays else "none"
        raise ValueError(f"`data` must hold arrays; got {got}: give (x, y) as arrays.")
    sizes = [len(array) for array in arrays]
    if len(set(sizes)) > 1:
        raise ValueError(f"`data` must hold as many samples in each array; got {sizes}.")
    return sizes[0]


def _as_floats(x):
    """An array, of Keras's float type where it is of floats."""
    x = None if x is None else as_array(x)
    floats = x is not None and np.issubdtype(x.dtype, np.floating)
    return x.astype(keras.config.floatx(), copy=False) if floats else x


def _for_backend(x):
    if x is None:
        return None
    x = x if keras.ops.is_tensor(x) else as_array(x)
    if "complex" in str(x.dtype):
        check_real("find_learning_rate: the data", x)
    return x
