"""The figures of a training: loss, accuracy, batches, learning rate."""

from functools import partial

import numpy as np

from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._loss_points import read_loss_points
from keras_dcnn.visualization._report.figures import curve_axes, draw
from keras_dcnn.visualization._report.table import Table
from keras_dcnn.visualization._style import COLOURS
from keras_dcnn.visualization.plot_accuracy_gap import plot_accuracy_gap
from keras_dcnn.visualization.plot_batch_loss import plot_batch_loss
from keras_dcnn.visualization.plot_learning_rate import plot_learning_rate
from keras_dcnn.visualization.plot_loss import plot_loss

_ROWS = 2000  # of a table of batches at most


def curve_figures(curves, batches, rate_curve):
    """A Figure for each curve that there is.

    `curves` are those that `diagnose` reads, or None; `batches` is what `plot_batch_loss` takes.
    """
    figures = []
    if curves is not None and curves.step is None:
        figures += _by_epoch(curves)
    if batches is not None:
        figures += _by_batch(batches)
    if rate_curve is not None:
        figures.append(_of_range_test(rate_curve))
    return figures


def _small(plot, source):
    """What a function plots, on small axes."""
    return plot(source, ax=curve_axes(), title="")


def _by_epoch(curves):
    logs = {
        "loss": curves.loss,
        "val_loss": curves.val_loss,
        "accuracy": curves.accuracy,
        "val_accuracy": curves.val_accuracy,
        "learning_rate": curves.learning_rate,
    }
    logs = {name: curve for name, curve in logs.items() if len(curve)}
    epochs = max(int(curve.epochs[-1]) for curve in logs.values())
    history = {name: _list(curve, epochs) for name, curve in logs.items()}
    losses = [name for name in logs if "loss" in name]
    alt = f"Loss by epoch, {epochs} in all. {_said(logs, losses)}"
    yield draw("Loss", alt, _table(logs, losses, epochs), partial(_small, plot_loss, history))
    if "accuracy" in logs and "val_accuracy" in logs:
        names = ["accuracy", "val_accuracy"]
        alt = f"Accuracy by epoch, {epochs} in all. {_said(logs, names)}"
        yield draw(
            "Accuracy",
            alt,
            _table(logs, names, epochs),
            partial(_small, plot_accuracy_gap, history),
        )
    rates = logs.get("learning_rate")
    if rates is not None and len(set(rates.values)) > 1:
        first, last = rates.values[[0, -1]]
        alt = f"Learning rate by epoch, from {first:.3g} to {last:.3g}."
        table = _table(logs, ["learning_rate"], epochs)
        yield draw("Learning rate by epoch", alt, table, partial(_plot_rates, rates))


def _list(curve, epochs):
    """A value for each epoch, NaN where there is none; or for each k-th, as Keras has them."""
    every = int(curve.epochs[0])
    if np.array_equal(curve.epochs, np.arange(every, epochs + 1, every)):
        return curve.values
    values = np.full(epochs, np.nan)
    values[curve.epochs - 1] = curve.values
    return values


def _said(logs, names):
    """Where curves end, in words."""
    ends = {"loss": "training", "accuracy": "training"}
    said = [f"{ends.get(name, 'validation')} ends at {logs[name].values[-1]:.3g}" for name in names]
    return f"{', '.join(said).capitalize()}."


def _table(logs, names, epochs):
    """The values by epoch, "" where there is none."""
    by_epoch = [
        dict(zip(logs[name].epochs.tolist(), logs[name].values.tolist(), strict=True))
        for name in names
    ]
    rows = [(k, *(one.get(k, "") for one in by_epoch)) for k in range(1, epochs + 1)]
    return Table(("epoch", *names), rows)


def _plot_rates(rates):
    ax = axes(curve_axes(), "", "learning rate")
    values = rates.values
    ax.step(rates.epochs, values, where="mid", color=COLOURS["train"], marker="o", markersize=3)
    if values.min() > 0 and values.max() > 10 * values.min():
        ax.set_yscale("log")
    return ax


def _by_batch(batches):
    read = read_loss_points(batches)
    every = -(-len(read.step) // _ROWS)
    starts = np.arange(0, len(read.step), every)
    ends = np.append(starts[1:], len(read.step)) - 1
    means = np.add.reduceat(read.loss, starts) / (ends - starts + 1)
    low, high = np.minimum.reduceat(read.low, starts), np.maximum.reduceat(read.high, starts)
    rows = zip(read.step[ends].astype(int), means, low, high, strict=True)
    table = Table(("step", "loss", "low", "high"), [*rows])
    ends = read.finite().loss[[0, -1]]
    alt = f"Loss of {int(read.step[-1]):,} batches, from {ends[0]:.3g} to {ends[1]:.3g}."
    yield draw("Loss by batch", alt, table, partial(_small, plot_batch_loss, batches))


def _of_range_test(curve):
    rows = zip(curve.rates, curve.losses, curve.smoothed, strict=True)
    table = Table(("rate", "loss", "smoothed"), [*rows])
    alt = "Loss by learning rate in a short training with a rising rate; "
    found = curve.valley is not None
    alt += f"the suggested rate is {curve.valley:.2g}." if found else "no rate is suggested."
    return draw("Learning rate range test", alt, table, partial(_small, plot_learning_rate, curve))
