"""balance_dataset: a tf.data set in which the rare classes are not rare."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_dcnn._checks import check_count
from keras_dcnn._keras.fitting import print_message
from keras_dcnn._progress import with_progress
from keras_dcnn._reading.ends import check_ends
from keras_dcnn._reading.labels import class_numbers
from keras_dcnn.imbalance._groups import check_classes, class_table
from keras_dcnn.imbalance._sampling import epoch_counts


def balance_dataset(
    dataset: Any,
    mode: str | Sequence[int] | Mapping[int, int] | np.ndarray = "over",
    *,
    batch_size: int | None = 32,
    counts: Sequence[int] | np.ndarray | None = None,
    buffer_size: int = 1024,
    seed: int = 0,
    verbose: int = 1,
) -> Any:
    """Repeat the samples of rare classes in a tf.data set, or leave out some of common ones.

    For data that come as a stream, such as those of `image_dataset_from_directory` or records; with
    arrays, memory maps and files at hand `BalancedDataset` is quicker and can more: it needs no
    pass to count and shuffles all, draws for several labels, and reads no sample that it leaves
    out.

    In each pass the classes have as many samples as `mode` says in `BalancedDataset`, exactly, as
    long as the set has the samples of `counts` in each pass. The j-th of the n samples of a class,
    of which w are wanted, comes

        ⌊(j + 1 + u)·w/n⌋ − ⌊(j + u)·w/n⌋ times,

    so ⌊w/n⌋ or ⌈w/n⌉ times, and under "over" every sample of a rare class comes in each pass. u is
    a whole number drawn anew for each pass: over many passes all come equally often, by chance and
    not in turn. Nothing is kept but the shuffling buffer. What comes together depends on it: where
    the set has one class after the other, as folders have, shuffle it before, or make the buffer as
    large as the set.

    Augment behind it, not before, or the copies of a sample are alike. Samples of weight 0 are left
    out. (`fit(shuffle=True)`, its default, does nothing to tf.data sets but warn.)

    Args:
        dataset: A finite `tf.data.Dataset` of (x, y) or (x, y, sample_weight), of batches or of
            single samples. Labels are classes from 0, or one-hot rows.
        mode: `"over"`, `"under"`, `"sqrt"`, or numbers by class.
        batch_size: Samples in a batch of the result, ≥ 1, the last part-batch is kept; None for
            single samples.
        counts: Samples of each class, where known; None counts them, in one pass over the set.
        buffer_size: Samples among which `tf.data` shuffles, ≥ 1; 1 for none.
        seed: Integer ≥ 0 that fixes u and the order.
        verbose: 1 prints the table of `BalancedDataset`, 0 nothing.

    Returns:
        A `tf.data.Dataset` of as many parts as `dataset` has, that knows its number of batches.

    Raises:
        TypeError: for what is no tf.data set of such tuples.
        ValueError: for an argument outside the ranges above, a set without an end, labels that are
            no classes, one class alone, a class without a sample, and "progressive", as a tf.data
            set does not know the epoch.

    Example:

    ```python
    import numpy as np
    import tensorflow as tf
    import keras_dcnn

    x, y = np.zeros((110, 8, 8, 3), "uint8"), np.repeat([0, 1], [100, 10])
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    data = keras_dcnn.imbalance.balance_dataset(data, "over")
    print(len(data))
    # model.fit(data, epochs=10, shuffle=False)
    ```

    Reference:
        Buda et al.: A Systematic Study of the Class Imbalance Problem in Convolutional Neural
        Networks (2018). https://arxiv.org/abs/1710.05381
    """
    if isinstance(mode, str) and mode == "progressive":
        raise ValueError(
            '`mode` must be another for tf.data, which does not know the epoch; got "progressive": '
            "use BalancedDataset."
        )
    if batch_size is not None:
        check_count("batch_size", batch_size)
    check_count("buffer_size", buffer_size)
    check_count("seed", seed, minimum=0)
    singles = _singles(dataset)
    name = "`dataset`" if counts is None else "`counts`"
    counts = _counted(singles) if counts is None else _given(counts)
    check_classes(name, counts, mode)
    wanted = epoch_counts(counts, mode)
    if verbose:
        print_message(class_table(range(len(counts)), counts, {"an epoch": wanted}))
    return _balanced(singles, counts, wanted, batch_size, buffer_size, seed)


def _singles(dataset):
    """The samples of a set, one by one, that count."""
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) not in (2, 3) or not hasattr(spec[1], "shape"):
        raise TypeError(
            "`dataset` must be a tf.data.Dataset of (x, y) or (x, y, sample_weight); got "
            f"{type(dataset).__name__ if spec is None else spec}: other data are for "
            "BalancedDataset."
        )
    if spec[1].shape.rank is None:
        raise ValueError(
            "`dataset` must know the shape of its labels; it does not: give `output_signature` to "
            "from_generator, or have the last `map` call `ensure_shape`."
        )
    check_ends("`dataset`", dataset)
    import tensorflow as tf

    sizes = {leaf.shape[0] if leaf.shape.rank else "none" for leaf in tf.nest.flatten(spec)}
    if len(sizes) == 1 and "none" not in sizes:  # one number of samples, known or not
        dataset = dataset.unbatch()
    if len(spec) == 3:
        dataset = dataset.filter(lambda x, y, weight: tf.reduce_any(weight != 0))
    return dataset


def _counted(singles):
    labels = singles.map(lambda *sample: sample[1]).batch(1024)
    parts = [one.numpy() for one in with_progress(labels, None, "Counting the classes")]
    if not parts:
        raise ValueError("`dataset` must hold at least one sample that counts; got none.")
    classes, number = class_numbers(np.concatenate(parts))
    return np.bincount(classes, minlength=number)


def _given(counts):
    if np.ndim(counts) != 1:
        raise ValueError(f"`counts` must be a number for each class, [500, 20]; got {counts!r}.")
    for number, count in enumerate(counts):
        check_count(f"counts[{number}]", count, minimum=0)
    return np.array(counts, "int64")


def _balanced(singles, counts, wanted, batch_size, buffer_size, seed):
    import tensorflow as tf

    present, wanted = tf.constant(np.maximum(counts, 1), "int64"), tf.constant(wanted, "int64")
    label = singles.element_spec[1].shape
    outside = f"`counts` must have a number for each class of `dataset`; it has {len(counts)}."
    one_hot = label.rank == 1 and label[0] != 1

    def times(state, given):
        """How often a sample comes: by how many of its class were before, and what was drawn."""
        (before, first), (sample, drawn) = state, given
        first = tf.where(first < 0, drawn, first)
        number = tf.argmax(sample[1]) if one_hot else sample[1]
        number = tf.reshape(tf.cast(number, "int64"), [])
        checks = [
            tf.debugging.assert_less(number, np.int64(len(counts)), outside),
            tf.debugging.assert_non_negative(number, outside),
        ]
        with tf.control_dependencies(checks):  # else what takes the number may fail before them
            number = tf.identity(number)
        n, w = present[number], wanted[number]
        j = before[number] + first % n
        before = tf.tensor_scatter_nd_add(before, [[number]], [tf.constant(1, "int64")])
        return (before, first), (sample, (j + 1) * w // n - j * w // n)

    start = tf.zeros(len(counts), "int64"), tf.constant(-1, "int64")
    draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    result = tf.data.Dataset.zip((singles, draws)).scan(start, times)
    result = result.flat_map(lambda sample, n: tf.data.Dataset.from_tensors(sample).repeat(n))
    total = int(np.sum(wanted))
    result = result.shuffle(buffer_size, seed=seed) if buffer_size > 1 else result
    if batch_size is not None:
        result, total = result.batch(batch_size), -(-total // batch_size)
    result = result.apply(tf.data.experimental.assert_cardinality(total))
    return result.prefetch(tf.data.AUTOTUNE)
