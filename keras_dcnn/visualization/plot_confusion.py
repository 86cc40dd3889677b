"""plot_confusion: which classes are taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_choice
from keras_dcnn.diagnosis._predictions.answers import read_pairs
from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._names import class_names_for
from keras_dcnn.visualization._style import percent, points

_READABLE = 5.5  # points


def plot_confusion(
    y: ArrayLike,
    predictions: ArrayLike,
    class_names: Sequence[str] | None = None,
    normalize: str | None = None,
    ax: Any = None,
    title: str = "Confusion",
) -> Any:
    """Plot how many samples of each class were taken for each class.

    A row is a true class, with its number of samples, a column what the model said; what is off the
    diagonal are mistakes. The colour is the share of the row, so that a rare class is seen as well
    as a large one; small shares are stretched. Where there are too many classes for numbers that
    can be read, the commonest mistakes are written below.

    Args:
        y: True classes from 0, (samples,) or (samples, 1), or one-hot rows.
        predictions: Of the same samples: probabilities or logits (samples, classes), those of one
            sigmoid, (samples, 1) or (samples,), or the predicted classes as integers.
        class_names: Names of the classes; None writes numbers.
        normalize: The numbers in the cells: None for counts, "row" for shares of the true class.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: for no samples, other numbers of samples, NaN, and labels or names that don't
            fit the columns.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    y, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0]
    keras_dcnn.visualization.plot_confusion(y, predicted, ["cat", "dog", "cow"], normalize="row")
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 9.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    check_choice("normalize", normalize, (None, "row"))
    y, predicted, known, _ = read_pairs(y, predictions, class_names)
    count = max(known, int(y.max()) + 1, int(predicted.max()) + 1)
    longest = 24 if ax is None else max(8, int(points(ax)[0] / 16))
    names = class_names_for(class_names, count, longest=longest)
    counts = np.zeros((count, count), int)
    np.add.at(counts, (y, predicted), 1)
    totals = counts.sum(1)
    shares = counts / np.maximum(totals, 1)[:, None]
    ax = axes(ax, title, "true class", "predicted class", size=_size(names))
    _draw_shares(ax, shares)
    cell = 0.75 * min(points(ax)) / count  # about: the names take their part
    _name(ax, names, totals, cell)
    length = len(percent(1)) if normalize else len(f"{counts.max():,}")
    size = min(cell / (0.65 * length), 0.5 * cell, 10)
    if size >= _READABLE:
        _write(ax, counts, shares, size, percent if normalize else None)
    else:
        ax.set_xlabel(f"predicted class{_commonest(counts, names)}")
    return ax


def _size(names):
    """Width and height in inches: cells with room for numbers, the names, the bar of colours."""
    side = min(max(0.5 * len(names), 2.4), 9)
    room = 0.07 * max(map(len, names))
    return side + room + 1.6, side + (room if len(names) > 3 or room > 0.5 else 0.2) + 0.8


def _draw_shares(ax, shares):
    from matplotlib.colors import PowerNorm

    image = ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.06, pad=0.02, label="share of the true class")
    ticks = (0, 0.05, 0.2, 0.5, 1)
    bar.set_ticks(ticks, labels=map(percent, ticks))
    ax.grid(visible=False)


def _name(ax, names, totals, cell):
    """Names at both axes, or at every second, third, … class where they would overlap."""
    size = min(max(0.8 * cell, 5), 8)
    every = np.arange(0, len(names), int(np.ceil(1.2 * size / cell)))
    rows = [f"{names[number]} ({totals[number]:,})" for number in every]
    columns = [names[number] for number in every]
    ax.set_yticks(every, rows, fontsize=size)
    long = max(map(len, columns)) * 0.6 * size > cell
    turned = {"rotation": 90 if len(names) > 12 else 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(every, columns, fontsize=size, **(turned if long else {}))


def _write(ax, counts, shares, size, share_as_text):
    """The numbers that are not 0, white on dark."""
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.35 else "black"
        style = {"ha": "center", "va": "center", "fontsize": size, "color": colour}
        share, count = shares[row, column], counts[row, column]
        ax.text(column, row, share_as_text(share) if share_as_text else f"{count:,}", **style)


def _commonest(counts, names, most=3):
    """The mistakes that were made most often, in words."""
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    places = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [np.unravel_index(place, wrong.shape) for place in places]
    said = [f"{names[i]} taken for {names[j]}: {wrong[i, j]:,}" for i, j in pairs if wrong[i, j]]
    return "\n".join(["", "the commonest mistakes:", *said] if said else [])
