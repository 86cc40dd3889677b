"""The figures of held-out images: confusion, the worst of them, calibration; and augmentation."""

import contextlib
from functools import partial

import numpy as np

from keras_dcnn._state.snapshot import variables_kept
from keras_dcnn.diagnosis._shares import wilson
from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._report.figures import curve_axes, draw
from keras_dcnn.visualization._report.read_data import WORST, Worst
from keras_dcnn.visualization._report.table import Table
from keras_dcnn.visualization._style import COLOURS, legend_above
from keras_dcnn.visualization.plot_augmentation import plot_augmentation
from keras_dcnn.visualization.plot_class_balance import plot_class_balance
from keras_dcnn.visualization.plot_confusion import plot_confusion
from keras_dcnn.visualization.plot_worst_images import plot_worst_images

_WRITTEN = 25  # classes up to which the cells have numbers
_DRAWS = 6
_WIDE = 13  # classes from which the figure needs a row to itself


def confusion_figures(predicted):
    """Counts, and shares of rows; of many classes, whose cells have no numbers, one picture."""
    counts, names = predicted.confusion, predicted.names
    totals = counts.sum(1)
    rows = [
        (names[i], names[j], int(counts[i, j]), counts[i, j] / totals[i])
        for i, j in np.argwhere(counts)
    ]
    table = Table(("true", "predicted", "images", "share_of_true"), rows)
    plot = partial(plot_confusion, predicted.y, predicted.p, predicted.class_names, title="")
    wide = len(names) >= _WIDE
    right = int(np.trace(counts))
    alt = f"Confusion matrix of {len(names)} classes; {right:,} of {counts.sum():,} on the diagonal"
    if len(names) > _WRITTEN:
        return [draw("Confusion", f"{alt}.", table, plot, wide)]
    shares = partial(plot, normalize="row")
    return [
        draw("Confusion, counts", f"{alt}.", table, plot, wide),
        draw("Confusion, by row", f"{alt}, as shares of the true class.", table, shares, wide),
    ]


def worst_figure(predicted, images, value_range):
    """The images of the largest losses."""
    worst = np.argsort(-predicted.losses, kind="stable")[:WORST].tolist()
    y, said, p, names = predicted.y, predicted.said, predicted.p, predicted.names
    rows = [
        (i, names[y[i]], p[i, y[i]], names[said[i]], p[i, said[i]], predicted.losses[i])
        for i in worst
    ]
    header = ("number", "true", "p_of_true", "predicted", "p_of_predicted", "loss")
    first = f"{names[y[worst[0]]]}, taken for {names[said[worst[0]]]}"
    alt = f"The {len(worst)} images with the largest loss; the first is {first}."
    looks_like_all = Worst(images, predicted.count)
    given = (looks_like_all, y, p, predicted.class_names, WORST, value_range)
    plot = partial(plot_worst_images, *given)
    return draw("Worst images", alt, Table(header, rows), plot, wide=True, photo=True)


def calibration_figure(predicted):
    """How often it is right, by how sure it says it is."""
    bins = [(*one, one[4] / one[2], *wilson(one[4], one[2])) for one in predicted.reliability()]
    header = ("from", "to", "images", "mean_probability", "right", "share_right", "low", "high")
    said = [f"of {b[2]} images at {b[3]:.0%}, {b[5]:.0%} right" for b in bins if b[2]]
    alt = f"Share of right answers by the probability of the answer: {'; '.join(said)}."
    return draw("Reliability", alt, Table(header, bins), partial(_plot_reliability, bins))


def _plot_reliability(bins):
    ax = axes(curve_axes(), "", "share right", xlabel="probability of the answer")
    low, high, count, mean, _, share, least, most = np.transpose(bins)
    ax.plot([0, 1], [0, 1], "--", color=COLOURS["note"], linewidth=1, label="as sure as right")
    style = {"color": COLOURS["train"], "marker": "o", "markersize": 4, "capsize": 2}
    arms = [np.maximum(share - least, 0), np.maximum(most - share, 0)]
    label = "share right, 95 % interval"
    ax.errorbar(mean, share, arms, linestyle="", label=label, **style)
    shares = count / count.sum()
    bar = {"align": "edge", "color": COLOURS["note"], "alpha": 0.25, "linewidth": 0}
    ax.bar(low, shares, high - low, label="share of the images", **bar)
    ax.set(xlim=(0, 1.01), ylim=(0, 1.02))
    ax.xaxis.get_major_locator().set_params(integer=False)
    legend_above(ax)
    return ax


def augmentation_figure(layers, images, value_range):
    """Draws of each layer, whose own random numbers are as before afterwards."""
    layers = layers if isinstance(layers, (list, tuple)) else [layers]
    names = [type(layer).__name__ for layer in layers]
    alt = f"Images beside {_DRAWS} draws of each of {', '.join(names)}."
    table = Table(("row", "layer"), [*enumerate(np.repeat(names, len(images)).tolist(), 1)])
    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(variables_kept(getattr(layer, "variables", [])))
        plot = partial(plot_augmentation, layers, images, _DRAWS, value_range)
        return draw("Augmented images", alt, table, plot, wide=True, photo=True)


def balance_figure(name, y, class_names, names):
    """How many images of each class."""
    counts = np.bincount(y, minlength=len(names))
    table = Table(("class", "images"), [*zip(names, counts.tolist(), strict=True)])
    alt = f"Images of each class of the {name}: from {counts.min():,} to {counts.max():,}."
    plot = partial(plot_class_balance, y, class_names, title="")
    return draw(f"Class balance, {name}", alt, table, plot)
