"""BatchNorm's statistics, measured anew for weights that were not trained as they are."""

import collections
import contextlib
import functools
import math

import keras
import numpy as np

from keras_dcnn._checks import warn_no_effect
from keras_dcnn._keras.compiling import compiled_run
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._reading.batches import input_batches
from keras_dcnn._state.layer_calls import intercepted, shadowed
from keras_dcnn._state.snapshot import snapshot, variables_kept

_AVERAGE = "use 'average' as the `batch_norm` of averages"


def batch_norm_layers(model):
    """The BatchNormalization layers of a model, however deep, that have statistics."""
    return [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built
    ]


def batch_norm_statistics(model):
    """All that these layers learn in other ways than by gradients; with `renorm` five, else two.

    Not what is frozen beside that, gamma and beta.
    """
    return [
        v
        for layer in batch_norm_layers(model)
        for v in layer.variables
        if v is not layer.gamma and v is not layer.beta and not v.trainable
        if keras.backend.is_float_dtype(v.dtype)
    ]


def recompute_statistics(model, data):
    """Set the statistics to those of all samples of `data`, each batch normalised by its own.

    The mean is that of all samples; the variance that of all samples around it, which is the mean
    of the batches' variances plus the variance of their means. What is masked counts for nothing.
    All other state stays as it was, and so do the statistics of layers that training leaves alone:
    frozen, or called in inference mode.
    """
    layers = [layer for layer in batch_norm_layers(model) if layer.trainable]
    if not layers:
        return
    if any(layer.renorm for layer in layers):
        raise ValueError(f"BatchNorm with `renorm=True` can't be recomputed: {_AVERAGE}.")
    calls = collections.Counter()
    with variables_kept(model.non_trainable_variables), contextlib.ExitStack() as stack:
        for layer in layers:  # what a batch leaves in the layer is then the batch's own
            stack.enter_context(shadowed(layer, momentum=0.0))
        means, squares = _weighted_moments(model, input_batches(data, model=model), layers, calls)
    if not any(calls.values()):
        only = "a model that calls none of its BatchNorm, or calls BatchNorm in inference mode only"
        warn_no_effect("recomputing", only)
    for layer, mean, square in zip(layers, means, squares, strict=True):
        if calls[layer]:
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(np.maximum(square - mean**2, 0))


def _weighted_moments(model, batches, layers, calls):
    """Mean and mean square of each layer's inputs over all batches, in float64."""
    run = compiled_run(model, functools.partial(_without_output, model, layers, calls))
    statistics = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
    sums = None
    for x in batches:
        counts = run(keras.tree.map_structure(keras.ops.convert_to_tensor, x))
        _check_once(calls)
        counts = keras.ops.convert_to_numpy(counts).astype("float64")
        values = [value.astype("float64") for value in snapshot(statistics)]
        now = [
            (n, n * m, n * (v + m**2)) if n else (0.0, 0.0, 0.0)  # all of it may be masked
            for n, m, v in zip(counts, values[::2], values[1::2], strict=True)
        ]
        pairs = zip(sums or now, now, strict=True)
        sums = [tuple(a + b for a, b in zip(*pair, strict=True)) for pair in pairs] if sums else now
    if sums is None:
        raise ValueError("the data must hold at least one batch, of samples that count; got none.")
    means = [mean / max(count, 1) for count, mean, _ in sums]
    return means, [square / max(count, 1) for count, _, square in sums]


def _without_output(model, layers, calls, x):
    """Run the model, and count the calls in which each layer takes the statistics of its inputs.

    Returns for each layer of how many places, masked ones left out, those of this call are.
    """
    places = {}

    def count(layer, call):
        calls[layer] += bool(call.keywords.get("training"))
        mask, sizes = call.keywords.get("mask"), keras.ops.shape(call.args[0])
        if mask is None:
            places[layer] = math.prod(keras.ops.cast(size, "float32") for size in sizes)
        else:
            places[layer] = keras.ops.sum(keras.ops.cast(mask, "float32"))

    calls.clear()
    with intercepted(layers, count):
        model(x, training=True)
    return keras.ops.stack([places.get(layer, keras.ops.zeros(())) for layer in layers])


def _check_once(calls):
    """Raise ValueError for a layer that would be left with the statistics of its last call only."""
    for layer, number in calls.items():
        if number > 1:
            raise ValueError(
                "BatchNorm's statistics can be recomputed where the model calls each layer once; "
                f"`{layer.path}` is called {number} times: {_AVERAGE}, or a layer for each call."
            )
