"""CurveRecorder: the training loss of every batch, in a curve of bounded size and on disk."""

import os
import warnings
from typing import Any

from keras_dcnn._checks import as_path, check_count
from keras_dcnn._files.rows import RowFile
from keras_dcnn.callbacks._batch_losses import BatchLosses
from keras_dcnn.callbacks._stateful_callback import StatefulCallback


class CurveRecorder(StatefulCallback):
    """Records the training loss batch by batch, for the curve that shows whether batches are noisy.

    Keras's logs hold the mean since the epoch began, which hides the noise by which the tutorial
    judges the batch size and, by the curve's shape, the learning rate.

    Fires after each batch, where it only notes the logged mean, and takes the batches' own losses
    from these means at the end of the epoch, for which it holds them. It changes nothing in
    training, and JAX and PyTorch need not wait for it. It goes on in a second `fit` of the same
    model, and where a killed run is resumed: then the file is cut back to the epoch that is resumed
    and equals that of a run that was not killed.

    The last batch of an epoch, where it is smaller, is drawn towards the epoch's mean, since logs
    do not say how large it is. Keras's means are float32: the t-th batch of an epoch is right to
    t·6·10⁻⁸ of the mean. After a NaN the rest of the epoch is NaN, as Keras's mean is. With
    `steps_per_execution` a value is the mean over an execution.

    When the disk is full or closed to us the training goes on with a warning, and what could not be
    written is tried again.

    Args:
        path: CSV file with the header `step,epoch,batch,loss`, all counted from 1, and one row for
            each batch; None writes no file.
        max_points: Points in memory, ≥ 1. When there are more, neighbours are merged in pairs, so
            that each point stands for twice as many batches.

    Raises:
        ValueError: for an argument outside the ranges above; before the first epoch, when the file
            holds rows of another run.
        OSError: before the first epoch, when the file can't be made.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    curve = keras_dcnn.callbacks.CurveRecorder("loss.csv")
    x, y = np.ones((32, 4)), np.ones(32)
    model.fit(x, y, batch_size=4, epochs=2, callbacks=[curve], verbose=0)
    print(curve.points()["loss"])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 7, figure 2.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    async_safe = True  # means come from several threads, and are put in order before they are used

    def __init__(
        self, path: str | os.PathLike[str] | None = None, max_points: int = 10_000
    ) -> None:
        super().__init__()
        check_count("max_points", max_points)
        self.path = None if path is None else as_path("path", path)
        self.max_points = max_points
        self._file = RowFile(self.path, "step,epoch,batch,loss\n") if self.path else None
        self.reset()

    def points(self) -> Any:
        """A dict of NumPy arrays with one entry for each point, that is for a block of batches.

        `step`: the last batch of the block, counted from 1; `loss`: the mean; `low` and `high`: the
        least and the greatest loss.
        """
        return self._losses.points()

    def reset(self) -> None:
        self._losses = BatchLosses(self.max_points)
        self._rows = []  # that are to be written
        if self._file:
            self._file.length = None

    def get_state(self) -> dict[str, Any]:
        length = self._file.length if self._file else None
        return {**self._losses.get_state(), "file_length": length}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._losses.set_state(state)
        self._rows = []
        if self._file:
            self._file.length = state["file_length"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._take()  # what a `fit` left that was interrupted

    def begin(self, state: dict[str, Any]) -> None:
        super().begin(state)
        if self._file and not self._file.open():
            warnings.warn(
                f"CurveRecorder goes on in {self.path}, of which rows are missing.", stacklevel=2
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._losses.begin_epoch(self.params.get("steps"))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._losses.note(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._take()
        super().on_epoch_end(epoch, logs)

    def _take(self):
        """The losses of an epoch's batches, out of the means that were noted."""
        epoch = self.epochs_ended + 1
        taken = [
            f"{step},{epoch},{batch},{loss:.7g}\n" for step, batch, loss in self._losses.take()
        ]
        self._rows += taken if self._file else []
        if self._rows:
            self._write()

    def _write(self):
        try:
            self._file.append(self._rows)
            self._rows = []
        except OSError as error:
            warnings.warn(
                f"CurveRecorder could not write to {self.path} ({error}); the training goes on.",
                stacklevel=2,
            )
