"""The graph of a model: its layers, nodes and outputs."""

import keras
from keras.src.models.functional import Functional  # noqa: F401, which keras.Model returns


def output_layer(model):
    """The layer that makes the only output of a model, or None where that isn't to be seen."""
    outputs = getattr(model, "outputs", None)  # subclassed models have none
    if not outputs or len(outputs) != 1:
        return None
    operation = outputs[0]._keras_history.operation
    if isinstance(operation, keras.Model):
        return output_layer(operation)
    return operation if isinstance(operation, keras.layers.Layer) else None


def all_layers(model):
    """The model and the layers in it, at any depth, each once."""
    return model._flatten_layers()


def graphs_in(model):
    """For each functional or Sequential model in a model: its nodes as they are run; its outputs.

    A node has the operation's `arguments`, among them the tensors of `input_tensors`.
    """
    functions = [getattr(layer, "_functional", layer) for layer in all_layers(model)]
    graphs = []
    for function in functions:
        by_depth = getattr(function, "_nodes_by_depth", {})
        nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
        graphs += [(nodes, function.outputs)] if nodes else []
    return graphs


def operations_in(model):
    """The layers in a model, at any depth, and the operations in its graphs that are no layers."""
    nodes = [node for nodes, _ in graphs_in(model) for node in nodes]
    return [*all_layers(model), *(node.operation for node in nodes)]


def replace_layer(model, name, layer):
    """Set an attribute of a built model to another layer, which Keras would not allow."""
    model._tracker.unlock()
    try:
        delattr(model, name)
        setattr(model, name, layer)
    finally:
        if model.built:
            model._tracker.lock()


def layers_inside(layer):
    """The layers that a layer or model holds directly, also those of a Sequential's input."""
    return layer._layers


def users_of(layer):
    """The operations that were called on an output of `layer`, in any graph."""
    return [node.operation for node in layer._outbound_nodes]
