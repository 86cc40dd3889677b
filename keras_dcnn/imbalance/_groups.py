"""The classes of labels, as sampling takes them: groups of samples that are drawn alike."""

from typing import NamedTuple

import numpy as np

from keras_dcnn._reading.labels import (
    as_numbers,
    check_each_class,
    check_two_classes,
    class_numbers,
)
from keras_dcnn.imbalance._sampling import epoch_counts
from keras_dcnn.imbalance.class_weights import effective_numbers

BETA = 0.999  # of the effective number; the default of Wei's "Bag of tricks" (2021)


class Groups(NamedTuple):
    """Groups of samples that are drawn alike: classes, or of several labels the rarest."""

    of_sample: np.ndarray  # (samples,)
    sizes: np.ndarray  # (groups,), of the samples that count
    labels: np.ndarray | None = None  # (samples, classes) of 0 and 1, where a sample has several

    @property
    def counts(self):
        """Samples of each class."""
        return self.sizes if self.labels is None else self.labels.sum(0)

    def wanted(self, mode, epoch, epochs):
        """How many of each group the epoch draws."""
        if self.labels is None:
            return epoch_counts(self.sizes, mode, epoch, epochs)
        often = self.counts.max() / self.counts
        often = np.append(often if mode == "over" else np.sqrt(often), 1)  # 1 for those of no label
        return np.rint(often * self.sizes).astype("int64")

    def drawn(self, wanted):
        """How many of each class come when so many of each group do; of several labels about."""
        if self.labels is None:
            return wanted
        often = (wanted / np.maximum(self.sizes, 1))[self.of_sample]
        return np.rint(often @ self.labels).astype("int64")


def groups_of(y, mode, counting=None):
    """The groups of labels; samples that do not count, where `counting` is False, are in none.

    Raises ValueError for labels that are none, for one class, and for a class without a sample.
    """
    labels = as_numbers("y", y)
    if counting is not None and counting.any():  # of the others any label will do
        labels = labels.copy()
        labels[~counting] = labels[counting][0]
    several = _several_labels(labels)
    if several and (not isinstance(mode, str) or mode not in ("over", "sqrt")):
        raise ValueError(
            "`mode` must be 'over' or 'sqrt' where samples have several labels, as drawing fewer "
            f"of one draws fewer of its others; got {mode!r}."
        )
    of_sample, classes = (None, labels.shape[1]) if several else class_numbers(labels)
    labels = labels.astype("int64") if several else None
    if several:
        labels = labels if counting is None else labels * np.asarray(counting)[:, None]
        of_sample = _rarest(labels)
    counting = slice(None) if counting is None else counting
    sizes = np.bincount(of_sample[counting], minlength=classes + several)
    groups = Groups(of_sample, sizes, labels)
    check_classes("`y`", groups.counts, mode)
    return groups


def _several_labels(labels):
    """Whether these are rows of 0 and 1 of which some have no 1, or more than one."""
    if labels.ndim != 2 or labels.shape[1] < 2:
        return False
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) != 1).any())


def _rarest(labels):
    """For each sample its label with the fewest samples; the number of labels where it has none."""
    counts = labels.sum(0)
    rarity = np.where(labels > 0, counts, counts.max() + 1)
    return np.where(labels.any(1), rarity.argmin(1), len(counts))


def check_classes(name, counts, mode):
    """Raise ValueError for one class, and for one without a sample where a mode is by name."""
    fix = "number the classes without gaps, or give `mode` as numbers of samples, with 0 for it"
    if isinstance(mode, str):
        check_each_class(name, counts, fix)
    check_two_classes(name, counts)


def class_table(names, counts, drawn, most=20):
    """Lines of a table: samples, their effective number, and those drawn, by class.

    `drawn` has the numbers by the titles of their columns.
    """
    effective = effective_numbers(counts, BETA)
    rows = [("class", "samples", "effective", *drawn)]
    for number in np.argsort(-counts, kind="stable"):
        figures = (counts[number], f"{effective[number]:.1f}", *(d[number] for d in drawn.values()))
        rows.append((str(names[number]), *map(str, figures)))
    rows.append(("all", str(counts.sum()), "", *(str(d.sum()) for d in drawn.values())))
    if len(rows) > most + 3:  # those with the most and with the fewest
        rows[most // 2 + 1 : -most // 2 - 1] = [("…",) + ("",) * (len(rows[0]) - 1)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(w) if i else text.ljust(w) for i, (text, w) in enumerate(aligned))
        for aligned in (list(zip(row, widths, strict=True)) for row in rows)
    )
