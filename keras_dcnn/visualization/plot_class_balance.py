"""plot_class_balance: how many samples there are of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn._reading.labels import class_numbers
from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._names import class_names_for
from keras_dcnn.visualization._style import COLOURS, SMALL

_BARS = 40  # classes that are written out
_LOG_FROM = 30  # times that the largest class is larger than the smallest


def plot_class_balance(
    y: ArrayLike,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
    title: str = "Class balance",
) -> Any:
    """Plot the number of samples of each class, the largest first.

    Look before training: where one class is many times another, an accuracy says little, and the
    remedies of `keras_dcnn.imbalance` are worth a try. Up to 40 classes are bars with their names,
    more are one curve. The axis is logarithmic where the largest class is more than 30 times the
    smallest; then there are dots, as the length of a bar would say nothing.

    Args:
        y: Classes from 0, (samples,) or (samples, 1), or one-hot rows.
        class_names: Names of the classes, at least as many as come; None writes "class 3". Those
            of which there are no samples count as 0.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: for no samples, for labels that are no classes, and for too few names.
        ImportError: without matplotlib.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    y = np.repeat([0, 1, 2], [500, 60, 8])
    keras_dcnn.visualization.plot_class_balance(y, ["cat", "dog", "axolotl"])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 9.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    numbers, known = class_numbers(y)
    if not len(numbers):
        raise ValueError("`y` must have at least one sample; got none.")
    names = class_names_for(class_names, known, "class {}")
    counts = np.bincount(numbers, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    names, counts = [names[number] for number in order], counts[order]
    few = len(counts) <= _BARS
    ax = axes(ax, title, "class", size=(6, 0.22 * len(counts) + 1.4 if few else 4))
    log = bool(counts[0] > _LOG_FROM * counts[counts > 0][-1])
    (_draw_bars if few else _draw_tail)(ax, names, counts, log)
    long = ax.xaxis if few else ax.yaxis
    long.set_major_formatter(lambda count, _: f"{count:,.0f}")
    return ax


def _said(counts, log):
    """What the axis shows, with the balance in words."""
    none = int((counts == 0).sum())
    balance = (
        f"no samples of {none} of {len(counts)} classes"
        if none
        else f"largest : smallest = {counts[0] / counts[-1]:.3g} : 1"
    )
    return f"samples{', log scale' * log}\n{balance}"


def _draw_bars(ax, names, counts, log):
    """Bars; on a logarithmic axis, where a length says nothing, dots."""
    rows = np.arange(len(counts))
    if log:
        ax.set_xscale("log")
        start = counts[counts > 0][-1] / 2
        ax.hlines(rows, start, np.maximum(counts, start), color=COLOURS["note"], linewidth=0.8)
        there = counts > 0
        ax.plot(counts[there], rows[there], "o", color=COLOURS["train"])
        ax.set_xlim(start, counts[0] * (counts[0] / start) ** 0.2)
    else:
        start = 0
        ax.barh(rows, counts, color=COLOURS["train"])
        ax.set_xlim(0, 1.2 * counts[0])
    for row, count in enumerate(counts):
        near = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 7}
        ax.annotate(f"{count:,}", (max(count, start), row), **near)
    ax.set_yticks(rows, names, fontsize=SMALL)
    ax.set(ylim=(len(counts) - 0.4, -0.6), xlabel=_said(counts, log), ylabel="")
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.grid(axis="x", color=COLOURS["note"], alpha=0.25, linewidth=0.6)


def _draw_tail(ax, names, counts, log):
    """One curve for many classes, with names at its ends and in the middle."""
    start = counts[counts > 0][-1] / 4 if log else 0
    places, shown = np.arange(1, len(counts) + 1), np.maximum(counts, start)
    ax.set(yscale="log" if log else "linear", ylabel=_said(counts, log))
    ax.set_xlabel("classes, the largest first")
    ax.fill_between(places, start, shown, step="mid", color=COLOURS["train"], alpha=0.25)
    ax.plot(places, shown, drawstyle="steps-mid", color=COLOURS["train"])
    ax.set(xlim=(0, len(counts) + 1), ylim=(start, None))
    paper = {"facecolor": ax.get_facecolor(), "alpha": 0.7, "linewidth": 0, "pad": 1}
    middle, last = len(counts) // 2, len(counts) - 1
    for at, side, offset in (
        (0, "left", (7, 0)),
        (middle, "left", (4, 6)),
        (last, "right", (2, 9)),
    ):
        ax.plot([places[at]], [shown[at]], "o", color=COLOURS["validation"], markersize=4)
        near = {"xytext": offset, "textcoords": "offset points", "ha": side, "fontsize": SMALL}
        said = f"{names[at]}: {counts[at]:,}"
        ax.annotate(said, (places[at], shown[at]), bbox=paper, **near)
