"""Features of networks: where they are cut, and how their outputs become one row per sample."""

import keras
import numpy as np

from keras_dcnn._checks import check_built_model
from keras_dcnn._keras.graph import graphs_in
from keras_dcnn.ensemble.combining._members import MembersInMemory
from keras_dcnn.ensemble.combining._models import shapes_of

ops = keras.ops
to_numpy = ops.convert_to_numpy
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


def concatenate_features(features):
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


class Features:
    """What several networks, or their parts up to a layer, say of a sample, as one row."""

    def __init__(self, networks, layer=None):
        self.networks = [cut(network, layer) for network in networks]
        self._sizes = [num_features(one) for one in self.networks]
        self._pool = MembersInMemory(self.networks)
        self.size = sum(self._sizes)

    def __call__(self, inputs, training=False):
        return concatenate_features([one(inputs, training=training) for one in self.networks])

    def run(self, batches):
        """Each batch, (x, y, sample_weight), its rows in NumPy, and the networks' own losses."""
        for batch, results in self._pool.run(range(len(self.networks)), batches):
            rows = to_numpy(concatenate_features([outputs for outputs, _ in results]))
            self._refuse_nan(rows)
            yield batch, rows, [loss for _, losses in results for loss in losses]

    def read(self, batches):
        """Rows, labels and sample weights of all batches, in memory; None for what is not there."""
        parts = [(rows, *batch[1:]) for batch, rows, _ in self.run(batches)]
        return tuple(
            None if column[0] is None else np.concatenate([*map(to_numpy, column)])
            for column in zip(*parts, strict=True)
        )

    def _refuse_nan(self, rows):
        nan = np.argwhere(np.isnan(rows))
        if len(nan):
            sample, column = nan[0]
            network = np.searchsorted(np.cumsum(self._sizes), column, side="right")
            raise ValueError(
                f"networks must give numbers; {self._pool.name(network)} gives NaN for sample "
                f"{sample} of a batch: leave it out, or look for NaN in the data."
            )
