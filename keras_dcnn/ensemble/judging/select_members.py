"""select_members: greedy choice of the members of an ensemble, and of their weights."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from keras_dcnn._checks import check_choice, check_count, check_flag, check_seed
from keras_dcnn._reading.batches import as_array
from keras_dcnn.ensemble.judging import _scores
from keras_dcnn.ensemble.judging._greedy import (
    AnyMetric,
    LogLoss,
    SquaredError,
    first_best,
    greedy_path,
)
from keras_dcnn.ensemble.judging._greedy_accuracy import Accuracy
from keras_dcnn.ensemble.judging._predictions import as_labels, as_predictions, check_probabilities
from keras_dcnn.ensemble.judging.selection import Selection

_AT_A_TIME = 1 << 20  # errors, of all members
_METRICS = {
    "accuracy": _scores.accuracy,
    "balanced_accuracy": _scores.balanced_accuracy,
    "log_loss": lambda y, p: -_scores.log_loss(y, p),
    "brier": lambda y, p: -_scores.brier(y, p),
    "mse": lambda y, p: -float(np.square(p - y).mean()),
}


def select_members(oof, y, metric="accuracy", with_replacement=True, bags=20, num_steps=50, seed=0):
    """Choose, step by step, the members whose mean prediction is best on held-out data.

    A pool of models, as folds, seeds and checkpoints leave behind, holds weak ones and near twins.
    This picks those that help each other: it begins with the best member and in each step adds the
    one that makes the mean of all picks best; a member may be picked again, which raises its
    weight. The path's best beginning counts. So that no lucky pick decides, this is done for
    several bags, each a random half of the members (one more than half if their number is odd), and
    the shares of the picks are averaged over the bags.

    Of equal scores, which are those that differ by less than 1e-12 of the score, the first member
    wins; of equal classes the first, as in `argmax`. "accuracy" and "balanced_accuracy" take
    outputs as multiples of 2⁻³⁰ of their range. `score` is on the data that the members were chosen
    by, thus too good: measure the ensemble on other data.

    Bags run side by side, on at most four cores. Memory beside `oof`: for the accuracies at most 4
    bytes per member, sample and class, for "log_loss" 16 per member and sample and half of that
    again for each core, for the others next to nothing.

    Args:
        oof: (members, samples, classes): what the members predicted for samples that they were not
            trained on, out of fold or held out; (members, samples, 1) for two classes with one
            sigmoid output; for "mse" (members, samples) or (members, samples, outputs).
        y: Labels, whole numbers or one-hot rows; for "mse" the values.
        metric: `"accuracy"`; `"balanced_accuracy"`, the mean over classes, if some are rare;
            `"log_loss"`; `"brier"`; `"mse"` for regression; or a function of `(y, prediction)`
            that returns a number, higher is better, called for each member in each step.
        with_replacement: Whether a member can be picked more than once.
        bags: Number of bags, ≥ 1; 1 means all members, once.
        num_steps: Picks per bag, ≥ 1; without replacement at most as many as the bag has members.
        seed: Whole number ≥ 0 that draws the bags, or None.

    Returns:
        A `Selection`: weights, members, score, the best single member, and the trace.

    Raises:
        ValueError: for no members, shapes or labels that don't fit, soft labels, NaN, values that
            are no probabilities where the metric needs them, labels of one class only with
            "balanced_accuracy", a metric that returns NaN, and arguments outside the ranges above.

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
    y, oof, judge = _judge(metric, y, oof)
    count = len(oof)
    path = partial(greedy_path, judge, with_replacement=with_replacement, num_steps=num_steps)
    # NumPy lets threads run side by side; a metric of the user's may not be made for that.
    with ThreadPoolExecutor(1 if callable(metric) else min(os.cpu_count() or 1, 4)) as pool:
        trace = tuple(pool.map(path, _bags(count, bags, np.random.default_rng(seed))))
    weights = np.mean([_shares(steps, count) for steps in trace], axis=0)
    combined = sum(weights[i] * oof[i].astype("float64") for i in np.flatnonzero(weights))
    best = first_best(judge.singles)
    return Selection(
        weights=tuple(weights.tolist()),
        members=tuple(np.flatnonzero(weights).tolist()),
        score=judge.score(combined) if callable(metric) else float(_METRICS[metric](y, combined)),
        single_best=best,
        single_best_score=float(judge.singles[best]),
        metric=getattr(metric, "__name__", type(metric).__name__) if callable(metric) else metric,
        trace=trace,
    )


