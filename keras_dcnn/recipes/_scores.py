"""How good a classifier is on held-out images: numbers with intervals, and the lines to beat."""

import csv
import math
from typing import NamedTuple

import numpy as np

from keras_dcnn._files.atomic import atomic_write
from keras_dcnn.diagnosis import examine_predictions
from keras_dcnn.diagnosis._shares import mean_interval, percent, wilson
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.ensemble import calibration

_WRONG = 0.1  # of the images, whose class is not among those to be reckoned with
_SHOWN = 12  # classes that are found worst


class Scores(NamedTuple):
    """Of predictions `p` (images, classes) and true classes `y`."""

    y: np.ndarray
    p: np.ndarray
    class_names: list
    sure_from: float | None

    @property
    def findings(self) -> list[Finding]:
        return examine_predictions(self.y, self.p, self.class_names)

    def as_dict(self):
        """Plain JSON values; shares are 0 to 1, intervals 95 %."""
        counts, right = self._by_class()
        present = counts > 0
        recall, (low, high) = right[present] / counts[present], self._balanced_interval()
        of_all = wilson(right.sum(), counts.sum())
        measured = calibration(self.y, self.p)
        return {
            "images": int(counts.sum()),
            "accuracy": _with(right.sum() / counts.sum(), *of_all),
            "balanced_accuracy": _with(recall.mean(), max(low, 0), min(high, 1)),
            "largest_class": self.class_names[int(counts.argmax())],
            "majority_share": float(counts.max() / counts.sum()),
            "chance": 1 / int(present.sum()),
            "negative_log_likelihood": measured.nll,
            "calibration_error": measured.ece,
            "recall": {name: one for name, one in self._recalls()},
            "sure": self._sure(),
        }

    def text(self):
        """Lines of at most 60 columns where the names allow."""
        found = self.as_dict()
        lines = [f"Of {found['images']:,} test images, with 95 % intervals:"]
        for name in ("accuracy", "balanced_accuracy"):
            one = found[name]
            between = f"({100 * one['low']:.1f} to {percent(one['high'], 1)})"
            lines.append(f"  {name.replace('_', ' '):<18}{percent(one['value'], 1):>8}  {between}")
        blind = percent(found["majority_share"], 1)
        lines.append(f"  {'to beat':<18}{blind:>8}  always {found['largest_class']!r}")
        lines.append(f"  {'':<18}{percent(found['chance'], 1):>8}  chance, of the balanced")
        lines += self._worst(found["recall"])
        if found["sure"]:
            share, right = (percent(found["sure"][name]) for name in ("share", "right"))
            lines.append(f"Sure of {share} of them, of which {right} are right.")
        return "\n".join(lines)

    def _worst(self, recalls):
        order = sorted(recalls.items(), key=lambda one: (one[1]["value"], one[1]["high"]))
        wide = min(max(len(name) for name in recalls), 24)
        if len(order) > _SHOWN:
            yield f"The {_SHOWN} classes found worst:"
        else:
            yield "Found of each class:"
        for name, one in order[:_SHOWN]:
            count = f"{one['found']:,} of {one['images']:,}"
            between = f"({100 * one['low']:.0f} to {percent(one['high'])})"
            yield f"  {name[:wide]:<{wide}} {count:>12} {percent(one['value']):>6}  {between}"

    def _by_class(self):
        size = len(self.class_names)
        right = self.y[self.p.argmax(1) == self.y]
        return np.bincount(self.y, minlength=size), np.bincount(right, minlength=size)

    def _balanced_interval(self):
        counts, right = self._by_class()
        return mean_interval(right[counts > 0], counts[counts > 0])

    def _recalls(self):
        counts, right = self._by_class()
        for k in np.flatnonzero(counts):
            low, high = wilson(right[k], counts[k])
            share = {"found": int(right[k]), "images": int(counts[k])}
            yield self.class_names[k], share | _with(right[k] / counts[k], low, high)

    def _sure(self):
        """Of how many images one class alone is to be reckoned with, and how often it is right."""
        if self.sure_from is None:
            return None
        ordered = np.sort(self.p, 1)
        sure = (ordered[:, -1] >= self.sure_from) & (ordered[:, -2] < self.sure_from)
        if not sure.any():
            return {"from": self.sure_from, "share": 0.0, "right": 0.0}
        right = (self.p.argmax(1) == self.y)[sure].mean()
        return {"from": self.sure_from, "share": float(sure.mean()), "right": float(right)}


def write_predictions(path, scores, files):
    """A row for each test image, numbered as in the report, those of the largest losses first."""
    y, p, names = scores.y, scores.p, scores.class_names
    own = p[np.arange(len(y)), y]
    listed = [""] * len(y) if files is None else files["test"]
    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["number", "file", "label", "probability", "predicted", "its_probability"])
        for k in np.argsort(own, kind="stable").tolist():
            said = int(p[k].argmax())
            row = [k, listed[k], names[y[k]], f"{own[k]:.4f}", names[said], f"{p[k, said]:.4f}"]
            writer.writerow(row)


def _with(value, low, high):
    return {"value": float(value), "low": float(low), "high": float(high)}


def sure_from(y, p, wrong=_WRONG):
    """The probability t such that classes of p ≥ t have the right one among them, 1 − `wrong`.

    Split conformal prediction (https://arxiv.org/abs/2107.07511, section 1): t is the k-th smallest
    of the n probabilities that held-out images give to their own class, k = ⌊(n + 1)·wrong⌋. For
    new images like these that holds whatever the network is; None where n is too small for it.
    """
    own = np.sort(p[np.arange(len(y)), y])
    k = math.floor((len(own) + 1) * wrong)
    return float(own[k - 1]) if k else None
