"""recalibrate_batch_norm: BatchNorm's statistics, measured anew."""

from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_built_model, warn_no_effect
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import snapshot, variables_kept
from keras_dcnn._structure.batch_norm import (
    batch_norm_layers,
    batch_norm_statistics,
    recompute_statistics,
)


def measure_statistics(model, data):
    """Set the statistics to those of `data`; when that fails, all is as it was."""
    statistics = batch_norm_statistics(model)
    with variables_kept(statistics, only_on_error=True), random_state_kept():
        recompute_statistics(model, data)
        for variable, value in zip(statistics, snapshot(statistics), strict=True):
            if not np.isfinite(value.astype("float64")).all():
                raise ValueError(
                    f"the data must be finite, and so what the layers make of them; `"
                    f"{variable.path}` would not be: look for NaN and infinity."
                )


def recalibrate_batch_norm(model: keras.Model, data: Any) -> None:
    """Set BatchNorm's moving statistics to those of the data, with the weights as they are.

    For weights that were not trained as they are: averaged, pruned, quantised, or taken to data of
    another kind. Where averaged weights come with averaged statistics, measure which are better on
    validation data, as `average_checkpoints(…, batch_norm="best")` does.

    One pass in training mode: each batch is normalised by its own statistics. The mean is that of
    all samples, the variance that of all samples around it. No other weight, seed or optimizer is
    changed; layers that are frozen, or called in inference mode, keep their statistics.

    Args:
        model: A built Keras model. Compiled or not.
        data: Inputs, as for `fit`: arrays, a list or dict of them, `(inputs, labels)`, tf.data,
            PyDataset, DataLoader, generator. Arrays are taken in batches of 64.

    Raises:
        TypeError: for what is no Keras model, and for data of another kind.
        ValueError: for a model that is not built, for no data, for data that make statistics that
            are not finite, and for layers with `renorm=True` or called more than once, as in a
            siamese network. The model is then as it was.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    x = np.random.default_rng(0).normal(5.0, size=(64, 4))
    keras_dcnn.ensemble.recalibrate_batch_norm(model, x)
    print(model.predict(x, verbose=0).mean().round(3))
    ```

    Reference:
        Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization (2018),
        section 3.2. https://arxiv.org/abs/1803.05407
    """
    check_built_model(model)
    layers = batch_norm_layers(model)
    if not any(layer.trainable for layer in layers):
        why = "only frozen BatchNorm" if layers else "no BatchNorm"
        warn_no_effect("recalibrate_batch_norm", f"a model that has {why}")
        return
    measure_statistics(model, data)
