"""BatchNorm's statistics, measured anew for weights that were not trained as they are."""

import contextlib

import keras
import numpy as np

from keras_dcnn._keras import all_layers, compiled_run
from keras_dcnn._model_run import shadowed


def batch_norm_layers(model):
    """The BatchNormalization layers of a model, however deep, that have statistics."""
    return [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built
    ]


def statistics_of(layers):
    """Their moving means and variances."""
    return [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]


def recompute_statistics(model, batches):
    """Set the statistics to those of all samples, each batch normalised by its own.

    The mean is that of all samples; the variance that of all samples around it, which is the mean
    of the batches' variances plus the variance of their means. All other state stays as it was.
    """
    layers = batch_norm_layers(model)
    if any(layer.renorm for layer in layers):
        raise ValueError("BatchNorm with `renorm=True` can't be recomputed: use 'average'.")
    statistics = statistics_of(layers)
    others = [v for v in model.non_trainable_variables if not any(v is s for s in statistics)]
    before = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in others]
    sums, count = None, 0
    with contextlib.ExitStack() as stack:
        for layer in layers:  # what a batch leaves in the layer is then the batch's own
            stack.enter_context(shadowed(layer, momentum=0.0))
        run = compiled_run(model, lambda x: _without_output(model, x))
        for x in batches:
            run(keras.tree.map_structure(keras.ops.convert_to_tensor, x))
            size = len(keras.tree.flatten(x)[0])
            moments = _moments(statistics)
            moments = [size * one for one in moments]
            sums = moments if sums is None else [a + b for a, b in zip(sums, moments, strict=True)]
            count += size
    for variable, value in before:
        variable.assign(value)
    if not count:
        raise ValueError("the data must hold at least one batch; got none.")
    for mean, square, (place, spread) in zip(
        sums[::2], sums[1::2], zip(statistics[::2], statistics[1::2], strict=True), strict=True
    ):
        place.assign(mean / count)
        spread.assign(np.maximum(square / count - (mean / count) ** 2, 0))


def _without_output(model, x):
    model(x, training=True)
    return keras.ops.zeros(())


def _moments(statistics):
    """Means and mean squares, in float64."""
    values = [np.asarray(keras.ops.convert_to_numpy(v), "float64") for v in statistics]
    return [value if i % 2 == 0 else value + values[i - 1] ** 2 for i, value in enumerate(values)]
