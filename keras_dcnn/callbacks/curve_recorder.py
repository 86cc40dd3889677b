"""CurveRecorder: the training loss batch by batch."""

import os
import threading
from pathlib import Path

from keras_dcnn._validation import check_count
from keras_dcnn.callbacks._batch_mean import BatchMean
from keras_dcnn.callbacks._points import Points
from keras_dcnn.callbacks._stateful_callback import StatefulCallback

_HEADER = "step,epoch,batch,loss\n"
_PILE = 1000  # batches that wait before they are worked on


class CurveRecorder(StatefulCallback):
    """Records the training loss of every batch, in bounded memory and to a CSV file.

    How wide the curve by batches is tells whether the batches are too small (the tutorial's figure
    of the loss), which Keras's History, a mean per epoch, does not show.

    Fires after each batch, on `loss`, of which Keras's logs hold the mean since the epoch began;
    that is undone. It changes nothing. Keras need not wait for it (`async_safe`). In memory there
    are at most `max_points`: when they are full, neighbours are merged two by two, and from then on
    a point stands for twice as many batches. The file has a row for each batch.

    A second `fit` of the same model goes on, and so does a killed run that is resumed: the file is
    cut back to what was known. When the disk is full, one line says so, and the training goes on.

    Args:
        path: CSV file to write to, with the columns step, epoch, batch (from 1) and loss; None for
            none.
        max_points: Number of points in memory, ≥ 2.

    Raises:
        ValueError: for an argument outside the ranges above; at the start of `fit`, when the file
            has content already.
        OSError: at the start of `fit`, when the file can't be written.
        TypeError: for an unknown keyword.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    curve = keras_dcnn.callbacks.CurveRecorder("loss.csv")
    model.fit(np.ones((8, 4)), np.ones(8), batch_size=2, epochs=3, callbacks=[curve], verbose=0)
    print(curve.points()["loss"])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 7.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    async_safe = True  # several calls at once, in any order: see _work

    def __init__(self, path=None, max_points=10_000):
        super().__init__()
        check_count("max_points", max_points, minimum=2)
        self.path = None if path is None else Path(path)
        self.max_points = max_points
        self._lock = threading.Lock()
        self._clear()

    def _clear(self):
        self._points = Points(self.max_points)
        self._size = 0

    def reset(self):
        self._clear()
        if self.path is None:
            return
        if self.path.is_file() and self.path.stat().st_size:
            raise ValueError(
                f"`path` must not hold the curve of another training; {self.path} has content: "
                "choose another file, or delete it."
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._append(_HEADER)

    def get_state(self):
        return {"points": self._points.get_state(), "size": self._size}

    def set_state(self, state):
        super().set_state(state)
        self._points.set_state(state["points"])
        self._size = state["size"]
        if self.path is None:
            return
        there = self.path.stat().st_size if self.path.is_file() else 0
        if there < self._size:
            print(f"\nCurveRecorder goes on in {self.path}, of which a part is no longer there.")
        with open(self.path, "ab") as file:
            file.truncate(min(self._size, there))

    def points(self):
        """The curve: `step`, the last batch of each point, counted from 1; `loss`, `low`, `high`.

        NumPy arrays of one length: mean, least and greatest loss of a point's batches.
        """
        return self._points.arrays()

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._batch_mean, self._next, self._pile = BatchMean(), 0, {}

    def on_train_batch_end(self, batch, logs=None):
        with self._lock:
            self._pile[batch] = logs["loss"]
            if len(self._pile) >= _PILE:
                self._work(len(self._pile) // 2)

    def on_epoch_end(self, epoch, logs=None):
        self._work(len(self._pile))
        super().on_epoch_end(epoch, logs)

    def _work(self, number):
        """Record the first so many batches; those behind may still have some before them to come."""
        rows = []
        for batch in sorted(self._pile)[:number]:
            total, count = self._batch_mean.step(batch, float(self._pile.pop(batch)))
            loss = total / count
            self._points.add(loss, count)
            rows.append(f"{self._points.step},{self.epochs_ended + 1},{batch + 1},{loss:.9g}\n")
        if self.path is not None:
            self._append("".join(rows))

    def _append(self, text):
        try:
            with open(self.path, "ab") as file:
                self._size = file.tell() + file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if not text.startswith(_HEADER):
                print(f"\nCurveRecorder could not write ({error}); the training goes on.")
            else:
                raise
