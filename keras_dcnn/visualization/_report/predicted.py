"""The numbers of held-out predictions: all of them from one array, so that they agree."""

import math
from functools import cached_property

import numpy as np

from keras_dcnn.diagnosis._predictions.answers import read_answers, read_pairs
from keras_dcnn.diagnosis._shares import mean_interval, percent, wilson
from keras_dcnn.ensemble.judging._scores import bins_of
from keras_dcnn.ensemble.judging._task import sum_to_1
from keras_dcnn.ensemble.judging.calibration import calibration
from keras_dcnn.visualization._report.table import Table
from keras_dcnn.visualization._sample_losses import probabilities, sample_losses

BINS = 15  # as `ensemble.calibration`
_PAIRS = 10  # of classes that are taken for each other


class Predicted:
    """`y` and `p` (samples, classes), probabilities; `names` of the classes.

    Outputs that all lie between 0 and 1 are taken for probabilities, others for logits.
    """

    def __init__(self, y, outputs, class_names):
        read_pairs(y, outputs, class_names)
        self.y, self.p = y, probabilities(outputs)
        self.said, self.count = self.p.argmax(1), len(y)
        self.class_names = class_names
        self.names = names_of(class_names, self.p.shape[1])
        self.are_shares = bool(sum_to_1(self.p).all())
        self.answers = read_answers(y, self.p, class_names)
        self.losses = sample_losses(y, self.p)

    @cached_property
    def present(self):
        """The classes that have samples."""
        return np.flatnonzero(self.answers.samples)

    @property
    def accuracy(self):
        return int(self.answers.right.sum()) / self.count

    def summary(self):
        """The scores, each with its 95 % interval and what needs no images to reach."""
        samples, right = self.answers.samples, self.answers.right
        recall = right[self.present], samples[self.present]
        largest = self.answers.name(int(samples.argmax()))
        low, high = mean_interval(*recall)
        rows = [
            (
                "accuracy",
                percent(self.accuracy, 1),
                _between(*wilson(right.sum(), self.count)),
                f"{percent(samples.max() / self.count, 1)}, the share of {largest}",
            ),
            (
                "balanced accuracy",
                percent((recall[0] / recall[1]).mean(), 1),
                _between(max(low, 0), min(high, 1)),
                f"{percent(1 / len(self.present), 1)}, chance",
            ),
        ]
        header = ("measure", "value", "95 % interval", "line to beat")
        return Table(header, rows + self._likelihood())

    def _likelihood(self):
        if not self.are_shares:
            return []
        mean, share = self.losses.mean(), self.answers.samples[self.present] / self.count
        interval = "–"
        if self.count > 1:
            arm = 1.96 * self.losses.std(ddof=1) / math.sqrt(self.count)
            interval = f"{max(mean - arm, 0):.3f} to {mean + arm:.3f}"
        blind = f"{-(share * np.log(share)).sum():.3f}, the shares of the classes as probabilities"
        measured = calibration(self.y, self.p, BINS)
        return [
            ("negative log-likelihood", f"{mean:.3f}", interval, blind),
            ("calibration error (ECE)", f"{measured.ece:.3f}", "–", "–"),
            ("Brier score", f"{measured.brier:.3f}", "–", "–"),
        ]

    @cached_property
    def confusion(self):
        """How many samples of each class (row) were taken for each (column)."""
        counts = np.zeros((len(self.names),) * 2, int)
        np.add.at(counts, (self.y, self.said), 1)
        return counts

    def by_class(self):
        """A dict for each class, those that are found least often first, without samples last."""
        samples, right, called = self.answers.samples, self.answers.right, self.answers.called
        low, high = wilson(right, np.maximum(samples, 1))
        rows = [
            {
                "name": self.names[k],
                "samples": int(samples[k]),
                "right": int(right[k]),
                "called": int(called[k]),
                "recall": right[k] / samples[k] if samples[k] else None,
                "low": float(low[k]),
                "high": float(high[k]),
                "mistaken": self._mistaken(k),
            }
            for k in range(len(self.names))
        ]
        none = (2, 0)
        return sorted(rows, key=lambda r: none if r["recall"] is None else (r["recall"], r["high"]))

    def class_table(self):
        """The same as numbers."""
        names = ("name", "samples", "right", "called", "recall", "low", "high")
        header = ("class", "images", "found", "predicted", "recall", "low", "high")
        rows = [[row[name] for name in names] for row in self.by_class()]
        return Table(header, rows)

    def _mistaken(self, k):
        """For what a class is taken most often, in words."""
        wrong = np.where(np.arange(len(self.names)) == k, 0, self.confusion[k])
        return f"{self.names[wrong.argmax()]} ({wrong.max():,})" if wrong.any() else ""

    def pairs(self):
        """The mistakes made most often."""
        wrong = self.confusion * (1 - np.eye(len(self.names), dtype=int))
        places = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
        places = [np.unravel_index(place, wrong.shape) for place in places]
        rows = [
            (self.names[i], self.names[j], f"{wrong[i, j]:,}", percent(wrong[i, j] / n))
            for i, j in places
            if wrong[i, j] and (n := self.answers.samples[i])
        ]
        return Table(("true class", "taken for", "images", "of the class"), rows)

    def reliability(self):
        """Bins of the highest probability: (low, high, samples, mean, right) of those with some."""
        highest = self.p.max(1)
        which = bins_of(highest, BINS)
        for k in np.unique(which):
            inside = which == k
            right = int((self.said == self.y)[inside].sum())
            yield k / BINS, (k + 1) / BINS, int(inside.sum()), highest[inside].mean(), right


def names_of(class_names, count):
    """A name for each class, as texts; "class 3" without names."""
    if class_names is None:
        return [f"class {number}" for number in range(count)]
    return [" ".join(str(name).split()) or "(no name)" for name in class_names]


def _between(low, high):
    return f"{percent(low, 1)} to {percent(high, 1)}"
