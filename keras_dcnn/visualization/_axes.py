"""What the figures share: matplotlib when it is there, and the curves of a History."""

from importlib import import_module

COLOURS = {"train": "#1f5a99", "validation": "#d1495b", "note": "#8a8a8a"}


def pyplot():
    """matplotlib.pyplot, or an ImportError that says how to get it."""
    try:
        return import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError('the figures need matplotlib: pip install "keras_dcnn[plot]".') from error


def axes(ax, title, ylabel):
    """`ax`, or a new one, dressed for a curve by epochs."""
    ax = pyplot().subplots(figsize=(6, 4), layout="constrained")[1] if ax is None else ax
    ax.set(title=title, xlabel="epoch", ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def curves(history):
    """The dict of curves of a `keras.callbacks.History`, or the dict itself."""
    return getattr(history, "history", history)


def curve(history, name):
    """One curve and its epochs, counted from 1."""
    logs = curves(history)
    if name not in logs:
        raise ValueError(f"the history must hold '{name}'; it holds {', '.join(sorted(logs))}.")
    return range(1, len(logs[name]) + 1), logs[name]
