"""soup: one model whose weights are the mean of those candidates that improve it."""

import math
import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import check_built_model, check_choice
from keras_dcnn._progress import with_progress
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn.ensemble.averaging._averaging import (
    BatchNormChoice,
    WeightSums,
    evaluate,
    load,
    put_back_on_error,
)
from keras_dcnn.ensemble.averaging._checkpoints import open_checkpoints
from keras_dcnn.ensemble.averaging._judge import Judge
from keras_dcnn.ensemble.averaging.average_checkpoints import average
from keras_dcnn.ensemble.averaging.averaging_trace import AveragingTrace


def soup(
    model: keras.Model,
    candidates: str | os.PathLike[str] | Sequence[Any],
    data: Any,
    recipe: str = "greedy",
    monitor: str = "loss",
    batch_norm: str = "average",
    training_data: Any = None,
) -> AveragingTrace:
    """Set a model to the mean of the candidates that belong together, and say what was tried.

    For models that were fine-tuned from the same pretrained weights with different settings: one
    model, at the cost of one, that is as a rule better than the best of them. For trainings that
    began at different weights use `Ensemble`.

    Greedy: the candidates are sorted by their score on held-out data, the best first; each in turn
    is added to the average, and stays where the average is not worse than before. So the soup is on
    these data no worse than the best candidate, unless BatchNorm's statistics are recomputed.
    Uniform: all are averaged; where the average is much worse than its candidates, a loss barrier,
    it is refused. Sums are in float64. Seeds, whole numbers and the optimizer stay the model's own.
    When anything fails, the model is as it was.

    Args:
        model: A built and compiled Keras model.
        candidates: A directory that `CheckpointEnsemble` wrote; or a list, at least one long, of
            paths to `.weights.h5` and `.keras` files, Keras models, and lists of arrays as
            `get_weights` gives. All with the architecture of the model, as far as it is known: of
            `.weights.h5` files and arrays only the shapes are. What acts in training only, such as
            dropout, may differ.
        data: Held-out data: `(x, y)`, `(x, y, sample_weight)`, or batches of these as `evaluate`
            takes them. For the score to report, use others: the soup was chosen on these.
        recipe: `"greedy"` or `"uniform"`.
        monitor: `"loss"` or the name of a metric that the model is compiled with; Keras knows which
            direction is better.
        batch_norm: BatchNorm's moving statistics: `"average"`: their mean, too; `"recompute"`:
            measured on `training_data` with the averaged weights; `"keep"`: those of the candidate
            that was added last; `"best"`: of these three that with the best score.
        training_data: Inputs to recompute on, as for `fit`: arrays, `(inputs, labels)`, tf.data,
            PyDataset, DataLoader. Each trial takes a pass.

    Returns:
        An `AveragingTrace`: each candidate in the order in which it was tried, with its own score,
        that of the soup with it, and whether it stayed; and the score of the model now.

    Raises:
        TypeError: for what is no Keras model, candidates of another kind, and data without labels.
        ValueError: for a model that is not built or not compiled; no candidates; a file that is
            missing, damaged or of another architecture; weights that are not finite; candidates
            whose scores are all NaN, and for a uniform soup one with a loss that is not finite; an
            unknown `recipe`, `monitor` or `batch_norm`; "recompute" and "best" without
            `training_data`, and for BatchNorm layers that a model calls more than once; data that
            can be read only once; and a uniform soup behind a loss barrier.
        OSError: when there is no room for a temporary file, in which the model's own weights lie.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y, candidates = np.ones((8, 4)), np.ones(8), []
    for _ in range(3):
        model.fit(x, y, verbose=0)
        candidates.append(model.get_weights())
    print(keras_dcnn.ensemble.soup(model, candidates, (x, y)))
    ```

    Reference:
        Wortsman et al.: Model soups: averaging weights of multiple fine-tuned models improves
        accuracy without increasing inference time (2022). https://arxiv.org/abs/2203.05482
    """
    check_built_model(model)
    check_choice("recipe", recipe, ("greedy", "uniform"))
    judge = Judge("data", model, data, monitor)
    batch_norm = BatchNormChoice(model, batch_norm, training_data, "training_data", judge)
    opened, shares = open_checkpoints("candidates", model, candidates)
    if recipe == "uniform":
        return average(model, opened, shares, batch_norm, judge)
    with put_back_on_error(model):
        own = evaluate(model, opened, judge)
        return _add_in_turn(model, _sorted(opened, own, judge), batch_norm, judge)


def _sorted(candidates, own, judge):
    """(candidate, its logs), the best first."""
    pairs = sorted(zip(candidates, own, strict=True), key=lambda pair: judge.cost(pair[1]))
    if judge.cost(pairs[0][1]) == math.inf:
        raise ValueError(
            f"at least one candidate must have a finite {judge.monitor}; all of them give NaN "
            "or infinity: look at the data and the candidates."
        )
    return pairs


def _add_in_turn(model, candidates, batch_norm, judge):
    """Add each of the sorted candidates where that makes the average no worse; the trace."""
    sums, tried, best = WeightSums(model), [], None
    for candidate, own in with_progress(candidates, len(candidates), "Trying the soup"):
        load(model, candidate)
        last = snapshot(batch_norm.variables)
        sums.set_means(share=1.0)
        chosen, logs = batch_norm.choose(last)
        stays = best is None or judge.cost(logs[chosen]) <= judge.cost(best[1][best[0]])
        tried.append((candidate.name, own, logs[chosen], stays))
        if stays:
            best = chosen, logs, snapshot(batch_norm.variables)
            load(model, candidate)
            sums.add()
    sums.set_means()
    put_back(batch_norm.variables, best[2])
    return batch_norm.trace(tried, *best[:2])
