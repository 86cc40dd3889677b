"""Greedy forward selection, and what judges a step of it.

A judge is a function of members that begins a path: `scores()` of it tell, for each of these
members, the score of the mean of all that was added so far and of it, and `add(i)` adds the i-th of
them. Higher is better.
"""

from typing import NamedTuple

import numpy as np

from keras_dcnn._reading.batches import as_array

_TIE = 1e-12  # relative; what differs by less differs by rounding only


class Step(NamedTuple):
    """One step of a path: who was added, the score then, and what each of those tried gave."""

    member: int
    score: float
    tried: dict


def first_best(scores):
    """Index of the highest score, of the first of them in a tie."""
    highest = np.max(scores)
    return int(np.flatnonzero(scores >= highest - _TIE * abs(highest))[0])


def greedy_path(judge, members, with_replacement, num_steps):
    """The steps of one greedy selection among `members`."""
    path, steps = judge(members), []
    free = np.ones(len(members), bool)
    for _ in range(num_steps if with_replacement else min(num_steps, len(members))):
        scores = path.scores()
        best = first_best(np.where(free, scores, -np.inf))
        tried = dict(zip(members[free].tolist(), scores[free].tolist(), strict=True))
        steps.append(Step(int(members[best]), float(scores[best]), tried))
        path.add(best)
        free[best] &= with_replacement
    return tuple(steps)


def finite_score(metric, y, prediction):
    """What the metric says, a finite number."""
    score = as_array(metric(y, prediction))
    if score.size != 1 or score.dtype.kind not in "biuf":
        raise ValueError(
            f"`metric` must return one number; got dtype {score.dtype}, shape {score.shape}."
        )
    score = float(score.reshape(()))
    if not np.isfinite(score):
        raise ValueError(
            f"`metric` must return a finite number; got {score}: see what it makes of these "
            "predictions, which are finite."
        )
    return score


class MetricOfMean:
    """A metric of labels and mean, called for each member in each step; sums are in float64."""

    def __init__(self, metric, y, oof, members):
        self._metric, self._y, self._oof, self._members = metric, y, oof, members
        self._sum, self._added = np.zeros(oof.shape[1:]), 0

    def add(self, i):
        self._sum += self._oof[self._members[i]]
        self._added += 1

    def scores(self):
        return np.array([self._score_with(member) for member in self._members])

    def _score_with(self, member):
        mean = self._sum + self._oof[member]
        mean /= self._added + 1
        return finite_score(self._metric, self._y, mean)


class SquaredErrorOfMean:
    """By the Gram matrix G of the members' errors: cᵀGc / n², and no sample again."""

    def __init__(self, gram, members):
        self._gram, self._counts = gram[np.ix_(members, members)], np.zeros(len(members))

    def add(self, i):
        self._counts[i] += 1

    def scores(self):
        with_one = self._gram @ self._counts
        square = self._counts @ with_one + 2 * with_one + np.diag(self._gram)
        return -square / (self._counts.sum() + 1) ** 2
