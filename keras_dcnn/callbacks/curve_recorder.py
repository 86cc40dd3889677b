"""CurveRecorder: the training loss of every batch, in a curve of bounded size and on disk."""

import math
import os
import warnings
from typing import Any

from keras_dcnn._checks import as_path, check_count
from keras_dcnn._files.rows import RowFile
from keras_dcnn.callbacks._logs import BatchSums
from keras_dcnn.callbacks._merged_curve import MergedCurve
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
        return self._curve.points()

    def reset(self) -> None:
        self._curve = MergedCurve(self.max_points)
        self._step = 0
        self._forget()
        if self._file:
            self._file.length = None

    def get_state(self) -> dict[str, Any]:
        return {
            "curve": self._curve.get_state(),
            "step": self._step,
            "file_length": self._file.length if self._file else None,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._curve.set_state(state["curve"])
        self._step = state["step"]
        self._forget()
        if self._file:
            self._file.length = state["file_length"]

    def _forget(self):
        self._rows = []  # that are to be written
        self._means = {}  # of batches that have ended, by their number

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
        self._steps = self.params.get("steps") or math.inf

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._means[batch] = logs.get("loss", math.nan)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._take()
        super().on_epoch_end(epoch, logs)

    def _take(self):
        """The losses of an epoch's batches, out of the means that were noted."""
        sums = BatchSums()
        for batch, mean in sorted(self._means.items()):
            batch = min(batch, self._steps - 1)  # an execution may reach past the last
            total, count = sums.step(batch, mean)
            self._step += count
            self._curve.add(self._step, total / count, count)
            if self._file:
                epoch = self.epochs_ended + 1
                self._rows.append(f"{self._step},{epoch},{batch + 1},{total / count:.7g}\n")
        self._means = {}
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
