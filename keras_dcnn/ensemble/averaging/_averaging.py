"""What averages of weights have in common: scores, BatchNorm's statistics, the loss barrier."""

import math

import numpy as np

from keras_dcnn._checks import check_choice, warn_no_effect
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn._structure.batch_norm import batch_norm_layers, statistics_of
from keras_dcnn.ensemble.averaging._judge import check_readable_again, progress
from keras_dcnn.ensemble.averaging._loss_barrier import behind_barrier
from keras_dcnn.ensemble.averaging._weight_files import float_weights
from keras_dcnn.ensemble.averaging._weight_sums import ModelWeights, WeightSums, joined
from keras_dcnn.ensemble.averaging.averaging_trace import AveragingTrace, Trial
from keras_dcnn.ensemble.averaging.recalibrate_batch_norm import measure_statistics


class Statistics:
    """BatchNorm's statistics of an average, by one of the ways to choose them."""

    def __init__(self, model, choice, data, data_argument, judge):
        check_choice("batch_norm", choice, ("average", "recompute", "keep", "best"))
        if choice in ("recompute", "best") and data is None:
            raise ValueError(
                f"batch_norm={choice!r} needs `{data_argument}` to measure on; got None: pass the "
                "inputs of the training."
            )
        check_readable_again(data_argument, data)
        if choice == "best" and judge is None:
            raise ValueError(
                "batch_norm='best' needs `validation_data` to choose by; got None: pass some, or "
                "use 'average'."
            )
        self.variables = statistics_of(batch_norm_layers(model))
        if choice != "average" and not self.variables:
            warn_no_effect(f"batch_norm={choice!r}", "a model that has no BatchNorm")
            choice = "average"
        every = ("average", "recompute", "keep")
        self._kinds = every if choice == "best" else (choice,)
        self._model, self._data, self._judge = model, data, judge

    def choose(self, last):
        """Set them beside an average of which `last` is the last; (kind, logs by kind)."""
        averaged, values, logs = snapshot(self.variables), {}, {}
        for kind in self._kinds:
            put_back(self.variables, averaged)
            if kind == "keep":
                self._set_those_of(last)
            elif kind == "recompute":
                measure_statistics(self._model, self._data)
            values[kind] = snapshot(self.variables)
            logs[kind] = self._judge() if self._judge else None
        chosen = min(logs, key=lambda k: self._judge.cost(logs[k])) if len(logs) > 1 else kind
        put_back(self.variables, values[chosen])
        return chosen, logs

    def _set_those_of(self, checkpoint):
        wanted = {id(variable) for variable in self.variables}
        weights = float_weights(self._model)
        for variable, parts in zip(weights, checkpoint.read(), strict=True):
            if id(variable) in wanted:
                variable.assign(joined(variable, parts))


def average(model, checkpoints, shares, statistics, judge):
    """Set the model to the weighted mean of all, unless it lies behind a loss barrier.

    Of those with a share of 0 nothing is read.
    """
    weights = ModelWeights(model)
    used = [one for one, share in zip(checkpoints, shares, strict=True) if share]
    shares = [share for share in shares if share]
    with weights.put_back_on_error():
        own = judge.each(weights, used) if judge else [None] * len(used)
        if judge:
            _check_losses(used, own)
        sums = WeightSums(weights.variables)
        for checkpoint, share in zip(progress(used, "Averaging"), shares, strict=True):
            sums.add(checkpoint, share)
        weights.set(sums.means())
        chosen, logs = statistics.choose(used[-1])
        if judge:
            refuse_behind_barrier(used, shares, own, logs[chosen])
    logs_of = dict(zip(map(id, used), own, strict=True))
    tried = [(one.name, logs_of.get(id(one)), None, id(one) in logs_of) for one in checkpoints]
    return trace(judge, tried, statistics, chosen, logs)


def _check_losses(checkpoints, own):
    for one, logs in zip(checkpoints, own, strict=True):
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"every checkpoint must have a finite loss on the held-out data; {one.name} has "
                f"{logs['loss']}: leave it out, and if all have, look at the data."
            )


def refuse_behind_barrier(checkpoints, shares, own, averaged):
    """Raise ValueError where the average is much worse than what it is made of."""
    losses = [logs["loss"] for logs in own]
    single = float(np.average(losses, weights=shares))
    if behind_barrier(averaged["loss"], single):
        pairs = zip(checkpoints, losses, strict=True)
        listed = ", ".join(f"{one.name} {loss:.4g}" for one, loss in pairs)
        raise ValueError(
            "the weights must lie in one basin of the loss to be averaged; the average has a loss "
            f"of {averaged['loss']:.4g} on the held-out data, the checkpoints {single:.4g} on "
            f"average ({listed}): average predictions instead (Ensemble)."
        )


def trace(judge, tried, statistics, chosen, logs):
    """The trace; `tried` has name, logs, logs with it, stayed."""
    monitor = judge.monitor if judge else "loss"

    def score(logs):
        return None if logs is None else logs[monitor]

    trials = [Trial(name, score(own), score(soup), stayed) for name, own, soup, stayed in tried]
    return AveragingTrace(
        monitor=monitor,
        tried=tuple(trials),
        batch_norm={k: score(v) for k, v in logs.items()} if statistics.variables else {},
        chosen=chosen if statistics.variables else None,
        score=score(logs[chosen]),
    )
