"""The graph of a model: its layers, nodes and outputs."""

import keras


def functional():
    """The class of what `keras.Model(inputs, outputs)` returns, which Keras doesn't export."""
    from keras.src.models.functional import Functional

    return Functional


def output_layer(model):
    """The layer that makes the only output of a model, or None where that isn't to be seen.

    By the history of the output, for which a symbolic tensor has no public name.
    """
    outputs = getattr(model, "outputs", None)  # subclassed models have none
    if not outputs or len(outputs) != 1:
        return None
    operation = outputs[0]._keras_history.operation
    if isinstance(operation, keras.Model):
        return output_layer(operation)
    return operation if isinstance(operation, keras.layers.Layer) else None


def walk_layers(model):
    """(path, layer) for every layer inside, however deep, each once, holders before the held.

    By the private list that every layer has; `model.layers` is public, and neither other layers nor
    the lists and dicts of a user's have it.
    """
    seen = set()

    def walk(holder, prefix):
        for layer in holder._layers:
            if id(layer) not in seen:
                seen.add(id(layer))
                yield prefix + layer.name, layer
                yield from walk(layer, f"{prefix}{layer.name}/")

    return walk(model, "")


def walk_paths(model):
    """(path, layer) for every way to a layer, of which one that is shared has several.

    Other layers may have the same path: the layer itself is the identity. By the list of
    `walk_layers`.
    """

    def walk(holders, prefix):
        for layer in holders[-1]._layers:
            if not any(layer is one for one in holders):
                yield prefix + layer.name, layer
                yield from walk([*holders, layer], f"{prefix}{layer.name}/")

    return walk([model], "")


def all_layers(model):
    """The model and the layers in it, at any depth, each once."""
    return [model, *(layer for _, layer in walk_layers(model))]


def nodes_of(model):
    """The calls of layers in a functional or Sequential model as they are run; [] of others.

    A node has the `operation` and its `input_tensors`. Of what a graph is made only
    `model.operations` is public: not the calls, nor a Sequential's graph.
    """
    by_depth = getattr(getattr(model, "_functional", model), "_nodes_by_depth", {})
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def users_of(layer):
    """The operations that were called on an output of `layer`, in any graph.

    Its nodes are private; `node.operation` and `model.operations` are not.
    """
    return [node.operation for node in layer._outbound_nodes]
