"""The layer of a network that says how much each class is meant."""

import keras

_layers = keras.layers
_PASSING = (
    *(_layers.Activation, _layers.Softmax, _layers.Dropout, _layers.Flatten, _layers.Reshape),
    *(_layers.GlobalAveragePooling2D, _layers.GlobalMaxPooling2D),
)
_ACTIVATIONS = ("linear", "softmax", "sigmoid", "log_softmax")


def layer_of_classes(calls):
    """The call of that layer among the Calls of a model; None if there is none.

    It is a Dense layer or a convolution behind which there are only pooling, reshaping, dropout,
    and a softmax, a sigmoid or no activation.
    """
    value = calls.outputs[0]
    made = {number: call for call in calls.calls for number in call.outputs}
    while value in made:
        call = made[value]
        layer = call.operation
        if not keeps_classes(layer):
            return None
        if not isinstance(layer, _PASSING):
            return call
        (value,) = call.inputs
    return None


def keeps_classes(layer):
    """Whether a layer may be that of classes, or stand behind it."""
    activation = getattr(layer, "activation", None)
    if activation is not None and getattr(activation, "__name__", "") not in _ACTIVATIONS:
        return False
    return isinstance(layer, (*_PASSING, _layers.Dense, _layers.Conv2D))
