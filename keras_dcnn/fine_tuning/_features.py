"""Features of all asked layers of a network in one pass, pooled, in memory or on disk."""

import functools
from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn._checks import as_path, check_count
from keras_dcnn._keras.calls import calls_of
from keras_dcnn._keras.fitting import print_message
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._progress import with_progress
from keras_dcnn._reading.ends import check_readable_again
from keras_dcnn._reading.labelled import LabelledImages
from keras_dcnn._structure.blocks import blocks_of, model_to
from keras_dcnn.fine_tuning._feature_files import (
    FeatureFiles,
    FeaturesInMemory,
    OtherImagesError,
)

ops = keras.ops
MAX_DEPTHS = 13  # of "all", so that a deep network's features fit on the disk


class Features(NamedTuple):
    """What layers of a network say of samples; `num_classes` is the columns of one-hot labels, or
    the highest label and one."""

    names: tuple[str, ...]  # of the layers, from the input to the output
    rows: tuple[np.ndarray, ...]  # for each (samples, channels), float32, in memory or on disk
    y: np.ndarray  # (samples,), int64
    sample_weight: np.ndarray | None  # (samples,), float64
    num_classes: int


def extract(
    trunk,
    data,
    layers="last",
    *,
    directory=None,
    max_bytes=None,
    batch_size=32,
    verbose=1,
    bar_alone=False,
):
    """Run a network over data once and keep the mean over places of what each layer gives.

    Args:
        trunk: Network from images to a map, a sequence or a row of features.
        data: `(x, y)`, `(x, y, sample_weight)` of arrays, or batches of these. Samples of weight 0
            are left out.
        layers: "last", "all" (at most 13 depths), or names of blocks or layers.
        directory: Where features lie as memory maps, to be found again for the same network, layers
            and images, and gone on with after a kill; None for memory.
        max_bytes: That features must not take more than; None for the free space of the disk.
        batch_size: Images at a time, of arrays.
        verbose: 0 for silence; 1 prints the size, before, and shows a bar.
        bar_alone: Print no size.
    """
    check_count("batch_size", batch_size)
    images = LabelledImages(data, batch_size)
    names, network = pooled_network(trunk, layers)
    widths = [output.shape[-1] for output in network.outputs]
    store = FeaturesInMemory(widths)
    if directory is not None:
        check_readable_again("the data", data)
        store = FeatureFiles(as_path("directory", directory), names, widths, network)
    say = print_message if verbose and not bar_alone else say_nothing
    bar = functools.partial(with_progress, total=None, description=f"features of {network.name}")
    show = bar if verbose else iter
    one_pass = functools.partial(_one_pass, store, images, network, names, max_bytes, say, show)
    try:
        y, weights, rows = one_pass()
    except OtherImagesError:
        say(f"the features {store.where} are of other images: all are computed anew.")
        store.restart()
        y, weights, rows = one_pass()
    finally:
        store.close()
    return Features(names, rows, y, weights, images.num_classes)


def pooled_network(trunk, layers):
    """The names of layers, and the network to a row of features for each, in float32."""
    if len(trunk.inputs) != 1 or len(trunk.outputs) != 1:
        raise ValueError(
            f"the network must have one input, of images, and one output; `{trunk.name}` has "
            f"{len(trunk.inputs)} and {len(trunk.outputs)}."
        )
    if layers == "last":
        names, tapped = (_name_of_last(trunk),), trunk
    else:
        depths = _depths(trunk, layers)
        names, tapped = tuple(depths), model_to(trunk, [*depths.values()])
    for name, output in zip(names, tapped.outputs, strict=True):
        if len(output.shape) < 2 or "float" not in output.dtype or output.shape[-1] is None:
            raise ValueError(
                f"layers must give rows, sequences or maps of real numbers; `{name}` gives "
                f"{output.dtype} of shape {output.shape}: name others by `layers`."
            )
    pooled = [_pooled(output, _is_channels_first(trunk, output)) for output in tapped.outputs]
    return names, keras.Model(tapped.inputs[0], pooled, name=trunk.name)


def _name_of_last(trunk):
    blocks = blocks_of(trunk)
    return blocks[-1].name if blocks else trunk.name


