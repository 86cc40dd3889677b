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
    """The values of one curve and their epochs, counted from 1.

    Under `fit(validation_freq=k)` a History has a value for every k-th epoch only.
    """
    logs = curves(history)
    if name not in logs or not len(logs[name]):
        raise ValueError(f"the history must hold '{name}'; it holds {', '.join(sorted(logs))}.")
    values, epochs = logs[name], max(map(len, logs.values()))
    every = [k for k in range(1, epochs + 1) if epochs // k == len(values)]
    if len(every) != 1:
        raise ValueError(
            f"'{name}' must have a value for each epoch, or for every k-th; it has {len(values)} "
            f"for {epochs} epochs: put nan where there is none."
        )
    return range(every[0], epochs + 1, every[0]), values
