"""How the figures look: told apart in grey and by the colour-blind, by shape before colour.

Nothing of it goes into matplotlib's rcParams, which are the user's.
"""

import numpy as np

# Blue and vermilion are Okabe and Ito's: https://jfly.uni-koeln.de/color/
COLOURS = {"train": "#0072b2", "validation": "#d55e00", "note": "#707070"}
CURVES = {
    "training": {"color": COLOURS["train"], "linestyle": "-", "marker": "o"},
    "validation": {
        "color": COLOURS["validation"],
        "linestyle": "--",
        "marker": "s",
        "markerfacecolor": "white",
    },
}
HATCHED = {"facecolor": "none", "edgecolor": "#a0a0a0", "hatch": "////", "linewidth": 0}
SMALL = 8  # points
_MARKS = 16  # of a curve at most


def draw_curve(ax, epochs, values, name):
    """A curve by epochs with marks, so that one epoch shows."""
    epochs = np.asarray(epochs)
    finite = np.isfinite(values)
    label = name + lost("epoch", epochs, finite)
    epochs, values = epochs[finite], values[finite]  # nan stands also where nothing was measured
    every = -(-len(values) // _MARKS) or 1
    style = {"markersize": 4, "markeredgewidth": 1, "markevery": every}
    ax.plot(epochs, values, **CURVES[name], **style, label=label)


def lost(unit, places, finite):
    """For a label: from where on a curve is not finite; "" where its end is."""
    if finite[-1]:
        return ""
    return f", not finite from {unit} {places[-np.argmax([*finite[::-1], True])]:.0f}"


def keep_apart(ax, least):
    """Widen the vertical axis to a span of `least`, so that what is nearly equal looks so."""
    low, high = ax.get_ylim()
    if high - low < least:
        middle = (low + high) / 2
        ax.set_ylim(middle - least / 2, middle + least / 2)


def legend_above(ax, raised=0):
    """Put the legend between the axes and their title, so that it hides nothing.

    In as many columns as there is room for; `raised` points above the axes. In a user's figure
    that makes no room for it by itself it stays inside, where it hides least.
    """
    handles, labels = ax.get_legend_handles_labels()
    if ax.figure.get_layout_engine() is None:
        ax.legend(handles, labels, fontsize=SMALL, framealpha=0.7)
        ax.set_title(ax.get_title(), pad=6 + raised)
        return
    columns = _columns(labels, 1.1 * points(ax)[0])
    ax.legend(
        handles,
        labels,
        frameon=False,
        fontsize=SMALL,
        ncols=columns,
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        borderaxespad=0.2 + raised / SMALL,
        columnspacing=1.2,
        handlelength=1.8,
    )
    rows = -(-len(labels) // columns)
    ax.set_title(ax.get_title(), pad=10 + raised + 1.7 * SMALL * rows)


def _columns(labels, width):
    """The most columns of labels for which so many points are enough, one at least."""
    for columns in range(len(labels), 1, -1):
        longest = [max(map(len, part)) for part in np.array_split(labels, columns)]
        if sum(0.57 * SMALL * length + 3.8 * SMALL for length in longest) <= width:
            return columns
    return 1


def points(ax):
    """Width and height of the axes in points, before the labels take their room."""
    extent = ax.get_window_extent()
    return extent.width * 72 / ax.figure.dpi, extent.height * 72 / ax.figure.dpi


def text(name, longest=24):
    """A name that a figure has room for, in which dollars are no formula."""
    name = " ".join(str(name).split())
    name = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return name.replace("$", r"\$")


def percent(share):
    """A share as text: not 100 % for what is less, nor 0 % for what is more."""
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"
