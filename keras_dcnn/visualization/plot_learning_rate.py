"""plot_learning_rate: the loss by learning rate, with the rates to begin with."""

from typing import Any

import numpy as np

from keras_dcnn.diagnosis.learning_rate_curve import LearningRateCurve
from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._style import COLOURS, legend_above


def plot_learning_rate(
    curve: LearningRateCurve, ax: Any = None, title: str = "Learning rate"
) -> Any:
    """Plot the loss of a range test by learning rate, and the two rates that it suggests.

    A good rate lies where the loss falls fast, well before the rise at the right. Where the curve
    is flat up to there, the model did not learn at any rate. Spikes and that rise may leave the
    axes.

    Args:
        curve: What `keras_dcnn.diagnosis.find_learning_rate` returns.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        TypeError: for what is no `LearningRateCurve`.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    curve = keras_dcnn.diagnosis.LearningRateCurve(
        rates=(0.01, 0.1, 1.0), losses=(2.0, 1.0, 9.0), smoothed=(2.0, 1.4, 5.0),
        steepest=0.1, valley=0.1, diverged=True,
    )
    keras_dcnn.visualization.plot_learning_rate(curve)
    ```

    Reference:
        Smith: Cyclical Learning Rates for Training Neural Networks (2015), figure 3.
        https://arxiv.org/abs/1506.01186
    """
    if not isinstance(curve, LearningRateCurve):
        raise TypeError(
            "`curve` must be what find_learning_rate returns, a LearningRateCurve; got "
            f"{type(curve).__name__}: for training curves there is plot_loss."
        )
    if ax is not None:
        ax.set_xscale("linear")  # where a curve is drawn already: only then are ticks made whole
    ax = axes(ax, title, "loss")
    ax.set(xscale="log", xlabel="learning rate")
    colour = COLOURS["train"]
    ax.plot(curve.rates, curve.losses, color=colour, linewidth=0.7, alpha=0.5, label="of a batch")
    ax.plot(curve.rates, curve.smoothed, color=colour, linewidth=2, label="smoothed")
    if curve.valley is None or curve.steepest is None:
        ax.plot([], [], " ", label="no rate suggested")
    elif curve.valley == curve.steepest:
        _mark(ax, curve, curve.valley, "valley and steepest", "D")
    else:
        _mark(ax, curve, curve.valley, "valley", "o")
        _mark(ax, curve, curve.steepest, "steepest", "D")
    _keep_in_view(ax, curve)
    legend_above(ax)
    return ax


def _mark(ax, curve, rate, name, marker):
    """A point on the smoothed curve, with the rate in the legend."""
    loss = curve.smoothed[curve.rates.index(rate)]
    label = f"{name}, {rate:.2g}"
    ax.plot([rate], [loss], marker, color=COLOURS["validation"], zorder=3, label=label)


def _keep_in_view(ax, curve):
    """Let single spikes, and what is right of the lowest loss, which may be huge, go out."""
    lowest = curve.smoothed.index(min(curve.smoothed))
    usual = np.quantile(curve.losses[: lowest + 1], [0.02, 0.98])
    seen = [*usual, *curve.smoothed[: lowest + 1], *np.quantile(curve.losses, [0.02, 0.1])]
    top, bottom = max(seen), min(seen)
    margin = 0.1 * (top - bottom) or 1
    ax.set_ylim(bottom - margin, top + margin)