def _depths(trunk, layers):
    """The numbers of the values that the asked layers give, by name, in the network's order."""
    calls = calls_of(trunk)
    if calls is None:
        raise ValueError(
            f"`layers` other than 'last' need a network made of connected layers; `{trunk.name}` "
            f"is a {type(trunk).__name__} with a `call` of its own: use layers='last'."
        )
    if layers == "all":
        return {block.name: block.end for block in blocks_of(trunk, MAX_DEPTHS)}
    known = {call.operation.name: call.outputs[0] for call in calls.calls}
    known |= {block.name: block.end for block in blocks_of(trunk)}
    if isinstance(layers, str) or not layers or not set(layers) <= set(known):
        raise ValueError(
            "`layers` must be 'last', 'all', or a list of names of layers; got "
            f"{layers!r}, and `{trunk.name}` has {', '.join(map(repr, known))}."
        )
    return dict(sorted(((name, known[name]) for name in layers), key=lambda one: one[1]))


def _pooled(output, channels_first):
    """One row for each sample: the mean over the places of a map or a sequence."""
    rank = len(output.shape)
    output = ops.cast(output, "float32")
    axes = tuple(range(2, rank) if channels_first else range(1, rank - 1))
    return ops.mean(output, axis=axes) if axes else output


def _is_channels_first(trunk, output):
    """By the first convolution of the network over as many axes, else by Keras's setting."""
    for layer in all_layers(trunk):
        if getattr(layer, "rank", None) == len(output.shape) - 2 and hasattr(layer, "data_format"):
            return layer.data_format == "channels_first"
    return len(output.shape) > 3 and keras.config.image_data_format() == "channels_first"


def _one_pass(store, images, network, names, max_bytes, say, show):
    """Classes, weights and rows by layer of all images; the network runs for what is not there."""
    run, labels = runner_of(network.predict_on_batch), []
    for x, *of_batch in show(iter(images)):
        check_images(network, x)
        if not labels:
            store.check_room(images.bound, max_bytes)
            say(_announced(store, network, images.bound))
        labels.append(of_batch)
        x = store.unknown(x)
        if len(x):
            rows = run(x)
            _check_finite(names, rows, store.num_rows)
            store.append(rows, x)
            store.check_room(None, max_bytes)
    if not labels:
        raise ValueError("the data must hold at least one sample that counts; got none.")
    y, weights = zip(*labels, strict=True)
    weights = None if weights[0] is None else np.concatenate(weights)
    return np.concatenate(y), weights, store.finish()


def _announced(store, network, bound):
    """How much the features take, and how many rows of them are there, in one line."""
    widths = [output.shape[-1] for output in network.outputs]
    layers = f"{len(widths)} layer{'s' * (len(widths) > 1)} of `{network.name}`"
    size = f"{4 * sum(widths):,} bytes an image"
    if bound:
        size = f"{bound:,} × {sum(widths):,} numbers, {4 * sum(widths) * bound:,} bytes"
    there = f"; {store.num_rows:,} rows are there" if store.num_rows else ""
    return f"features of {layers}: {size}, {store.where}{there}."


def say_nothing(_):
    """Says nothing."""


def check_images(network, x):
    """Raise ValueError for images of another size than the network takes, and for NaN in them."""
    wanted = network.inputs[0].shape[1:]
    pairs = zip(wanted, x.shape[1:], strict=False)
    if len(wanted) != x.ndim - 1 or any(a not in (None, b) for a, b in pairs):
        raise ValueError(
            f"images must be of the size that `{network.name}` takes, {wanted}; got "
            f"{x.shape[1:]}: resize them, as by keras.layers.Resizing or `image_size` of "
            "keras.utils.image_dataset_from_directory."
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():  # which a pooling layer may hide
        raise ValueError("images must be finite; got NaN or infinity.")


def runner_of(call):
    """`run(x, …)` → rows by output in NumPy, of what `call(x, …)` gives.

    The last batch is filled up, since `call` is compiled for each number of samples.
    """
    largest = 0

    def run(x, *others):
        nonlocal largest
        count, largest = len(x), max(largest, len(x))
        if count < largest:
            x = np.concatenate([x, np.repeat(x[-1:], largest - count, axis=0)])
        outputs = keras.tree.flatten(call(x, *others))
        return [ops.convert_to_numpy(one)[:count] for one in outputs]

    return run


def _check_finite(names, rows, done):
    for name, one in zip(names, rows, strict=True):
        wrong = ~np.isfinite(one).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"features must be finite; layer `{name}` gives NaN or infinity for sample "
                f"{done + int(np.argmax(wrong))}: look for NaN in the images and weights, or use "
                "the dtype policy float32."
            )
