"""EpochTable: the logs of all epochs, also of those before a kill, and on disk."""

import csv
import warnings

from keras_dcnn._files.atomic import atomic_write
from keras_dcnn.callbacks._stateful_callback import StatefulCallback


class EpochTable(StatefulCallback):
    """Keeps the logs of each epoch, and writes them as a CSV file at its end."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self._rows = []

    kept = ("rows",)

    def reset(self):
        self._rows = []

    @property
    def history(self):
        """As that of Keras: a list by name."""
        names = dict.fromkeys(name for row in self._rows for name in row)
        return {name: [row.get(name, float("nan")) for row in self._rows] for name in names}

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._rows = [*self._rows[:epoch], {name: float(value) for name, value in logs.items()}]
        try:
            write_history(self.path, self.history)
        except OSError as error:
            warnings.warn(
                f"{self.path} could not be written ({error.strerror}); the training goes on.",
                stacklevel=2,
            )


def write_history(path, history):
    """A row for each epoch, counted from 0 as Keras's CSVLogger does."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        writer.writerows(
            [epoch, *row] for epoch, row in enumerate(zip(*history.values(), strict=True))
        )


def read_history(path):
    """The same again, a list by name; empty where there is none."""
    if not path.is_file():
        return {}
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name != "epoch"]
    return {name: [float(row[name]) for row in rows] for name in names}
