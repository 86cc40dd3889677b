"""Features of networks: where they are cut, and how their outputs become one row per sample."""

import keras
import numpy as np

from keras_dcnn._keras.graph import nodes_of
from keras_dcnn.ensemble.combining._combination import has_nan
from keras_dcnn.ensemble.combining._member_outputs import refuse_nan
from keras_dcnn.ensemble.combining._members import MembersInMemory
from keras_dcnn.ensemble.combining._models import shapes_of

ops = keras.ops
to_numpy = ops.convert_to_numpy


def cut(network, layer):
    """The network up to a layer, as a model that shares its layers; the network itself for None."""
    if layer is None:
        return network
    if not getattr(network, "inputs", None):
        raise ValueError(
            f"`layer` needs networks made of connected layers; `{network.name}` is a "
            f"{type(network).__name__} with a `call` of its own: give a model that ends where the "
            "features are, and leave `layer` out."
        )
    nodes = nodes_of(network)
    if layer == "penultimate":
        what = "a Dense layer, before which to cut"
        found = [n.input_tensors for n in nodes if isinstance(n.operation, keras.layers.Dense)]
    else:
        what = f"a layer {layer!r}"
        found = [n.outputs for n in nodes if n.operation.name == layer]
    if not found:
        raise ValueError(
            f"each network must have {what}, not inside another model; `{network.name}` has "
            f"{', '.join(n.operation.name for n in nodes)}: name one of these, or give a model "
            "that ends where the features are."
        )
    features = found[-1][0] if len(found[-1]) == 1 else found[-1]
    return keras.Model(network.inputs, features, name=network.name)


def concatenate_features(features):
    """The features of several networks, a list of tensors, as one row per sample."""
    return ops.concatenate([_pooled(one) for one in features], axis=-1)


def _pooled(features):
    """One row per sample: the mean over the places of a map or a sequence, in float32 or 64."""
    rank = len(features.shape)
    first = keras.config.image_data_format() == "channels_first"
    axes = tuple(range(2, rank) if first else range(1, rank - 1))
    double = keras.backend.standardize_dtype(features.dtype) == "float64"
    features = ops.cast(features, "float64" if double else "float32")
    return ops.mean(features, axis=axes) if axes else features


def num_features(network):
    """How many features a network gives; ValueError for what is no row, map or sequence of them."""
    for output in getattr(network, "outputs", None) or ():  # subclassed ones have none
        if "complex" in output.dtype:
            raise TypeError(
                f"features must be real numbers; `{network.name}` gives {output.dtype}: end it in "
                "keras.ops.abs, or in real and imaginary part."
            )
    shape, size = shapes_of(network)[1], None
    if isinstance(shape, tuple) and len(shape) > 1:
        first = keras.config.image_data_format() == "channels_first" and len(shape) > 2
        size = shape[1 if first else -1]
    if not isinstance(size, int):
        raise ValueError(
            "each network must have one output, of a known number of features for a sample; "
            f"`{network.name}` gives the shape {shape}: name a layer that does by `layer`, or give "
            "models that end there."
        )
    return size


class Features:
    """What several networks, or their parts up to a layer, say of a sample, as one row."""

    def __init__(self, networks, layer=None):
        self.networks = [cut(network, layer) for network in networks]
        self._pool = MembersInMemory(self.networks)
        self.size = sum(num_features(one) for one in self.networks)

    def __call__(self, inputs, training=False):
        return concatenate_features([one(inputs, training=training) for one in self.networks])

    def run(self, batches):
        """Each batch, (x, y, sample_weight), its rows in NumPy, and the networks' own losses."""
        for batch, results in self._pool.run(range(len(self.networks)), batches):
            outputs = [outputs for outputs, _ in results]
            refuse_nan(self._pool, to_numpy(has_nan(outputs)), range(len(outputs)))
            losses = [loss for _, losses in results for loss in losses]
            yield batch, to_numpy(concatenate_features(outputs)), losses

    def read(self, batches):
        """Rows, labels and sample weights of all batches, in memory; None for what is not there."""
        parts = [(rows, *batch[1:]) for batch, rows, _ in self.run(batches)]
        return tuple(
            None if column[0] is None else np.concatenate([*map(to_numpy, column)])
            for column in zip(*parts, strict=True)
        )
