"""Greedy forward selection, and the sums by which it judges a member in little time.

A judge has `singles`, the score of each member alone, and `start(members)`: a path whose `scores()`
tell, for each of these members, the score of the mean of all that was added so far and of it, and
whose `add(i)` adds the i-th of them. Higher is better.
"""

from typing import NamedTuple

import numpy as np

from keras_dcnn.ensemble.judging._scores import EPSILON

_TIE = 1e-12  # relative; what differs by less differs by rounding only
_GROUP, _BLOCK = 16, 2048  # EPSILON to the power of _GROUP is still a float64


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
    path, steps = judge.start(members), []
    free = np.ones(len(members), bool)
    scores = judge.singles[members]
    for left in range(num_steps if with_replacement else min(num_steps, len(members)), 0, -1):
        best = first_best(np.where(free, scores, -np.inf))
        tried = dict(zip(members[free].tolist(), scores[free].tolist(), strict=True))
        steps.append(Step(int(members[best]), float(scores[best]), tried))
        if left > 1:
            path.add(best)
            free[best] &= with_replacement
            scores = path.scores()
    return tuple(steps)


class SquaredError:
    """Of the mean, by the Gram matrix of the members' errors: cᵀGc / n², and no sample again."""

    def __init__(self, error_blocks, num_members, divide_by):
        gram = np.zeros((num_members, num_members))
        for errors in error_blocks:  # (members, some of the errors)
            gram += errors @ errors.T
        self._gram = gram / divide_by
        self.singles = -np.diag(self._gram)

    def start(self, members):
        return _SquaredErrorPath(self._gram[np.ix_(members, members)])


class _SquaredErrorPath:
    def __init__(self, gram):
        self._gram, self._counts = gram, np.zeros(len(gram))

    def add(self, i):
        self._counts[i] += 1

    def scores(self):
        with_one = self._gram @ self._counts
        square = self._counts @ with_one + 2 * with_one + np.diag(self._gram)
        return -square / (self._counts.sum() + 1) ** 2


class LogLoss:
    """By the label's probability alone; the logarithm of products, not of each.

    Args:
        p: (members, samples) probability of the label.
    """

    def __init__(self, p):
        self.samples = p.shape[1]
        self._p = np.pad(p, ((0, 0), (0, -p.shape[1] % _BLOCK)))
        self.singles = self.start(np.arange(len(p))).scores()

    def start(self, members):
        return _LogLossPath(self._p[members], self.samples)


class _LogLossPath:
    def __init__(self, p, samples):
        self._p, self._samples, self._added = p, samples, 0
        self._sum = np.zeros(p.shape[1])
        self._sum[samples:] = 1  # the padding; log 1 = 0

    def add(self, i):
        self._sum += self._p[i]
        self._added += 1

    def scores(self):
        least = (self._added + 1) * EPSILON
        total = np.zeros(len(self._p))
        for start in range(0, self._p.shape[1], _BLOCK):
            block = slice(start, start + _BLOCK)
            sums = self._p[:, block] + self._sum[block]
            if self._sum[block].min() < least:
                np.maximum(sums, least, out=sums)
            products = np.multiply.reduce(sums.reshape(len(sums), _GROUP, -1), axis=1)
            total += np.log(products).sum(1)
        return total / self._samples - np.log(self._added + 1)


class AnyMetric:
    """A function of labels and prediction, called for each member in each step."""

    def __init__(self, metric, y, oof):
        self._metric, self._y, self._oof = metric, y, oof
        self.singles = self.start(np.arange(len(oof))).scores()

    def start(self, members):
        return _AnyMetricPath(self, members)

    def score(self, prediction):
        """What the metric says, a finite number."""
        score = float(self._metric(self._y, prediction))
        if not np.isfinite(score):
            raise ValueError(f"`metric` must return a finite number; got {score}.")
        return score

    def sum(self, total, member):
        return total + self._oof[member].astype("float64")


class _AnyMetricPath:
    def __init__(self, judge, members):
        self._judge, self._members, self._added, self._sum = judge, members, 0, 0

    def add(self, i):
        self._sum = self._judge.sum(self._sum, self._members[i])
        self._added += 1

    def scores(self):
        sums = (self._judge.sum(self._sum, member) for member in self._members)
        return np.array([self._judge.score(s / (self._added + 1)) for s in sums])
