"""What the layers of a model do with samples: how they fire, saturate and differ."""

import weakref
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._keras.graph import all_layers, walk_layers
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._structure.kernels import known_kernels
from keras_dcnn.diagnosis._model.layer_outputs import LayerOutputs
from keras_dcnn.diagnosis._model.symmetry import hidden_layers, reaches
from keras_dcnn.diagnosis._model.unit_activity import any_of, fires, rectifiers, rectifies

ops = keras.ops
_LEAST = 8  # samples in a batch, so that they can differ
_TINY, _HUGE = 1e-30, float(np.finfo("float32").max)
# The middle of a function's range, and how far from it 1 % of the range is left to the end.
_ENDS = {
    keras.activations.sigmoid: (0.5, 0.49),
    keras.activations.hard_sigmoid: (0.5, 0.49),
    keras.activations.tanh: (0.0, 0.98),
    keras.activations.hard_tanh: (0.0, 0.98),
    keras.activations.softsign: (0.0, 0.98),
}
_KEPT = weakref.WeakKeyDictionary()


class LayerActivity(NamedTuple):
    """A layer's answers to the samples, over all its calls; None where it was not asked.

    `deviation` is the standard deviation over the samples of a batch, of each place and channel, as
    a root mean square over these and the batches; `size` is the root mean square of the outputs;
    those "taken" are of what goes in.
    """

    layer: Any
    path: str | None
    fires: np.ndarray | None
    ended: float | None
    deviation: float
    size: float
    taken_deviation: float
    taken_size: float


def read_activity(model, x, batch_size):
    """LayerActivity by call, then of the outputs of the model; second calls compile nothing."""
    outputs = _outputs(model, x)
    size, count = max(batch_size, _LEAST), len(keras.tree.flatten(x)[0])
    whole = count - count % size or count  # a rest would be compiled for
    x = keras.tree.map_structure(lambda leaf: leaf[:whole], x)
    batches = list(outputs.read(x, size))
    paths = {id(layer): path for path, layer in walk_layers(model)}
    return [
        _activity(layer, paths.get(id(layer)), [call for calls in of_layer for call in calls])
        for layer, of_layer in zip([*outputs.layers, None], zip(*batches, strict=True), strict=True)
    ]


def _outputs(model, x):
    """The LayerOutputs, of the last call where neither the model nor the kind of data changed."""
    key = (
        [id(variable) for variable in state_variables(model)],
        [(id(layer), id(getattr(layer, "activation", None))) for layer in all_layers(model)],
        [(leaf.shape[1:], leaf.dtype) for leaf in keras.tree.flatten(x)],
    )
    kept = _KEPT.get(model)
    if kept is None or kept[0] != key:
        sample = keras.tree.map_structure(lambda leaf: ops.convert_to_tensor(leaf[:1]), x)
        kept = _KEPT[model] = (key, LayerOutputs(model, _chosen, sample, _measurer(model)))
    return kept[1]


def _chosen(model):
    """Rectifiers, hidden layers that can saturate, and those with kernels, each once."""
    recurrent = [one for one in all_layers(model) if isinstance(one, keras.layers.RNN)]
    cells = {id(cell) for layer in recurrent for cell in all_layers(layer)[1:]}
    kernels = [one for one in all_layers(model) if known_kernels(one) and id(one) not in cells]
    found = [*rectifiers(model), *saturating(model), *kernels]
    return list({id(layer): layer for layer in found}.values())


def saturating(model):
    """Hidden layers of sequential and functional models that end in a sigmoid or the like.

    Not those whose outputs are factors of others, as in squeeze-and-excitation: gates may be shut.
    """
    return [
        layer
        for _, layer, after in hidden_layers(model)
        if getattr(layer, "activation", None) in _ENDS
        if not reaches(after, keras.layers.Multiply) and not isinstance(layer, keras.layers.RNN)
    ]


def _measurer(model):
    ended = {id(layer) for layer in saturating(model)}

    def measure(layer, inputs, outputs):
        found = {"outputs": _spread(outputs)}
        found |= {} if layer is None else {"inputs": _spread(inputs)}
        found |= {"fires": fires(layer, outputs, 0.0)} if rectifies(layer) else {}
        return found | ({"ended": _ended(layer, outputs)} if id(layer) in ended else {})

    return measure


def _ended(layer, outputs):
    """The share of the outputs in the last percent of the range, on either side."""
    middle, reach = _ENDS[layer.activation]
    beyond = ops.greater(ops.abs(ops.cast(outputs, "float32") - middle), reach)
    return ops.mean(ops.cast(beyond, "float32"))


def _spread(x):
    """The deviation over the samples and the size of a tensor, which may be huge."""
    x = ops.cast(x, "float32")
    x = x if len(x.shape) else ops.reshape(x, (1,))
    scale = ops.maximum(ops.max(ops.abs(x)), _TINY)
    x = x / scale
    apart = x - ops.mean(x, axis=0, keepdims=True)
    return [scale * ops.sqrt(ops.mean(ops.square(one))) for one in (apart, x)]


def _activity(layer, path, calls):
    """One LayerActivity for what a layer's calls, of all batches, say."""
    ended = [call["ended"] for call in calls if "ended" in call]
    deviation, size = _joined([call["outputs"] for call in calls])
    taken = _joined([call["inputs"] for call in calls if "inputs" in call] or [(0.0, 0.0)])
    share = float(np.mean(ended)) if ended else None
    return LayerActivity(layer, path, any_of([calls]), share, deviation, size, *taken)


def _joined(pairs):
    """Root mean squares of each; what float32 can't hold is its largest number."""
    roots = np.sqrt(np.mean(np.square(np.asarray(pairs, "float64")), axis=0))
    return tuple(map(float, np.nan_to_num(roots, nan=_HUGE, posinf=_HUGE)))
