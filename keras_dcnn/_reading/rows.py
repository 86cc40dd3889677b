"""Some of the samples of arrays, as `fit`, `evaluate` and `predict` take them."""

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array

NAMES = ("x", "y", "sample_weight")


def as_arrays(data):
    """A tuple of arrays of any framework, and lists of numbers, as NumPy's; memory maps stay."""
    data = tuple(_listed_numbers(one) for one in data)
    if not are_arrays(data):
        raise TypeError(
            "the data must be arrays, or lists or dicts of them; got "
            f"{', '.join(sorted({type(leaf).__name__ for leaf in keras.tree.flatten(data)}))}."
        )
    arrays = keras.tree.map_structure(
        lambda leaf: leaf if isinstance(leaf, np.ndarray) else as_array(leaf), data
    )
    for name, one in named(arrays).items():
        for leaf in keras.tree.flatten(one):
            if leaf.dtype.kind in "OUSMm":
                fix = "number the classes, as `np.unique(y, return_inverse=True)[1]` does"
                raise ValueError(
                    f"`{name}` must be numbers; got an array of dtype {leaf.dtype}: "
                    f"{fix if name == 'y' else 'give samples of one shape, texts as numbers'}."
                )
    return arrays


def check_memory_maps(arrays, fit_arguments):
    """Raise ValueError for a split by `fit` of what it would have to read whole."""
    if on_disk(arrays) and fit_arguments.get("validation_split"):
        raise ValueError(
            "`validation_split` needs arrays in memory, and memory maps are read batch by batch: "
            "use validation_data=(x, y), or np.array(x)."
        )


def are_arrays(data):
    """Whether `data` is arrays, or lists and dicts of them, and not batches of some kind."""
    return all(getattr(leaf, "shape", None) for leaf in keras.tree.flatten(data))


def on_disk(data):
    """Whether some of the arrays are memory maps, which are not to be read whole."""
    return any(isinstance(leaf, np.memmap) for leaf in keras.tree.flatten(data))


def take(data, rows):
    """These rows of each array; all for None."""
    if rows is None:
        return data
    return keras.tree.map_structure(lambda leaf: leaf[rows], data)


def named(arrays):
    """The arrays as keyword arguments of `fit`."""
    return dict(zip(NAMES, arrays, strict=False))


def check_lengths(arrays):
    """Raise ValueError unless all arrays, by their names, have as many samples, at least one."""
    lengths = {
        name: sorted({len(leaf) for leaf in keras.tree.flatten(one)})
        for name, one in arrays.items()
    }
    if len({length for one in lengths.values() for length in one}) > 1 or [0] in lengths.values():
        got = ", ".join(f"`{name}` {' and '.join(map(str, n))}" for name, n in lengths.items())
        fix = "give one row of each for every sample"
        if isinstance(arrays.get("x"), (list, tuple)):
            fix += ", and a list of images as np.stack(x): in a list each input is an array"
        raise ValueError(f"all arrays must have as many samples, at least one; got {got}: {fix}.")


def check_finite(what, array, at_once=1024):
    """Raise ValueError for NaN and infinity, read part by part; `what` begins the sentence."""
    for start in range(0, len(array) if array.dtype.kind == "f" else 0, at_once):
        if not np.isfinite(array[start : start + at_once]).all():
            raise ValueError(f"{what} must be finite; got NaN or infinity.")


def _listed_numbers(data):
    """An array for a list of numbers; all else, as a list of arrays, as it is."""
    leaves = keras.tree.flatten(data) if isinstance(data, list) else ()
    numbers = leaves and all(getattr(leaf, "shape", ()) == () for leaf in leaves)
    return np.asarray(data) if numbers else data


class Rows(keras.utils.PyDataset):
    """Batches of rows of memory maps, read when they are asked for; shuffled anew each epoch."""

    def __init__(self, arrays, rows, batch_size, seed=None):
        super().__init__()
        count = len(keras.tree.flatten(arrays)[0])
        self._arrays = arrays
        self._rows = np.arange(count) if rows is None else np.asarray(rows)
        self._batch_size = batch_size or 32  # Keras's own
        self._random = None if seed is None else np.random.default_rng(seed)
        self.on_epoch_end()

    @property
    def num_batches(self):
        return -(-len(self._rows) // self._batch_size)

    def __getitem__(self, index):
        rows = self._rows[index * self._batch_size : (index + 1) * self._batch_size]
        rows = rows if self._random is None else np.sort(rows)  # as they lie on the disk
        return tuple(keras.tree.map_structure(lambda leaf: np.asarray(leaf[rows]), self._arrays))

    def on_epoch_end(self):
        if self._random is not None:
            self._rows = self._random.permutation(self._rows)
