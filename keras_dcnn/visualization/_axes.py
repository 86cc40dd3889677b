"""What the figures share: matplotlib when it is there, and the curves of a History."""

from importlib import import_module

import numpy as np

from keras_dcnn.visualization._style import COLOURS


def pyplot():
    """matplotlib.pyplot, or an ImportError that says how to get it."""
    try:
        return import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError(
            f'the figures need matplotlib: pip install "keras_dcnn[plot]" ({error}).'
        ) from error


def axes(ax, title, ylabel, xlabel="epoch", size=(6, 4)):
    """`ax`, or new ones in a figure of so many inches, dressed for a curve by epochs."""
    ax = pyplot().subplots(figsize=size, layout="constrained")[1] if ax is None else ax
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color=COLOURS["note"], alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def curves(history):
    """The dict of curves of a `keras.callbacks.History`, or the dict itself."""
    logs = getattr(history, "history", history)
    if not isinstance(logs, dict) or not all(map(_is_sized, logs.values())):
        raise TypeError(
            "`history` must be a keras.callbacks.History, or a dict of lists, one value per epoch; "
            f"got {logs!r:.60}: give what `fit` returns."
        )
    return {name: values for name, values in logs.items() if len(values)}


def _is_sized(values):
    return hasattr(values, "__len__")


def curve(history, name):
    """The values of one curve and their epochs, counted from 1.

    Under `fit(validation_freq=k)` a History has a value for every k-th epoch only.
    """
    logs = curves(history)
    if name not in logs:
        held = ", ".join(sorted(logs)) or "no epochs: train first"
        raise ValueError(f"the history must hold '{name}'; it holds {held}.")
    values, epochs = logs[name], max(map(len, logs.values()))
    every = [k for k in range(1, epochs + 1) if epochs // k == len(values)]
    if len(every) != 1:
        raise ValueError(
            f"'{name}' must have a value for each epoch, or for every k-th, k as their "
            f"number says; it has {len(values)} for {epochs} epochs: put nan where there is none."
        )
    return range(every[0], epochs + 1, every[0]), numbers(name, values)


def numbers(name, values):
    """A curve's values as floats, None as NaN; ValueError for what are no numbers."""
    try:
        array = np.asarray(values, "float64")
    except (TypeError, ValueError):
        array = None
    if array is None or array.ndim != 1:
        raise ValueError(f"'{name}' of the history must be a list of numbers; got {values!r:.60}.")
    return array
