"""The part of a network that goes on to another task: all but its layer of classes."""

from typing import NamedTuple

import keras

from keras_dcnn._checks import check_built_model
from keras_dcnn._keras.calls import calls_of
from keras_dcnn._structure.blocks import kernels_in, model_to
from keras_dcnn._structure.copies import copy_model
from keras_dcnn._structure.layer_of_classes import layer_of_classes

_layers = keras.layers


class Trunk(NamedTuple):
    """A model from images to features, and the name of the layer of classes that was behind it."""

    model: keras.Model
    head: str | None


def trunk_of(network):
    """The model from a network's inputs to its features, a map or a row; layers are shared."""
    return cut_trunk(network).model


def copied_trunk(network):
    """The same of a copy, so that the network stays as it is; all of it can be trained."""
    network = cut_trunk(network).model  # refused before anything is copied
    copy = copy_model(network, "fine_tune")
    copy.trainable = True
    return copy


def cut_trunk(network):
    """The Trunk of a network; TypeError or ValueError, in words, for what can't be cut."""
    check_built_model(network, "`network`")
    backbone = getattr(network, "backbone", None)
    network = backbone if isinstance(backbone, keras.Model) else network
    calls = calls_of(network)
    if calls is None:
        raise ValueError(
            "`network` must be made of connected layers, Sequential or keras.Model(inputs, "
            f"outputs); `{network.name}` is a {type(network).__name__} with a `call` of its own: "
            "wrap it, as in keras.Model(x := keras.Input((224, 224, 3)), network(x))."
        )
    _check_ends(network)
    head = layer_of_classes(calls)
    if head is None:
        return Trunk(network, None)
    before = [call for call in calls.calls if call.outputs[0] in head.inputs]
    end = head.inputs[0]
    while before and isinstance(before[0].operation, (_layers.Dropout, _layers.Flatten)):
        (end,) = before[0].inputs
        before = [call for call in calls.calls if end in call.outputs]
    model = model_to(network, [end])
    if not kernels_in(model.layers):
        raise ValueError(
            f"`network` must have kernels before its layer of classes; `{network.name}` has none "
            f"before `{head.operation.name}`: give a network that was trained on images."
        )
    return Trunk(model, head.operation.name)


def _check_ends(network):
    shapes = [tuple(one.shape) for one in network.inputs], [tuple(o.shape) for o in network.outputs]
    if any(len(one) != 1 for one in shapes) or len(shapes[0][0]) != 4:
        raise ValueError(
            "`network` must take images, (batch, height, width, channels), and give one output; "
            f"`{network.name}` takes {shapes[0]} and gives {shapes[1]}: give the part of it that "
            "does, as keras.Model(inputs, output)."
        )
