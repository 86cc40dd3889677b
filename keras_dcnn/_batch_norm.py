"""BatchNorm's statistics, measured anew for weights that were not trained as they are."""

import contextlib
import functools

import keras
import numpy as np

from keras_dcnn._keras import all_layers, compiled_run
from keras_dcnn._model_run import shadowed
from keras_dcnn._snapshot import put_back, snapshot


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
    before = snapshot(others)
    try:
        with contextlib.ExitStack() as stack:
            for layer in layers:  # what a batch leaves in the layer is then the batch's own
                stack.enter_context(shadowed(layer, momentum=0.0))
            means, squares = _weighted_moments(model, batches, statistics)
    finally:
        put_back(others, before)
    put_back(statistics[::2], means)
    spreads = [np.maximum(s - m**2, 0) for m, s in zip(means, squares, strict=True)]
    put_back(statistics[1::2], spreads)


def _weighted_moments(model, batches, statistics):
    """Mean and mean square of each layer's inputs over all batches, in float64."""
    run = compiled_run(model, functools.partial(_without_output, model))
    sums, count = None, 0
    for x in batches:
        run(keras.tree.map_structure(keras.ops.convert_to_tensor, x))
        size = len(keras.tree.flatten(x)[0])
        values = [value.astype("float64") for value in snapshot(statistics)]
        means, variances = values[::2], values[1::2]
        squares = [v + m**2 for m, v in zip(means, variances, strict=True)]
        now = [size * value for value in [*means, *squares]]
        sums = now if sums is None else [a + b for a, b in zip(sums, now, strict=True)]
        count += size
    if sums is None:
        raise ValueError("the data must hold at least one batch; got none.")
    sums = [value / count for value in sums]
    return sums[: len(sums) // 2], sums[len(sums) // 2 :]


def _without_output(model, x):
    model(x, training=True)
    return keras.ops.zeros(())
