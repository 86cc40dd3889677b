"""plot_batch_loss: the loss batch by batch, and how wide that curve is."""

from importlib import import_module
from typing import Any

import numpy as np

from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._loss_points import read_loss_points
from keras_dcnn.visualization._style import COLOURS, legend_above, lost

_WINDOWS, _IN_WINDOW = 40, 20  # at most so many side by side, of at least so many batches
_PLACES = 80  # of windows, which overlap
_RAW = 3000  # batches of which each is drawn


def plot_batch_loss(curve: Any, ax: Any = None, title: str = "Loss by batch") -> Any:
    """Plot the loss of every batch as a smoothed line, and the band in which most batches lie.

    Read it as the tutorial does: a curve that is nearly straight says that the learning rate is
    low, one that hardly falls that it is high, or low. The width of the curve is the noise from
    batch to batch: where it hides the descent, take larger batches.

    The line goes, in windows of a 40th of the batches (of few batches of a 10th, and of 20 at
    least), through the medians of the first and the second half. The band holds 90 % of a window's
    batches, from the 5 % to the 95 % quantile around the line, so that neither the descent nor a
    single spike widens it. Spikes may leave the axes; fewer than 40 batches have no band. Points of
    a `CurveRecorder` that stand for several batches show their range, lowest to highest, instead.

    Args:
        curve: A `callbacks.CurveRecorder`, what its `points()` returned, the path of its CSV file,
            or a list with the loss of each batch. Of a recorder whose points were merged the file
            is read, where it has one.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        TypeError: for other things, such as a History.
        ValueError: for no finite loss, and files that are not a CurveRecorder's.
        ImportError: without matplotlib.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    steps = np.arange(400)
    noise = np.random.default_rng(0).normal(0, 0.2, 400)
    keras_dcnn.visualization.plot_batch_loss(2.3 * np.exp(-steps / 150) + 0.3 * np.exp(noise))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 7, figure 2.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    read = read_loss_points(curve)
    losses = read.finite()
    count = len(losses.step)
    ax = axes(ax, title, "loss", xlabel="batch")
    ax.xaxis.set_major_formatter(import_module("matplotlib.ticker").EngFormatter(sep=""))
    if count >= 2 * _IN_WINDOW:
        _draw_band(ax, losses, lost("batch", read.step, np.isfinite(read.loss)))
    if count < 2 * _IN_WINDOW or (losses.merged == 1 and count <= _RAW):
        _draw_batches(ax, losses)
    legend_above(ax)
    return ax


def _draw_batches(ax, losses):
    """A dot for each, joined where there is no smoothed line."""
    low, high = ax.get_ylim()
    style = {"color": COLOURS["note"], "linewidth": 0.8, "markersize": 4, "zorder": 1}
    style["linestyle"] = "" if ax.lines else "-"
    outside = ((losses.loss < low) | (losses.loss > high)).sum() if ax.lines else 0
    label = f"each batch, {outside} outside" if outside else "each batch"
    ax.plot(losses.step, losses.loss, ".", alpha=0.4 if ax.lines else 1, label=label, **style)


def _draw_band(ax, losses, end):
    steps, line, below, above = np.transpose([*_smoothed(losses)])
    below, above = np.clip((below, above), losses.low.min(), losses.high.max())
    what = f"range of {losses.merged} batches" if losses.merged > 1 else "90 % of batches"
    label = f"{what}, last width {above[-1] - below[-1]:.3g}"
    style = {"color": COLOURS["train"], "alpha": 0.25, "linewidth": 0}
    ax.fill_between(steps, below, above, label=label, zorder=2, **style)
    label = f"smoothed{end}"
    ax.plot(steps, line, color=COLOURS["train"], linewidth=2, label=label, zorder=3)
    margin = 0.15 * (above.max() - below.min()) or 1
    bottom = below.min() - margin
    ax.set_ylim(max(bottom, 0) if losses.low.min() >= 0 else bottom, above.max() + margin)


def _smoothed(losses):
    """(step, line, below, above) at evenly spread steps, each by the batches around it.

    The line through the medians of the first and the second half of these, which is straight where
    a mean would lag.
    """
    step, loss, low, high = losses
    length = max(_IN_WINDOW, len(step) // _WINDOWS, min(len(step) // 10, 5 * _IN_WINDOW))
    for place in np.linspace(0, len(step) - 1, min(_PLACES, len(step) // 5)).astype(int):
        begin = min(max(place - length // 2, 0), len(step) - length)
        window, halves = slice(begin, begin + length), (begin, begin + length // 2)
        ends = [slice(half, half + length // 2) for half in halves]
        (x0, x1), (y0, y1) = (
            [of(values[end]) for end in ends] for of, values in ((np.mean, step), (np.median, loss))
        )
        slope = (y1 - y0) / (x1 - x0)
        line = y0 + slope * (step[window] - x0)
        if losses.merged > 1:
            spread = np.median(low[window] - line), np.median(high[window] - line)
        else:
            spread = np.quantile(loss[window] - line, (0.05, 0.95))
        here = y0 + slope * (step[place] - x0)
        yield step[place], here, here + spread[0], here + spread[1]
