"""plot_dead_units: the share of rectified units of each layer that never fire."""

from typing import Any

import numpy as np

from keras_dcnn._checks import is_number
from keras_dcnn.callbacks.dead_units import ALARM
from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._style import COLOURS, HATCHED, SMALL, legend_above, percent


def plot_dead_units(dead: Any, ax: Any = None, title: str = "Dead units by layer") -> Any:
    """Plot the share of each layer's ReLU units that fired for no sample, from input to output.

    Dead units in the first layers point at a learning rate that is too high; more from layer to
    layer at the initialisation. The line is at 40 %, of which the tutorial tells; layers above it
    are hatched.

    Args:
        dead: A `callbacks.DeadUnits` that was trained with, or its `dead_unit_fractions`: a share
            for each layer by its name.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        TypeError: for other things.
        ValueError: for a callback that has not yet looked, and for shares outside of 0 to 1.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    shares = {"conv1": 0.03, "conv2": 0.12, "dense": 0.55}
    keras_dcnn.visualization.plot_dead_units(shares)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 5.2.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    fractions = _checked(getattr(dead, "dead_unit_fractions", dead))
    shares, rows = np.array(list(fractions.values()), float), np.arange(len(fractions))
    ax = axes(ax, title, "", "share of units that never fired", (6, 0.2 * len(shares) + 1.6))
    ax.barh(rows, shares, color=COLOURS["train"], alpha=0.8)
    alarming = shares > ALARM
    if alarming.any():
        style = {**HATCHED, "edgecolor": "white"}
        ax.barh(rows[alarming], shares[alarming], **style)
    ax.axvline(ALARM, color=COLOURS["validation"], linestyle="--", label=f"alarm, {percent(ALARM)}")
    for row, share in zip(rows, shares, strict=True):
        paper = {"facecolor": ax.get_facecolor(), "linewidth": 0, "pad": 0.5}
        ax.text(share + 0.01, row, percent(share), va="center", fontsize=7, bbox=paper)
    ax.set_yticks(rows, [_end(name) for name in fractions], fontsize=SMALL)
    ax.set(xlim=(0, 1.1), ylim=(len(rows) - 0.4, -0.6), xticks=np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    ax.grid(visible=False)
    legend_above(ax)
    return ax


def _end(path, longest=32):
    """The end of a layer's path, which tells layers apart."""
    path = path if len(path) <= longest else f"…{path[1 - longest :]}"
    return path.replace("$", r"\$")


def _checked(fractions):
    if not isinstance(fractions, dict):
        raise TypeError(
            "`dead` must be a DeadUnits callback, or a dict with a share for each layer; got "
            f"{type(fractions).__name__}."
        )
    if not fractions:
        raise ValueError("`dead` must have looked at a layer; it has not: train with it first.")
    for name, share in fractions.items():
        if not is_number(share) or not 0 <= share <= 1:
            raise ValueError(f"`dead` must have shares from 0 to 1; got {share!r} for {name!r}.")
    return fractions
