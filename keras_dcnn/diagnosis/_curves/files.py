"""Files that hold the curves of a training: CSV, as CSVLogger writes it, and TensorBoard's."""

import csv
from pathlib import Path

import numpy as np

_EVENTS = "*tfevents*"


def read_file(name, path):
    """The columns of a CSV file, or the scalars of TensorBoard's events, by their names in logs."""
    if path.is_dir() or Path(path.name).match(_EVENTS):
        return _read_events(name, path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _columns(file)
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8 with columns"
        raise ValueError(
            f"`{name}` must be a CSV file, such as a CSVLogger's, or TensorBoard's folder; "
            f"{path} can't be read: {reason}."
        ) from None


def _columns(file):
    """The columns as numbers, or as texts where some are none, by the names in the first row."""
    header = file.readline()
    separator = max(",;\t", key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    lines = [line for line in file if not line.isspace()]
    columns = _numbers(lines, separator) if lines else [()] * len(names)
    if columns is None or len(columns) != len(names):
        columns = _texts(csv.reader(lines, delimiter=separator), len(names))
    return dict(zip(names, columns, strict=True))


def _numbers(lines, separator):
    """The columns of a table of numbers alone, or None; a million rows in a second."""
    try:
        return np.loadtxt(lines, delimiter=separator, comments=None, ndmin=2).T
    except ValueError:
        return None


def _texts(rows, width):
    """The columns as texts; a row that is short lacks the last of them."""
    rows = list(rows)
    if any(len(row) > width for row in rows):
        raise csv.Error
    return list(zip(*(row + [""] * (width - len(row)) for row in rows), strict=True))


def _read_events(name, path):
    """The scalars by epoch that Keras's TensorBoard writes into `train` and `validation`."""
    runs = {"": path} if path.is_file() else {"": path / "train", "val_": path / "validation"}
    if path.is_dir() and not runs[""].is_dir():
        runs = {"": path}
    logs = {}
    for prefix, run in runs.items():
        if any(run.glob(_EVENTS)) or run.is_file():
            logs |= {prefix + key: values for key, values in _scalars(run).items()}
    if not logs:
        raise ValueError(
            f"`{name}` must be the folder in which Keras's TensorBoard wrote `train` and "
            f"`validation`; {path} holds no events."
        )
    return logs


def _scalars(run):
    """The values by epoch of one run, by name."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError as error:
        raise ImportError(
            "TensorBoard's files need the package tensorboard: `pip install tensorboard`, or give "
            "the CSV file of a CSVLogger."
        ) from error
    events = EventAccumulator(str(run), size_guidance={"tensors": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    logs = {tag: [event.value for event in events.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        values = [make_ndarray(event.tensor_proto) for event in events.Tensors(tag)]
        if all(value.size == 1 and value.dtype.kind == "f" for value in values):
            logs[tag] = [float(value.reshape(())) for value in values]
    return {tag.removeprefix("epoch_"): values for tag, values in logs.items()}
