"""What a run says while it is at work: sentences, and bars with the time left."""

import contextlib
import time

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress import track as rich_track

_SHORTEST = 15.0  # seconds between two lines where there is no terminal


class Screen:
    """Prints where `verbose`; wraps to the terminal, and moves bars only on one."""

    def __init__(self, verbose=1):
        self._console = Console(quiet=not verbose, highlight=False)

    def say(self, text=""):
        """A sentence, or lines."""
        self._console.print(text, markup=False)

    def show(self, table):
        """Something that rich can draw."""
        self._console.print(table)

    def findings(self, findings):
        """A paragraph each, the severity first."""
        for one in findings:
            self.say(f"{one.severity}: {one}")

    @property
    def width(self):
        """Columns of the terminal."""
        return self._console.width

    def reading(self, files):
        """The files, with a bar that goes at the end."""
        if not self._console.is_terminal:
            return iter(files)
        return rich_track(files, "reading images", console=self._console, transient=True)

    @contextlib.contextmanager
    def training(self, epochs, what="training"):
        """Yields a callback of `fit` that shows how far it is."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
        )
        bar = Progress(*columns, console=self._console, transient=True, expand=True)
        try:
            yield ShowProgress(bar, self, epochs, what)
        finally:
            if bar.live.is_started:
                bar.stop()

    @property
    def moves(self):
        """Whether there is a terminal, on which bars move."""
        return self._console.is_terminal and not self._console.quiet


class ShowProgress(keras.callbacks.Callback):
    """Moves a bar with each batch; without a terminal it prints a line now and then.

    The logs are read at the end of an epoch only, so that no step waits for them.
    """

    async_safe = True

    def __init__(self, bar, screen, epochs, what):
        super().__init__()
        self._bar, self._screen, self._epochs, self._what = bar, screen, epochs, what
        self._task, self._last, self._text = None, 0.0, ""

    def on_train_begin(self, logs=None):
        steps = self.params.get("steps") or 1
        self._task = self._bar.add_task(self._what, total=self._epochs * steps)
        if self._screen.moves:
            self._bar.start()

    def on_train_end(self, logs=None):
        if self._screen.moves:
            self._bar.stop()

    def on_epoch_begin(self, epoch, logs=None):
        steps = self.params.get("steps") or 1
        text = f"epoch {epoch + 1}/{self._epochs}{self._text}"
        self._bar.update(self._task, completed=epoch * steps, description=text)

    def on_train_batch_end(self, batch, logs=None):
        self._bar.advance(self._task)

    def on_epoch_end(self, epoch, logs=None):
        logs, now = logs or {}, time.monotonic()
        parts = [("loss", "loss", "{:.3f}"), ("val_accuracy", "right", "{:.1%}")]
        said = [f"{word} {form.format(logs[key])}" for key, word, form in parts if key in logs]
        self._text = "".join(f", {one}" for one in said)
        if not self._screen.moves and (now - self._last > _SHORTEST or epoch + 1 == self._epochs):
            self._screen.say(f"{self._what}, epoch {epoch + 1} of {self._epochs}{self._text}")
            self._last = now
