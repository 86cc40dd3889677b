"""Which units of a model's rectifiers fire: the layers that count, and a look at them."""

import itertools

import keras
import numpy as np

from keras_dcnn._keras.graph import all_layers
from keras_dcnn.diagnosis._model.layer_outputs import LayerOutputs

BATCH = 32  # samples that are in memory at a time, as in `predict`
_RECTIFIERS = (keras.activations.relu, keras.activations.relu6, keras.ops.relu, keras.ops.relu6)


def rectifiers(model):
    """The layers of a model, however deep, whose outputs are those of a ReLU.

    Not the cells of recurrent layers, which run inside loops.
    """
    layers = all_layers(model)
    recurrent = [layer for layer in layers if isinstance(layer, keras.layers.RNN)]
    cells = {id(cell) for layer in recurrent for cell in all_layers(layer)[1:]}
    return [layer for layer in layers if id(layer) not in cells and rectifies(layer)]


def rectifies(layer):
    """Whether a layer's outputs are those of a ReLU."""
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
    rank = len(outputs.shape)
    axes = [axis for axis in range(rank) if axis != unit_axis(layer, rank)]
    return keras.ops.greater(keras.ops.max(outputs, axis=axes), threshold)


class UnitActivity:
    """Looks at the rectifiers of a model while it answers `inputs` as at inference."""

    def __init__(self, model, inputs, threshold):
        self._model, self._inputs = model, inputs
        sample = keras.tree.map_structure(lambda x: keras.ops.convert_to_tensor(x[:1]), inputs)
        self._outputs = LayerOutputs(model, rectifiers, sample, _firing(threshold))
        self.layers = self._outputs.layers

    def look(self):
        """A dict of a layer's name and a boolean array: which of its units fire."""
        batches = list(self._outputs.read(self._inputs, BATCH))
        firing = [any_of(calls) for calls in zip(*batches, strict=True)]
        return dict(zip(_names(self._model, self.layers), firing, strict=False))


def _firing(threshold):
    def measure(layer, inputs, outputs):
        return {} if layer is None else {"fires": fires(layer, outputs, threshold)}

    return measure


def any_of(batches):
    """Which units of a layer fire in any call of any batch; of the model's outputs None."""
    firing = [call["fires"] for calls in batches for call in calls if "fires" in call]
    return np.any(firing, axis=0) if firing else None


def _names(model, layers):
    """Paths within the model, or names where there is no path; numbered where not unique."""
    names = []
    for layer in layers:
        base = (layer.path or layer.name).removeprefix(f"{model.name}/")
        numbered = (f"{base} {number}" for number in itertools.count(2))
        names.append(next(name for name in itertools.chain([base], numbered) if name not in names))
    return names
