"""average_checkpoints: one model whose weights are the mean of several checkpoints."""

import math
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_built_model, check_shares
from keras_dcnn._progress import with_progress
from keras_dcnn._state.snapshot import snapshot
from keras_dcnn.ensemble.averaging._averaging import (
    BatchNormChoice,
    WeightSums,
    evaluate,
    load,
    put_back_on_error,
)
from keras_dcnn.ensemble.averaging._checkpoints import open_checkpoints
from keras_dcnn.ensemble.averaging._judge import Judge, behind_barrier
from keras_dcnn.ensemble.averaging.averaging_trace import AveragingTrace


def average_checkpoints(
    model: keras.Model,
    checkpoints: str | os.PathLike[str] | Sequence[Any],
    weights: Sequence[float] | None = None,
    batch_norm: str = "average",
    data: Any = None,
    validation_data: Any = None,
) -> AveragingTrace:
    """Set a model to the weighted mean of checkpoints, and say what that gave.

    One model that costs no more than each of them, and as a rule is better than the last: for
    checkpoints of one training, or of trainings that began at the same pretrained weights. Those
    that began at different ones, or the ends of the cycles of a cyclic rate, lie in different
    basins of the loss, where the mean is worthless: combine their predictions, with `Ensemble`.
    With `validation_data` that is measured: an average much worse than its checkpoints is refused,
    and the model keeps its weights.

    `w = Σ aᵢ wᵢ / Σ aᵢ`, in float64, for all float weights; seeds, counts and other whole numbers
    stay the model's own, as does the optimizer. The checkpoints are read one after the other, into
    the model itself: beside it there is memory for two or three of them, four where JAX evaluates,
    whatever their number. The model's former weights lie in a temporary file meanwhile; when
    anything fails, the model is as it was.

    Args:
        model: A built Keras model; compiled where `validation_data` is given.
        checkpoints: A directory that `CheckpointEnsemble` wrote; or a list, at least one long, of
            paths to `.weights.h5` and `.keras` files, Keras models, and lists of arrays as
            `get_weights` gives. All with the architecture of the model, as far as it is known: of
            `.weights.h5` files and arrays only the shapes are. What acts in training only, such as
            dropout, may differ.
        weights: One number ≥ 0 per checkpoint, or None for equal weights; divided by their sum.
            Those of weight 0 are left out: they are not read, and may be missing.
        batch_norm: BatchNorm's moving statistics: `"average"`: their mean, too; `"recompute"`:
            measured on `data` with the averaged weights; `"keep"`: those of the last checkpoint
            that is not left out; `"best"`: of these three that with the lowest loss on
            `validation_data`.
        data: Inputs to recompute on, those of the training, as for `fit`: arrays, `(inputs,
            labels)`, tf.data, PyDataset, DataLoader.
        validation_data: `(x, y)`, `(x, y, sample_weight)`, or batches of these as `evaluate` takes
            them: held-out data that measure every checkpoint and the average.

    Returns:
        An `AveragingTrace`: each checkpoint with its loss, each kind of BatchNorm's statistics that
        was tried with the loss of the average, and the kind that was chosen.

    Raises:
        TypeError: for what is no Keras model, checkpoints of another kind, and validation data
            without labels.
        ValueError: for a model that is not built, or not compiled where losses are measured; no
            checkpoints; a file that is missing, damaged or of another architecture; weights that
            are not finite, or have a loss that is not; `weights` that don't fit; "recompute" and
            "best" without the data they need, and for BatchNorm layers that a model calls more than
            once; data that can be read only once; and an average behind a loss barrier.
        OSError: when there is no room for a temporary file.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4)), np.ones(8)
    checkpoints = []
    for _ in range(3):
        model.fit(x, y, verbose=0)
        checkpoints.append(model.get_weights())
    print(keras_dcnn.ensemble.average_checkpoints(model, checkpoints, validation_data=(x, y)))
    ```

    Reference:
        Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization (2018).
        https://arxiv.org/abs/1803.05407
    """
    check_built_model(model)
    judge = None if validation_data is None else Judge("validation_data", model, validation_data)
    batch_norm = BatchNormChoice(model, batch_norm, data, "data", judge)

    def shares_of(count):
        return check_shares("weights", weights, count, "checkpoint") or (1.0,) * count

    opened, shares = open_checkpoints("checkpoints", model, checkpoints, shares_of)
    return average(model, opened, shares, batch_norm, judge)


def average(model, checkpoints, shares, batch_norm, judge):
    """Set the model to the weighted mean of all, unless it lies behind a loss barrier.

    Of those with a share of 0 nothing is read.
    """
    used = [one for one, share in zip(checkpoints, shares, strict=True) if share]
    shares = [share for share in shares if share]
    with put_back_on_error(model):
        own = evaluate(model, used, judge) if judge else [None] * len(used)
        _check_losses(used, own)
        sums = WeightSums(model)
        pairs = zip(used, shares, strict=True)
        for one, share in with_progress(pairs, len(used), "Averaging"):
            load(model, one)
            sums.add(share)
        last = snapshot(batch_norm.variables)
        sums.set_means()
        del sums  # JAX evaluates with copies of the weights
        chosen, logs = batch_norm.choose(last)
        if judge:
            _refuse_behind_barrier(used, shares, own, logs[chosen]["loss"], chosen)
    own = dict(zip(map(id, used), own, strict=True))
    tried = [(one.name, own.get(id(one)), None, id(one) in own) for one in checkpoints]
    return batch_norm.trace(tried, chosen, logs)


def _check_losses(checkpoints, own):
    for one, logs in zip(checkpoints, own, strict=True):
        if logs and not math.isfinite(logs["loss"]):
            raise ValueError(
                f"every checkpoint must have a finite loss on the held-out data; {one.name} has "
                f"{logs['loss']}: leave it out, and if all have, look at the data."
            )


def _refuse_behind_barrier(checkpoints, shares, own, averaged, batch_norm):
    losses = [logs["loss"] for logs in own]
    single = float(np.average(losses, weights=shares))
    if behind_barrier(averaged, single):
        pairs = zip(checkpoints, losses, strict=True)
        listed = ", ".join(f"{one.name} {loss:.4g}" for one, loss in pairs)
        more = ""
        if batch_norm == "recompute":
            more = (
                ", or look whether BatchNorm's statistics are recomputed on the training's inputs"
            )
        raise ValueError(
            "the weights must lie in one basin of the loss to be averaged; the average has a loss "
            f"of {averaged:.4g} on the held-out data, the checkpoints {single:.4g} on average "
            f"({listed}): average predictions instead (Ensemble){more}."
        )
