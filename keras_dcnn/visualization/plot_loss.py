"""plot_loss: the loss by epoch, with the cuts of the learning rate."""

from typing import Any

import numpy as np

from keras_dcnn.visualization._axes import COLOURS, axes, curve, curves


def plot_loss(history: Any, ax: Any = None, title: str = "Loss") -> Any:
    """Plot training and validation loss by epoch, and where the learning rate was cut.

    Read it as the tutorial does: a rate too high stalls high or jumps, one too low falls nearly
    straight, a good one falls fast, then smoothly; each cut should start a new descent.

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
    if "learning_rate" in logs:
        _mark_cuts(ax, logs["learning_rate"])
    ax.plot(*train, color=COLOURS["train"], label="training")
    if "val_loss" in logs:
        ax.plot(*curve(history, "val_loss"), color=COLOURS["validation"], label="validation")
    ax.legend(frameon=False)
    return ax


def _mark_cuts(ax, rates):
    """A dashed line before each epoch with a lower rate than the last, labelled with the rate."""
    for i in np.flatnonzero(np.diff(rates) < 0):
        ax.axvline(i + 1.5, color=COLOURS["note"], linestyle=":", linewidth=1)
        ax.annotate(
            f"{rates[i + 1]:.2g}",
            (i + 1.5, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(2, 0),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=7,
            color=COLOURS["note"],
        )
