"""Which units of a model's rectifiers fire: the layers that count, and a look at them."""

import contextlib
import functools
import itertools

import keras
import numpy as np

from keras_dcnn._keras.compiling import compiled_run, is_traced
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._state.layer_calls import intercepted, shadowed

BATCH = 32  # samples that are in memory at a time, as in `predict`
_RECTIFIERS = (keras.activations.relu, keras.activations.relu6, keras.ops.relu, keras.ops.relu6)


def rectifiers(model):
    """The layers of a model, however deep, whose outputs are those of a ReLU.

    Not the cells of recurrent layers, which run inside loops.
    """
    layers = all_layers(model)
    recurrent = [layer for layer in layers if isinstance(layer, keras.layers.RNN)]
    cells = {id(cell) for layer in recurrent for cell in all_layers(layer)[1:]}
    return [layer for layer in layers if id(layer) not in cells and _rectifies(layer)]


def _rectifies(layer):
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    return any(getattr(layer, "activation", None) is one for one in _RECTIFIERS)


def unit_axis(layer, rank):
    """The axis of the units in an output of so many axes."""
    own = getattr(layer, "data_format", None)
    fused = own is None and not isinstance(layer, (keras.layers.ReLU, keras.layers.Activation))
    data_format = own or keras.config.image_data_format()
    if fused or rank < 3 or data_format == "channels_last":
        return rank - 1
    places = getattr(getattr(layer, "cell", layer), "rank", rank - 2)
    return rank - 1 - places


def fires(layer, outputs, threshold):
    """For each unit of a layer, whether an output of it exceeds `threshold` anywhere."""
    output = keras.tree.flatten(outputs)[0]  # of recurrent layers, states follow
    rank = len(output.shape)
    axes = [axis for axis in range(rank) if axis != unit_axis(layer, rank)]
    return keras.ops.greater(keras.ops.max(output, axis=axes), threshold)


class UnitActivity:
    """Looks at the rectifiers of a model while it answers `inputs` as at inference."""

    def __init__(self, model, inputs, threshold):
        self._model, self._inputs, self._threshold = model, inputs, threshold
        self.layers = self._called()
        self._run = compiled_run(model, self._all_fire)  # once, so that it is traced once

    def look(self):
        """A dict of a layer's name and a boolean array: which of its units fire."""
        looks = [list(map(keras.ops.convert_to_numpy, self._run(x))) for x in self._batches()]
        firing = [np.any(of_layer, axis=0) for of_layer in zip(*looks, strict=True)]
        return dict(zip(_names(self._model, self.layers), firing, strict=True))

    def _batches(self):
        for at in range(0, len(keras.tree.flatten(self._inputs)[0]), BATCH):
            yield keras.tree.map_structure(
                lambda x, at=at: keras.ops.convert_to_tensor(x[at : at + BATCH]), self._inputs
            )

    def _called(self):
        """The layers that are called, in order, but for those inside loops and the like."""
        sample = keras.tree.map_structure(lambda x: x[:1], next(self._batches()))
        self._model(sample, training=False)  # builds what TensorFlow builds in its first step
        called, hidden = {}, set()

        def visit(layer, call):
            called[id(layer)] = layer
            if is_traced(call.args, call.keywords):
                hidden.add(id(layer))

        with intercepted(rectifiers(self._model), visit):
            self._model(sample, training=False)
        return [layer for key, layer in called.items() if key not in hidden]

    def _all_fire(self, inputs):
        firing = {id(layer): [] for layer in self.layers}

        def note(layer, call, *args, **kwargs):
            outputs = call(*args, **kwargs)
            firing[id(layer)].append(fires(layer, outputs, self._threshold))
            return outputs

        with contextlib.ExitStack() as stack:
            for layer in self.layers:
                call = functools.partial(note, layer, layer.call)
                stack.enter_context(shadowed(layer, call=call))
            self._model(inputs, training=False)
        return [functools.reduce(keras.ops.logical_or, calls) for calls in firing.values()]


def _names(model, layers):
    """Paths within the model, or names where there is no path; numbered where not unique."""
    names = []
    for layer in layers:
        base = (layer.path or layer.name).removeprefix(f"{model.name}/")
        numbered = (f"{base} {number}" for number in itertools.count(2))
        names.append(next(name for name in itertools.chain([base], numbered) if name not in names))
    return names
