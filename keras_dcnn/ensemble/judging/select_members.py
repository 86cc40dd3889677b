"""select_members: greedy choice of the members of an ensemble, and of their weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_choice, check_count, check_flag, check_seed
from keras_dcnn._reading.batches import as_array
from keras_dcnn.ensemble.judging import _scores
from keras_dcnn.ensemble.judging._greedy import (
    MetricOfMean,
    SquaredErrorOfMean,
    finite_score,
    first_best,
    greedy_path,
)
from keras_dcnn.ensemble.judging._judged import judged
from keras_dcnn.ensemble.judging._predictions import (
    as_predictions,
    as_weights,
    numbers_of_shape,
)
from keras_dcnn.ensemble.judging._task import Task
from keras_dcnn.ensemble.judging.selection import Selection

_AT_A_TIME = 1 << 20  # errors, of all members
_METRICS = {
    "accuracy": _scores.accuracy,
    "balanced_accuracy": _scores.accuracy,  # with weights by which classes count alike
    "log_loss": lambda y, p, weights: -_scores.log_loss(y, p, weights),
    "brier": lambda y, p, weights: -_scores.brier(y, p, weights),
    "mse": lambda y, p, weights: -_mean_square(p - y, weights),
}


def select_members(
    oof: ArrayLike,
    y: ArrayLike,
    metric: str | Callable[[Any, Any], float] = "accuracy",
    with_replacement: bool = True,
    bags: int = 20,
    num_steps: int = 50,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
) -> Selection:
    """Choose, step by step, the members whose mean prediction is best on held-out data.

    A pool of models, as folds, seeds and checkpoints leave behind, holds weak ones and near twins.
    This picks those that help each other: it begins with the best member and in each step adds the
    one that makes the mean of all picks best; a member may be picked again, which raises its
    weight. The path's best beginning counts. So that no lucky pick decides, this is done for
    several bags, each a random half of the members (one more than half if their number is odd), and
    the shares of the picks are averaged over the bags.

    Of equal scores, to 1e-12, the first member wins. `score` is on the data that the members were
    chosen by, thus too good: measure the ensemble on other data. Each step calls the metric once
    per member, for "brier" and "mse" never: those take products of the members' errors.

    Where a sample may have several labels, `y` is rows of 0 and 1, and `oof` what sigmoids predict,
    which does not sum to 1: the scores are then means over all labels of all samples, for
    "balanced_accuracy" over what each label can be.

    Args:
        oof: (members, samples, classes): what the members predicted for samples that they were not
            trained on, out of fold or held out; (members, samples, 1) for two classes with one
            sigmoid output; (members, samples, height, width, classes) for a class in each place;
            for "mse" (members, samples) or (members, samples, outputs).
        y: Labels, whole numbers, one-hot rows, or for several labels rows of 0 and 1; for "mse" the
            values.
        metric: `"accuracy"`; `"balanced_accuracy"`, the mean over classes, if some are rare;
            `"log_loss"`; `"brier"`; `"mse"` for regression; or a function of `(y, prediction)`
            that returns a number, higher is better, called for each member in each step.
        with_replacement: Whether a member can be picked more than once.
        bags: Number of bags, ≥ 1; 1 means all members, once.
        num_steps: Picks per bag, ≥ 1; without replacement at most as many as the bag has members.
        seed: Whole number ≥ 0 that draws the bags, or None.
        sample_weight: A number ≥ 0 for each sample, or for each place or label; what has 0 is not
            looked at, and may be NaN. A function gets those that are left as `sample_weight`,
            unless all are 1. None for equal weights.

    Returns:
        A `Selection`: weights, members, score, the best single member, and the trace.

    Raises:
        ValueError: for shapes or labels that don't fit, soft labels, NaN, values that are no
            probabilities where the metric needs them, and a metric that returns NaN.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    oof = rng.dirichlet(np.ones(3), (10, 200)) + np.eye(3)[y]
    selection = keras_dcnn.ensemble.select_members(oof / 2, y, metric="log_loss", bags=5)
    print(selection)
    ```

    Reference:
        Caruana et al.: Ensemble Selection from Libraries of Models (2004).
        https://doi.org/10.1145/1015330.1015432
    """
    if not callable(metric):
        check_choice("metric", metric, tuple(_METRICS))
    check_flag("with_replacement", with_replacement)
    check_count("bags", bags)
    check_count("num_steps", num_steps)
    check_seed(seed)
    y, oof, sample_weight = _labels_and_predictions(metric, y, oof, sample_weight)
    count, score = len(oof), _score(metric, sample_weight)
    judge = partial(MetricOfMean, score, y, oof)
    if metric in ("brier", "mse"):
        judge = partial(SquaredErrorOfMean, _error_products(metric, y, oof, sample_weight))
    random = np.random.default_rng(seed)
    trace = tuple(
        greedy_path(judge, members, with_replacement, num_steps)
        for members in _bags(count, bags, random)
    )
    weights = np.mean([_shares_of_picks(steps, count) for steps in trace], axis=0)
    combined = sum(weights[i] * oof[i].astype("float64") for i in np.flatnonzero(weights))
    singles = judge(np.arange(count)).scores()
    best = first_best(singles)
    return Selection(
        weights=tuple(weights.tolist()),
        members=tuple(np.flatnonzero(weights).tolist()),
        score=finite_score(score, y, combined),
        single_best=best,
        single_best_score=float(singles[best]),
        metric=getattr(metric, "__name__", type(metric).__name__) if callable(metric) else metric,
        trace=trace,
    )


def _bags(count, bags, rng):
    """Indices of the members of each bag, ascending."""
    if bags == 1:
        return [np.arange(count)]
    return [np.sort(rng.permutation(count)[: (count + 1) // 2]) for _ in range(bags)]


def _shares_of_picks(steps, count):
    """Each member's share of the picks in the best beginning of a path."""
    best = first_best([step.score for step in steps])
    picks = [step.member for step in steps[: best + 1]]
    return np.bincount(picks, minlength=count) / len(picks)


def _labels_and_predictions(metric, y, oof, sample_weight):
    """The labels or values, the predictions, and the weights that fit each other and the metric."""
    if callable(metric) or metric == "mse":
        return _values_and_predictions(metric, y, oof, sample_weight)
    found = judged("oof", oof, y, sample_weight, members=True)
    if metric in ("log_loss", "brier") or found.task is not Task.ONE_CLASS:
        found.check_probabilities(f"metric={metric!r}")
    weights = found.weights
    if metric == "balanced_accuracy":
        weights = _scores.balanced(found.kinds(), weights)
    return found.y, found.predictions, weights


def _values_and_predictions(metric, y, oof, sample_weight):
    y, oof = as_array(y), as_array(oof)
    axes = ("members", "samples", "outputs")[: 2 if oof.ndim == 2 else 3]
    oof = numbers_of_shape("oof", oof, axes)
    if y.shape[:1] != oof.shape[1:2]:
        got = len(y) if y.ndim else "no array"
        raise ValueError(f"`y` must have as many samples as `oof`, {oof.shape[1]}; got {got}.")
    weights = as_weights(sample_weight, (*y.shape[:1], 1))
    if weights is not None:
        counts = weights > 0
        y, oof, weights = y[counts], oof[:, counts], weights[counts]
    oof = as_predictions("oof", oof, axes)
    if callable(metric):
        return y, oof, weights
    if y.size != oof[0].size:
        raise ValueError(
            f"`y` must be values of the shape of what a member predicts, {oof.shape[1:]}, for "
            f"metric='mse'; got shape {y.shape}."
        )
    return as_predictions("y", y.reshape(oof.shape[1:]), axes[1:]), oof, weights


def _score(metric, weights):
    """The metric as a function of labels and predictions."""
    if not callable(metric):
        return partial(_METRICS[metric], weights=weights)
    if weights is None or (weights == 1).all():
        return metric
    return partial(metric, sample_weight=weights)


def _mean_square(errors, weights):
    return float(np.average(np.square(errors), weights=weights, axis=0).mean())


def _error_products(metric, y, oof, weights):
    """Products of the errors of each two members, whose mean or halved mean the metric is.

    In blocks of samples, as the errors of all in float64 would be more than `oof`.
    """
    divide_by, classes = y[0].size, oof.shape[-1]
    if metric == "brier":
        divide_by = 2 if classes == 2 else 1
        y = y[:, None] if classes == 1 else np.eye(classes)[y]
    weights = np.ones(len(y)) if weights is None else weights
    gram, samples = 0, max(1, _AT_A_TIME // oof[:, 0].size)
    for start in range(0, len(y), samples):
        block = slice(start, start + samples)
        errors = oof[:, block] - y[block].astype("float64")
        errors *= np.sqrt(weights[block]).reshape(-1, *(1,) * (errors.ndim - 2))
        errors = errors.reshape(len(oof), -1)
        with np.errstate(over="ignore"):
            gram += errors @ errors.T
    if not np.isfinite(gram).all():
        raise ValueError(
            f"metric={metric!r} squares errors, which must fit in float64; some are larger: scale "
            "`y` and `oof`."
        )
    return gram / (divide_by * weights.sum())