def _bags(count, bags, rng):
    """Indices of the members of each bag, ascending."""
    if bags == 1:
        return [np.arange(count)]
    return [np.sort(rng.permutation(count)[: (count + 1) // 2]) for _ in range(bags)]


def _shares(steps, count):
    """Each member's share of the picks in the best beginning of a path."""
    best = first_best([step.score for step in steps])
    picks = [step.member for step in steps[: best + 1]]
    return np.bincount(picks, minlength=count) / len(picks)


def _judge(metric, y, oof):
    """The labels and predictions, checked, and what judges a step by them."""
    if callable(metric) or metric == "mse":
        return _judge_of_values(metric, as_array(y), oof)
    oof = as_predictions("oof", oof)
    if metric in ("log_loss", "brier") or oof.shape[2] == 1:
        check_probabilities("oof", oof, f"metric={metric!r}")
    y = as_labels(y, *oof.shape[1:])
    samples = np.arange(len(y))
    if metric == "log_loss":
        of_label = (_scores.two_columns(p)[samples, y] for p in oof)
        return y, oof, LogLoss(np.stack(list(of_label)))
    if metric == "brier":
        return y, oof, _brier_judge(oof, y)
    counts = np.bincount(y)
    if metric == "balanced_accuracy" and np.count_nonzero(counts) == 1:
        raise ValueError(
            f"metric='balanced_accuracy' needs samples of at least two classes; got {y[0]} only: "
            "hold out samples of each class."
        )
    weights = np.ones(len(y)) if metric == "accuracy" else 1 / counts[y]
    columns = _scores.two_columns(oof) if oof.shape[2] == 1 else oof
    return y, oof, Accuracy(columns, y, weights, np.rint(weights.sum()))


def _judge_of_values(metric, y, oof):
    axes = ("members", "samples", "outputs")[: max(2, min(3, np.ndim(oof)))]
    oof = as_predictions("oof", oof, axes)
    if callable(metric):
        if len(y) != oof.shape[1]:
            raise ValueError(
                f"`y` must have as many samples as `oof`, {oof.shape[1]}; got {len(y)}."
            )
        return y, oof, AnyMetric(metric, y, oof)
    if y.size != oof[0].size or len(y) != oof.shape[1]:
        raise ValueError(
            f"`y` must be of the shape of one member's predictions, {oof.shape[1:]}; got {y.shape}."
        )
    y = as_predictions("y", y.reshape(oof.shape[1:]), axes[1:])
    return y, oof, SquaredError(_errors(oof, lambda block: y[block]), len(oof), y.size)


def _brier_judge(oof, y):
    classes = oof.shape[2]
    if classes == 1:
        truth = y[:, None]
        return SquaredError(_errors(oof, lambda block: truth[block]), len(oof), len(y))
    one_hot = np.eye(classes)
    half = 2 if classes == 2 else 1
    return SquaredError(_errors(oof, lambda block: one_hot[y[block]]), len(oof), half * len(y))


def _errors(oof, truth):
    """Blocks (members, some values) of prediction minus truth, float64."""
    samples = max(1, _AT_A_TIME // oof[:, 0].size)
    for start in range(0, oof.shape[1], samples):
        block = slice(start, start + samples)
        yield (oof[:, block] - truth(block).astype("float64")).reshape(len(oof), -1)
