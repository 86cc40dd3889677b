"""LSUV: orthonormal kernels, scaled layer by layer so that every linear output has variance 1."""

import contextlib
import hashlib
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._checks import check_choice, check_count, check_model, check_number, check_real
from keras_dcnn._keras.compiling import without_gradients
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._progress import with_progress
from keras_dcnn._reading.batches import first_batch
from keras_dcnn._state.snapshot import variables_kept
from keras_dcnn.initializers._passes import Passes, treatments

NUM_SAMPLES = 64
_NAMED = 3  # kernels in the line that is printed
PASS_SIZE = 8  # samples: Keras holds all that layers make of them, 165 MB an image in ResNet50


class LayerVariance(NamedTuple):
    """What `lsuv` did to one kernel."""

    layer: str
    before: float | None
    after: float | None
    iterations: int
    note: str


def lsuv(
    model: keras.Model,
    data: Any,
    tolerance: float = 0.1,
    max_iterations: int = 10,
    seed: int | None = None,
    verbose: int = 1,
) -> list[LayerVariance]:
    """Give every layer of a model orthonormal weights and outputs of variance 1 on the data.

    Plain networks of 30 layers, with whatever activations, learn with it where with Glorot's
    initialisation they don't. Layer by layer, in the order of computation, W becomes orthonormal,
    then W ← W / √Var(W∗x) until |Var(W∗x) − 1| < tolerance. The variance is that of all elements of
    the linear output, before bias and activation, also where the activation is part of the layer.

    Treats Dense, EinsumDense and all convolutions (of a separable one both kernels), grouped ones
    too, in models and layers at any depth, attention for instance. Skips with a word: layers that
    are frozen, shared (their weights used several times), not called, inside a compiled loop,
    adapted by LoRA, quantized, in a SpectralNormalization, which sets the scale itself, with
    outputs that are constant or not finite on the data, and other layers with kernels: recurrent
    ones and embeddings.

    The model runs as at inference, with BatchNorm's statistics as they are and without dropout, on
    8 samples at a time, to save memory; the variance is that on all of them. All else stays as it
    was: biases, statistics, random seeds, the optimizer; after an error kernels too.

    Args:
        model: A Keras model; one that is not built yet is built on the data.
        data: What the model is trained on, pre-processed alike. Of an array (or a list or dict, for
            several inputs) 64 samples, evenly spread; of tf.data, PyDataset, DataLoader or a
            generator, which loses it, the first batch; labels beside it are left aside, and so are
            samples of weight 0.
        tolerance: How far from 1 a variance may be, > 0.
        max_iterations: Divisions per kernel, ≥ 1; one is enough as a rule.
        seed: Integer ≥ 0 for the orthonormal weights, or None: from the kernels that the model has,
            so that `keras.utils.set_random_seed` before it was made repeats the result.
        verbose: 1 prints one line, with a progress bar before it in a terminal; 2 a table of all
            kernels instead of the line; 0 nothing.

    Returns:
        One row per kernel in the order of computation, a tuple of `layer`, `before` and `after`
        (the variances, None where there are none), `iterations` and `note`.

    Raises:
        TypeError: for a `model` or `data` of another type, and for complex numbers.
        ValueError: for arguments out of range, for data that are empty or not finite, and for a
            model in which there is nothing to initialise.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((8, 8, 3))])
    for _ in range(10):
        model.add(keras.layers.Conv2D(8, 3, padding="same", activation="relu"))
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 3))
    rows = keras_dcnn.initializers.lsuv(model, images)
    print(max(abs(row.after - 1) for row in rows))
    ```

    Reference:
        Mishkin, Matas: All you need is a good init (2015). https://arxiv.org/abs/1511.06422
    """
    _check_arguments(model, tolerance, max_iterations, seed, verbose)
    batches = _split(first_batch(data, NUM_SAMPLES, model))
    for leaf in keras.tree.flatten(batches[0]):
        check_real("lsuv: the data", leaf)
    with without_gradients():
        _build_on_one(model, batches[0])
        kernels = treatments(model)
        with _values_kept(model, kernels), _ticks(batches, kernels, verbose) as tick:
            passes = Passes(model, batches, kernels, tick)
            passes.look()
            passes.treat(_generator(kernels, seed), tolerance, max_iterations)
            rows = _rows(model, kernels)
    if verbose == 1:
        print(_in_one_line(rows))
    elif verbose:
        _print_table(rows)
    return rows


