"""RemedyComparison: what each remedy against class imbalance gave, in one table."""

from dataclasses import dataclass

from keras_dcnn._checks import check_choice
from keras_dcnn.imbalance._remedy_scores import interval

_PERCENT = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "many": "many",
    "medium": "medium",
    "few": "few",
    "macro_f1": "macro F1",
}
_OTHERS = {"nll": ("NLL", "{:.3f}"), "seconds": ("seconds", "{:.3g}")}


@dataclass(frozen=True)
class RemedyComparison:
    """What `compare_remedies` measured; printed, it is a table, and a figure by `plot_remedies`.

    Each number is the mean over the seeds ± half its 95 % interval (Student's t). The last columns
    have the balanced accuracy less that of "none" of the same seed, in points: "better" where the
    interval of that difference lies above 0, "worse" where it lies below, else "no difference
    seen". With 16 rows about one in 20 is called so by chance.

    Args:
        scores: By remedy and score, a number for each seed: `accuracy`, `balanced_accuracy`, recall
            of `many`, `medium` and `few`, `macro_f1`, all from 0 to 1; `nll` in nats; `seconds`.
        seeds: The seeds, at least two.
        groups: Classes that have "many", "medium" and "few" training samples: thirds of the
            classes, of two classes many and few.
        num_test: Number of samples that the scores are of.
        taus: τ of "adjusted", one for each seed; () without that row.
        notes: What was left out, and why.

    Example:

    ```python
    import keras_dcnn

    row = dict.fromkeys(("accuracy", "many", "few", "macro_f1", "nll", "seconds"), (0.8, 0.7))
    comparison = keras_dcnn.imbalance.RemedyComparison(
        scores={
            "none": {"balanced_accuracy": (0.5, 0.55), **row},
            "over": {"balanced_accuracy": (0.62, 0.68), **row},
        },
        seeds=(0, 1), groups={"many": (0,), "few": (1,)}, num_test=200, taus=(), notes=(),
    )
    print(comparison, comparison.difference("over"))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 9.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    scores: dict[str, dict[str, tuple[float, ...]]]
    seeds: tuple[int, ...]
    groups: dict[str, tuple[int, ...]]
    num_test: int
    taus: tuple[float, ...]
    notes: tuple[str, ...]

    def mean(self, remedy: str, score: str = "balanced_accuracy") -> tuple[float, float, float]:
        """(mean, low, high) of a score of a remedy over the seeds."""
        return interval(self._values(remedy, score))

    def difference(
        self, remedy: str, other: str = "none", score: str = "balanced_accuracy"
    ) -> tuple[float, float, float]:
        """(mean, low, high) of a score of a remedy less that of another, paired by seeds."""
        pairs = zip(self._values(remedy, score), self._values(other, score), strict=True)
        return interval([one - two for one, two in pairs])

    def verdict(self, remedy: str) -> str:
        """ "better" or "worse" than "none", or "no difference seen", by the balanced accuracy."""
        _, low, high = self.difference(remedy)
        return "better" if low > 0 else "worse" if high < 0 else "no difference seen"

    def _values(self, remedy, score):
        check_choice("remedy", remedy, tuple(self.scores))
        check_choice("score", score, tuple(self.scores[remedy]))
        return self.scores[remedy][score]

    def __str__(self) -> str:
        percent = {name: title for name, title in _PERCENT.items() if name in self.scores["none"]}
        titles = [*percent.values(), *(title for title, _ in _OTHERS.values())]
        table = [["", *titles, "to none", ""]]
        for name in self.scores:
            cells = [_of_interval(self.mean(name, score), 100) for score in percent]
            cells += [
                _of_interval(self.mean(name, s), 1, shown) for s, (_, shown) in _OTHERS.items()
            ]
            if name != "none":
                cells += [_of_interval(self.difference(name), 100, "{:+.1f}"), self.verdict(name)]
            table.append([name, *cells, *[""] * (len(table[0]) - len(cells) - 1)])
        first, *widths, _ = (max(map(len, column)) for column in zip(*table, strict=True))
        line = "  ".join([f"{{:<{first}}}", *(f"{{:>{width}}}" for width in widths), "{}"])
        lines = [line.format(*cells).rstrip() for cells in table]
        return "\n".join([*self._title(), *lines, *self.notes])

    def _title(self):
        groups = "; ".join(f"{name}: {_listed(group)}" for name, group in self.groups.items())
        title = [
            f"{self.num_test:,} test samples, mean of {len(self.seeds)} seeds ± 95 % interval; in "
            "percent, NLL in nats",
            f"recall of the classes with many and few training samples ({groups})",
        ]
        if self.taus:
            title.append(f"adjusted: τ = {', '.join(f'{tau:g}' for tau in sorted({*self.taus}))}")
        return title


def _of_interval(numbers, scale, shown="{:.1f}"):
    mean, low, _ = (scale * number for number in numbers)
    return f"{shown.format(mean)} ± {shown.replace('+', '').format(mean - low)}"


def _listed(classes, most=6):
    texts = [str(one) for one in classes]
    return ", ".join(texts if len(texts) <= most else [*texts[: most - 1], "…", texts[-1]])
