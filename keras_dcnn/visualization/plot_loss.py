"""plot_loss: the loss by epoch, with the cuts of the learning rate."""

from typing import Any

import numpy as np

from keras_dcnn.visualization._axes import axes, curve, curves, numbers
from keras_dcnn.visualization._style import COLOURS, draw_curve, keep_apart, legend_above, points

_EXPLODES = 100  # times the median loss
_ROOM = 32  # points of width for the number of a rate


def plot_loss(history: Any, ax: Any = None, title: str = "Loss") -> Any:
    """Plot training and validation loss by epoch, and where the learning rate was cut.

    Read it as the tutorial does: a rate too high stalls high or jumps, one too low falls nearly
    straight, a good one falls fast, then smoothly; each cut should start a new descent. Where many
    cuts would crowd, the deepest are shown; where the loss explodes, the axis is logarithmic.

    Args:
        history: `keras.callbacks.History`, or a dict of lists with `"loss"`, and `"val_loss"` and
            `"learning_rate"` where there are any.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: for a history without `"loss"`.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    history = {"loss": [2.3, 1.1, 0.8], "val_loss": [2.2, 1.3, 1.2]}
    history["learning_rate"] = [0.1, 0.1, 0.05]
    keras_dcnn.visualization.plot_loss(history)
    ```

    Reference:
        Karpathy et al.: CS231n, Neural Networks Part 3. https://cs231n.github.io/neural-networks-3/
    """
    logs = curves(history)
    train = curve(history, "loss")
    ax = axes(ax, title, "loss")
    draw_curve(ax, *train, "training")
    if "val_loss" in logs:
        draw_curve(ax, *curve(history, "val_loss"), "validation")
    _scale(ax)
    raised = _mark_cuts(ax, numbers("learning_rate", logs.get("learning_rate", [])))
    legend_above(ax, raised)
    return ax


def _scale(ax):
    """A logarithmic axis where the loss explodes, and no close-up of what hardly differs."""
    values = np.concatenate([line.get_ydata() for line in ax.lines])
    if len(values) and values.min() > 0 and values.max() > _EXPLODES * np.median(values):
        ax.set_yscale("log")
    elif len(values):
        keep_apart(ax, 0.1 * np.abs(values).max())


def _mark_cuts(ax, rates):
    """A dotted line before epochs with a lower rate than the last, the rate above; and how high.

    Where they would crowd, the deepest cuts.
    """
    cuts = np.flatnonzero(np.diff(rates) < 0)
    shown = _apart(cuts, rates[cuts + 1] / rates[cuts], _ROOM * len(rates) / points(ax)[0])
    some = f" ({len(shown)} of {len(cuts)} cuts)" if len(shown) < len(cuts) else ""
    for i in shown:
        style = {"color": COLOURS["note"], "linestyle": ":", "linewidth": 1}
        ax.axvline(
            i + 1.5,
            label=f"learning rate cut to{some}" if i == shown[0] else None,
            zorder=1,
            **style,
        )
        ax.annotate(
            f"{rates[i + 1]:.2g}",
            (i + 1.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=COLOURS["note"],
        )
    return 8 if len(shown) else 0


def _apart(cuts, depths, least):
    """The cuts, the deepest first choice, that lie at least so many epochs apart, in order."""
    shown = []
    for i in np.argsort(depths, kind="stable"):
        if all(abs(cuts[i] - other) >= least for other in shown):
            shown.append(cuts[i])
    return sorted(shown)