def _check_arguments(model, tolerance, max_iterations, seed, verbose):
    check_model(model)
    check_number("tolerance", tolerance, above=0)
    check_count("max_iterations", max_iterations)
    if seed is not None:
        check_count("seed", seed, minimum=0)
    check_choice("verbose", verbose, (0, 1, 2))


def _split(inputs):
    """At most PASS_SIZE samples each, evenly spread."""
    number = -(-len(keras.tree.flatten(inputs)[0]) // PASS_SIZE)
    return [keras.tree.map_structure(lambda x, i=i: x[i::number], inputs) for i in range(number)]


def _build_on_one(model, inputs):
    """Run the model once, on one sample, where layers have no weights yet."""
    if not all(layer.built for layer in all_layers(model)):
        model(keras.tree.map_structure(lambda x: x[:1], inputs), training=False)


def _generator(kernels, seed):
    """Random numbers of the seed, or of what the kernels are now: no other state is touched."""
    if seed is None:
        digest = hashlib.blake2b()
        for kernel in kernels:
            digest.update(b"" if kernel.start is None else kernel.start.tobytes())
        seed = int.from_bytes(digest.digest())
    return np.random.default_rng(seed)


@contextlib.contextmanager
def _values_kept(model, kernels):
    """Put back the state that a pass may change and, if it fails, the kernels."""
    kernels = [kernel for kernel in kernels if kernel.variable is not None]
    with (
        variables_kept(model.non_trainable_variables),
        variables_kept([kernel.variable for kernel in kernels], only_on_error=True) as starts,
    ):
        for kernel, start in zip(kernels, starts, strict=True):
            kernel.start = start
        yield


@contextlib.contextmanager
def _ticks(batches, kernels, verbose):
    """A function that moves the progress bar on, to its end where one round of scaling does."""
    if not verbose:
        yield lambda: None
        return
    total = (2 * len(batches) + 1) * len(kernels)
    with contextlib.closing(with_progress(range(total + 1), total, "LSUV")) as steps:
        yield lambda: next(steps, None)


def _rows(model, kernels):
    """The rows to return; ValueError where nothing was initialised."""
    rows = [
        LayerVariance(kernel.name, kernel.before, kernel.after, kernel.iterations, kernel.note)
        for kernel in sorted(kernels, key=lambda kernel: kernel.place)
    ]
    if all(row.after is None for row in rows):
        skipped = ", ".join(f"{row.layer} ({row.note})" for row in rows)
        layers = ", ".join(sorted({type(layer).__name__ for layer in all_layers(model)[1:]}))
        raise ValueError(
            "lsuv needs a dense or convolutional layer that it can initialise; the model has "
            f"{skipped or layers or 'no layers'}."
        )
    return rows


def _in_one_line(rows):
    """How many kernels are done, and which are not and why."""
    done = [row.after for row in rows if not row.note]
    line = f"lsuv: {len(done)} of {len(rows)} kernels have outputs of variance "
    line += (
        " to ".join(dict.fromkeys(f"{bound(done):.3g}" for bound in (min, max))) if done else "1"
    )
    others = [f"{row.layer} ({row.note})" for row in rows if row.note]
    if not others:
        return f"{line}."
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"{line}; not {', '.join(others[:_NAMED])}{more}."


def _print_table(rows):
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Column, Table

    layer = Column("layer", overflow="fold")
    table = Table(layer, "variance before", "after", "iterations", "note", box=SIMPLE)
    for row in rows:
        numbers = ["–" if v is None else f"{v:.3g}" for v in (row.before, row.after)]
        table.add_row(row.layer, *numbers, str(row.iterations), row.note)
    Console().print(table)
