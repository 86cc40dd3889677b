"""The losses of batches, as users have them: a CurveRecorder, its points or file, a list."""

import os
from typing import Any, NamedTuple

import numpy as np

from keras_dcnn._checks import as_path
from keras_dcnn._reading.batches import as_array


class LossPoints(NamedTuple):
    """Losses by step. Of merged batches they are means, with the least and the greatest of each."""

    step: np.ndarray
    loss: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def finite(self):
        """Those that are."""
        return LossPoints(*(part[np.isfinite(self.loss)] for part in self))

    @property
    def merged(self):
        """How many batches a point stands for."""
        if len(self.step) < 2 or not (self.high > self.low).any():
            return 1
        return int(np.median(np.diff(self.step)))


def read_loss_points(curve: Any) -> LossPoints:
    """The losses, one finite at least; TypeError or ValueError, a sentence, for other things."""
    if hasattr(curve, "points"):
        curve = _of_recorder(curve)
    if isinstance(curve, (str, os.PathLike)):
        curve = _of_file(as_path("curve", curve))
    losses = _of_points(curve) if isinstance(curve, dict) else _of_numbers(curve)
    if not np.isfinite(losses.loss).any():
        raise ValueError("`curve` must have a finite loss; got none: train first, or see its NaN.")
    return losses


def _of_recorder(recorder):
    """Its file, which has every batch, where its points in memory were merged; else the points."""
    points = recorder.points()
    path = getattr(recorder, "path", None)
    return path if path and path.exists() and _of_points(points).merged > 1 else points


def _of_points(points):
    if not {"step", "loss"} <= set(points):
        raise TypeError(
            "`curve` as a dict must have the keys 'step' and 'loss', as a CurveRecorder's points; "
            f"got {', '.join(map(repr, points)) or 'none'}: for a History there is plot_loss."
        )
    names = ("step", "loss", *(n if n in points else "loss" for n in ("low", "high")))
    losses = LossPoints(*(as_array(points[name]).astype("float64") for name in names))
    if losses.loss.ndim != 1 or len({part.shape for part in losses}) > 1:
        raise ValueError(
            "`curve` must have a number in each list for each point; got the shapes "
            f"{', '.join(str(part.shape) for part in losses)}."
        )
    if not np.isfinite(losses.step).all() or not (np.diff(losses.step) > 0).all():
        raise ValueError(
            "`curve` must have steps that rise from point to point, of one training; those given "
            "don't: give each training a figure of its own."
        )
    return losses


def _of_numbers(losses):
    try:
        losses = as_array(losses).astype("float64")
    except (TypeError, ValueError):
        losses = np.zeros(())
    if losses.ndim != 1:
        raise TypeError(
            "`curve` must be a CurveRecorder, its points, the path of its CSV file or a list with "
            "the loss of each batch: for the History of `fit` there is plot_loss."
        )
    return LossPoints(np.arange(1, len(losses) + 1), losses, losses, losses)


def _of_file(path):
    """The points of a CSV file with the columns `step` and `loss`."""
    with open(path, encoding="utf-8", errors="replace") as file:
        header, first = file.readline().strip(), file.readline()
    names = header.split(",")
    if not {"step", "loss"} <= set(names):
        raise ValueError(
            "`curve` must be a file of CurveRecorder's, with the columns step and loss; the first "
            f"line of {path} is {header!r:.60}."
        )
    if not first:
        return {"step": [], "loss": []}
    columns = [names.index("step"), names.index("loss")]
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, ndmin=2)
    except ValueError as error:
        raise ValueError(f"`curve` must be a file of numbers; in {path} {error}.") from None
    return {"step": table[:, 0], "loss": table[:, 1]}
