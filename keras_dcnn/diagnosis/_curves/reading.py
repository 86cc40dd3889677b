"""Reads the curves of a training from all that holds some; what can't be read is a sentence."""

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from keras_dcnn._checks import as_path
from keras_dcnn.diagnosis._curves.curves import Batches, Curve, Curves
from keras_dcnn.diagnosis._curves.files import read_file
from keras_dcnn.diagnosis._curves.limits import BATCHES_OF_A_BLOCK, BLOCKS
from keras_dcnn.diagnosis._curves.trend import block_means

_MISSING = ("", "NA", "None", None)  # as CSVLogger and others write what an epoch hasn't
_ROUNDING = 1e-3  # by which means of float16 may lie outside 0…1


class _Source(NamedTuple):
    """What a user gave: logs by name, batches, and whether there is a place for validation."""

    logs: dict | None = None
    batches: Batches | None = None
    holds_validation: bool = False


def read_curves(history, batch_losses=None, **known):
    """The `Curves` of a history, a file or a recorder; `known` are the last fields of these."""
    source = _source_of(history)
    batches = source.batches if batch_losses is None else read_batches("batch_losses", batch_losses)
    if source.logs is None:
        return _by_blocks(batches, known)
    logs = source.logs
    accuracy = _accuracy_of(logs)
    rate = "learning_rate" if "learning_rate" in logs else "lr"
    names = ("loss", "val_loss", accuracy, f"val_{accuracy}", rate)
    lists = [_numbers(f"history[{name!r}]", logs.get(name, ())) for name in names]
    if not lists[0].count():
        raise ValueError(
            f"`history` must have a 'loss' of at least one epoch; it has {_names(logs)}: give what "
            "`fit` returned, or the file of a CSVLogger."
        )
    curves = [_placed(*named, len(lists[0])) for named in zip(names, lists, strict=True)]
    for curve in curves[2:4]:
        _check_accuracy(accuracy, curve.finite().values)
    lost = curves[0].epochs[~np.isfinite(curves[0].values)]  # whose answers are those of NaN
    curves[2:4] = [curve.take(~np.isin(curve.epochs, lost)) for curve in curves[2:4]]
    validated = any(str(name).startswith("val_") for name in logs)
    validated = validated if source.holds_validation else None
    return Curves(*curves, batches=batches, validated=validated, **known)


def read_batches(name, source):
    """The losses of batches in a list, a CurveRecorder or its file."""
    block = 1
    if _is_recorder(source):
        points = source.points()
        source, steps = points["loss"], points["step"]
        block = int(steps[1] - steps[0]) if len(steps) > 1 else 1
    elif isinstance(source, (str, os.PathLike)):
        logs = read_file(name, as_path(name, source))
        if "loss" not in logs:
            raise ValueError(
                f"`{name}` must be a file with a column 'loss', such as a CurveRecorder's; it has "
                f"{_names(logs)}."
            )
        source = logs["loss"]
    losses = _numbers(name, source).compressed()
    if not len(losses):
        raise ValueError(f"`{name}` must hold the loss of at least one batch; it holds none.")
    return Batches(losses, max(block, 1))


def _source_of(history):
    if _is_recorder(history):
        return _Source(batches=read_batches("history", history))
    if hasattr(history, "history"):  # of Keras's History, and of a model that was trained
        return _source_of(history.history)
    if isinstance(history, (str, os.PathLike)):
        logs = read_file("history", as_path("history", history))
        is_recorded = {"step", "epoch", "batch", "loss"} <= set(logs)
        return _recorded(logs) if is_recorded else _Source(logs, holds_validation=True)
    if callable(getattr(history, "keys", None)):  # also of pandas
        return _Source({key: history[key] for key in history.keys()}, holds_validation=True)  # noqa: SIM118
    if isinstance(history, Iterable):
        return _Source({"loss": history})
    raise TypeError(
        "`history` must be what `fit` returned, a dict of lists, a list of losses, a "
        "CurveRecorder, or the path of a CSV file or of TensorBoard's folder; got "
        f"{type(history).__name__}."
    )


