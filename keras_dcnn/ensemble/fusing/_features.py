"""Features of networks: where they are cut, and how their outputs become one row per sample."""

import keras
import numpy as np

from keras_dcnn._checks import check_built_model
from keras_dcnn._keras.graph import graphs_in
from keras_dcnn.ensemble.combining._models import shapes_of

ops = keras.ops
numpy = ops.convert_to_numpy
PENULTIMATE = "penultimate"


def cut(network, layer):
    """The network up to a layer, as a model that shares its layers; the network itself for None."""
    if layer is None:
        return network
    check_built_model(network)
    if not getattr(network, "inputs", None):
        raise ValueError(
            f"`layer` needs networks made of connected layers; `{network.name}` is a "
            f"{type(network).__name__} with a `call` of its own: give a model that ends where the "
            "features are, and leave `layer` out."
        )
    nodes, _ = graphs_in(network)[0]
    layers = [node.operation for node in nodes]
    if layer == PENULTIMATE:
        dense = [i for i, one in enumerate(layers) if isinstance(one, keras.layers.Dense)]
        if not dense:
            raise ValueError(_no_such(network, "a Dense layer, before which to cut", layers))
        features = nodes[dense[-1]].input_tensors[0]
    else:
        named = [i for i, one in enumerate(layers) if one.name == layer]
        if not named:
            raise ValueError(_no_such(network, f"a layer {layer!r}", layers))
        features = nodes[named[-1]].outputs
        features = features[0] if len(features) == 1 else features
    return keras.Model(network.inputs, features, name=network.name)


def _no_such(network, what, layers):
    names = ", ".join(layer.name for layer in layers)
    return (
        f"each network must have {what}, not inside another model; `{network.name}` has {names}: "
        "name one of these, or give a model that ends where the features are."
    )


def pooled(features):
    """One row per sample: the mean over the places of a map or a sequence, in float32."""
    rank = len(features.shape)
    first = keras.config.image_data_format() == "channels_first"
    axes = tuple(range(2, rank) if first else range(1, rank - 1))
    features = ops.cast(features, "float32")
    return ops.mean(features, axis=axes) if axes else features


def joined(features):
    """The features of several networks, a list of tensors, as one row per sample."""
    return ops.concatenate([pooled(one) for one in features], axis=-1)


def num_features(network):
    """How many features a network gives; ValueError for what is no row, map or sequence of them."""
    shape = shapes_of(network)[1]
    if not isinstance(shape, tuple) or not all(isinstance(n, (int, type(None))) for n in shape):
        raise ValueError(
            f"each network must have one output; `{network.name}` has several, {shape}: name one "
            "by `layer`, or give models of one output."
        )
    first = keras.config.image_data_format() == "channels_first" and len(shape) > 2
    size = shape[1 if first else -1] if len(shape) > 1 else None
    if size is None:
        raise ValueError(
            "each network must give a known number of features for a sample; "
            f"`{network.name}` gives the shape {shape}."
        )
    return size


def read_features(pool, sizes, batches, join=joined):
    """Features, labels and sample weights of all batches, in memory; None for what is not there.

    `pool` holds the networks, and `join` makes one row per sample of their outputs.
    """
    parts = []
    for (_, *others), results in pool.run(range(len(sizes)), batches):
        parts.append((rows_of(pool, sizes, results, join), *others))
    return tuple(
        None if column[0] is None else np.concatenate([*map(numpy, column)])
        for column in zip(*parts, strict=True)
    )


def rows_of(pool, sizes, results, join=joined):
    """The joined features of one batch, in NumPy; ValueError for NaN, which says whose it is."""
    rows = numpy(join([outputs for outputs, _ in results]))
    nan = np.isnan(rows)
    if nan.any():
        sample, column = np.argwhere(nan)[0]
        network = np.searchsorted(np.cumsum(sizes), column, side="right")
        raise ValueError(
            f"networks must give numbers; {pool.name(network)} gives NaN for sample {sample} of a "
            "batch: leave it out, or look for NaN in the data."
        )
    return rows