def _is_recorder(source):
    return callable(getattr(source, "points", None))


def _recorded(logs):
    """The losses by epoch, and the batches, of a CurveRecorder's file."""
    columns = [_numbers(f"history[{name!r}]", logs[name]) for name in ("epoch", "loss")]
    whole = ~(np.ma.getmaskarray(columns[0]) | np.ma.getmaskarray(columns[1]))
    epochs, losses = (column.data[whole] for column in columns)
    if not len(losses):
        raise ValueError("`history` must hold the loss of at least one batch; the file holds none.")
    first = np.flatnonzero(np.diff(epochs, prepend=np.nan) != 0)
    counts = np.diff(first, append=len(losses))
    return _Source({"loss": np.add.reduceat(losses, first) / counts}, Batches(losses))


def _by_blocks(batches, known):
    """Curves of blocks of batches, where nothing is known of epochs."""
    size = max(BATCHES_OF_A_BLOCK, -(-len(batches.losses) // BLOCKS))
    means = block_means(batches.losses, size)
    loss = Curve(np.arange(1, len(means) + 1), means)
    none = loss.take(slice(0))
    step = size * batches.block
    return Curves(loss, none, none, none, none, batches=batches, step=step, **known)


def _placed(name, values, epochs):
    """The curve of values of each epoch, or of each k-th, as `validation_freq` leaves them."""
    every = epochs // len(values) if len(values) else 1
    if len(values) and (not every or epochs // every != len(values)):
        raise ValueError(
            f"the lists of `history` must have a value for each epoch; 'loss' has {epochs} and "
            f"{name!r} {len(values)}: give lists of one training."
        )
    curve = Curve(np.arange(1, len(values) + 1) * every, values.data)
    return curve.take(~np.ma.getmaskarray(values))


def _accuracy_of(logs):
    """The name of the accuracy among the logs, or "" where there is none or not one only."""
    names = [
        name
        for name in logs
        if isinstance(name, str)
        and name.endswith(("accuracy", "acc"))
        and not name.startswith(("val_", "top_"))
        and "top_k" not in name
    ]
    exact = [name for name in names if name in ("accuracy", "acc")]
    return (exact or names)[0] if exact or len(names) == 1 else ""


def _check_accuracy(name, values):
    if len(values) and (values.min() < -_ROUNDING or values.max() > 1 + _ROUNDING):
        raise ValueError(
            f"{name!r} of `history` must lie between 0 and 1; it goes from {values.min():.3g} to "
            f"{values.max():.3g}: divide percentages by 100."
        )


def _numbers(name, values):
    """A masked array of floats, in which what is missing is masked."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if kind and kind in "fiu" and values.ndim == 1:
        return np.ma.array(_as_float32_has_them(np.asarray(values, "float64")))
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ValueError(f"`{name}` must be a list of numbers; got {values!r:.40}.")
    listed = list(values)
    missing = [value is None or (isinstance(value, str) and value in _MISSING) for value in listed]
    floats = [
        0.0 if gone else _float(name, place, value)
        for place, (value, gone) in enumerate(zip(listed, missing, strict=True), 1)
    ]
    array = _as_float32_has_them(np.array(floats, "float64"))
    return np.ma.array(array, mask=np.array(missing, "bool"))


def _as_float32_has_them(values):
    """What is beyond the range of float32, in which Keras logs, is infinite, or 0."""
    limits, sizes = np.finfo("float32"), abs(values)
    values = np.where(sizes > limits.max, np.copysign(np.inf, values), values)
    return np.where(sizes < limits.tiny, 0.0, values)


def _float(name, place, value):
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise ValueError(
            f"`{name}` must be a list of numbers; its value {place} is {value!r:.40}."
        ) from None


def _names(logs):
    return ", ".join(repr(name) for name in logs) or "nothing"
