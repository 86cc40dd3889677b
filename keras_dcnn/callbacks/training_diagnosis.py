"""TrainingDiagnosis: what the curves and the model say of a training while it goes on."""

import dataclasses
import os
import shutil
import warnings
from typing import Any

from keras_dcnn._checks import as_path, check_count, check_number
from keras_dcnn._keras.fitting import batch_size_of_fit, variables_of_fit
from keras_dcnn.callbacks._live_curves import LiveCurves
from keras_dcnn.callbacks._live_findings import LiveFindings, check_file, table
from keras_dcnn.callbacks._model_looks import ModelLooks, check_data
from keras_dcnn.callbacks._stateful_callback import StatefulCallback
from keras_dcnn.diagnosis.finding import Finding, plain

_BATCH = 32  # samples, where nobody knows how many; Keras's own
_WIDEST = 80  # columns of what is printed


class TrainingDiagnosis(StatefulCallback):
    """Says while a training goes on what its curves show to be wrong, with advice.

    For trainings that take hours: a rate that is too high, a loss of NaN, a network that learns
    nothing or has begun to overfit are seen after some epochs, and nobody need wait for the end.

    Fires at the end of an epoch: it reads the curves so far with `diagnosis.diagnose` and, where
    `data` is given, the model with `diagnosis.examine`. Between this epoch and the next it prints a
    table when something changed: a finding is new, has gone, or has another severity. It changes
    nothing, stops no training and raises nothing in it: a reading that can't be had is a finding,
    `not_read` or `not_examined`, with the reason.

    What is said in the midst of a training is less than `diagnose` says of its end:

    - in the first 4 epochs only what needs no trend: `not_finite`, `negative_loss`,
      `constant_loss`, `no_validation`. The last is not said where `fit` has validation data that it
      has not come to yet (`validation_freq`), nor in a loop of your own;
    - a finding that is not "certain" when two readings in a row have it, with one severity; one
      that was said goes when two don't have it. What is certain is said at once;
    - `not_converged`, `too_short` and `learning_rate_good` not before the training is at its end.

    When `fit` ends the findings are those of `diagnose` on the whole, and of the last look at the
    model. In a second `fit` of the same model, and where a killed run is resumed, the curves and
    the count of epochs go on.

    Within an epoch it only notes the logged means, which JAX and PyTorch need not wait for; a
    reading takes some milliseconds. From 100 epochs on not all are read: between two readings lies
    a fiftieth of the epochs so far.

    The attribute `findings` is a list of the `Finding`s of now, the worst first; `log` a list of
    dicts, one for each change: `epoch`, `appeared` (findings as dicts), `gone` (their rules,
    layers and severities; another severity is in both).

    Args:
        data: Samples for `diagnosis.examine`, as it takes them, such as `(x, y)`, of which it
            reads 256. None looks at the curves only.
        examine_every: Epochs from one look at the model to the next, ≥ 1, the first after the first
            epoch. None measures what a look takes: the next comes when the training has gone on for
            20 times as long, so that all but the first, which compiles, are below 5 % of the time.
        batch_size: Images in a batch, ≥ 1; None asks the data that `fit` was given.
        num_classes: Number of classes, ≥ 2; None infers it as `diagnose` does.
        majority_share: The largest class's share of the training samples, above 0 and below 1.
        path: JSON file of `findings` and `log`, written anew at each change; None writes none.
        verbose: 1 prints, 0 nothing, as in `fit(verbose=0)`.

    Raises:
        ValueError: for an argument outside the ranges above, and for data that can be read only
            once or are of different lengths; before the first epoch, when the file is another's.
        TypeError: for data of another kind.
        OSError: before the first epoch, when the file can't be made.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(10.0), "mse")
    diagnosis = keras_dcnn.callbacks.TrainingDiagnosis(path="findings.json")
    model.fit(np.ones((8, 4)), np.ones(8), epochs=6, callbacks=[diagnosis], verbose=2)
    print([finding.rule for finding in diagnosis.findings])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 7.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    of_the_fit = ("_looks",)
    async_safe = True  # means come from several threads, and are put in order before they are used

    def __init__(
        self,
        data: Any = None,
        examine_every: int | None = None,
        batch_size: int | None = None,
        num_classes: int | None = None,
        majority_share: float | None = None,
        path: str | os.PathLike[str] | None = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        if data is not None:
            check_data(data)
        for name, value, least in (
            ("examine_every", examine_every, 1),
            ("batch_size", batch_size, 1),
            ("num_classes", num_classes, 2),
        ):
            if value is not None:
                check_count(name, value, least)
        if majority_share is not None:
            check_number("majority_share", majority_share, above=0, below=1)
        self.data = data
        self.examine_every = examine_every
        self.batch_size = batch_size
        self.num_classes = num_classes
        self.majority_share = majority_share
        self.path = None if path is None else as_path("path", path)
        self.verbose = verbose
        self._looks = None
        self.reset()

    @property
    def findings(self) -> list[Finding]:
        """The findings of now, the worst first."""
        return list(self._live.standing)

    @property
    def log(self) -> list[dict[str, Any]]:
        """What appeared and what went, by epoch."""
        return list(self._live.log)

    def reset(self) -> None:
        self._curves, self._live = LiveCurves(), LiveFindings()
        self._examined = []  # findings of the last look at the model
        self._logs, self._told = None, []  # of the last epoch, and what is to be printed

    def get_state(self) -> dict[str, Any]:
        examined = [dataclasses.asdict(one) for one in self._examined]
        parts = {"curves": self._curves.get_state(), "live": self._live.get_state()}
        return {**parts, "examined": examined}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._curves.set_state(state["curves"])
        self._live.set_state(state["live"])
        self._examined = [Finding(**one) for one in state["examined"]]
        self._logs, self._told = None, []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        given = variables_of_fit(self.model)
        self._validates = given["validation_data"] is not None if given else None
        self._known = {
            "batch_size": self.batch_size or batch_size_of_fit(self.model),
            "num_classes": self.num_classes,
            "majority_share": self.majority_share,
        }
        self._looks = self._looks or ModelLooks(self.examine_every)
        self._curves.batches.take()  # what a `fit` left that was interrupted

    def begin(self, state: dict[str, Any]) -> None:
        super().begin(state)
        self._live.go_on()
        if self.path:
            check_file(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._live.write(self.path)

    def enter_epoch(self, epoch: int) -> None:
        super().enter_epoch(epoch)
        self._end_epoch()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._curves.batches.begin_epoch(self.params.get("steps"))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._curves.batches.note(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._logs = {} if logs is None else logs
        self._curves.batches.take()
        self._curves.begin_epoch(epoch)
        self._curves.note(self._logs)
        looks = self.data is not None and self._looks.is_due(self._curves.count)
        if looks:
            size = self._known["batch_size"] or _BATCH
            self._examined = list(map(plain, self._looks.look(self.model, self.data, size)))
        if looks or self._curves.is_to_read():
            self._read()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._logs is not None:
            self._curves.note(self._logs)
            self._read(at_the_end=True)
            self._end_epoch()
        super().on_train_end(logs)

    def _end_epoch(self):
        """What is done when all callbacks are through with an epoch, and the bar is closed."""
        if self._logs is not None:
            self._curves.note(self._logs)  # callbacks behind this one may have added to them
        if self._told:
            width = min(shutil.get_terminal_size().columns, _WIDEST)
            self.say("\n".join(table(one, width) for one in self._told))
        self._logs, self._told = None, []

    def _read(self, at_the_end=False):
        found = self._curves.read(self._validates, at_the_end, **self._known)
        change = self._live.take(self._curves.epoch, [*found, *self._examined], at_the_end)
        self._told += [change] if change else []
        if self.path and (change or at_the_end):
            self._write()

    def _write(self):
        try:
            self._live.write(self.path)
        except OSError as error:
            warnings.warn(
                f"TrainingDiagnosis could not write to {self.path} ({error}); the training goes "
                "on.",
                stacklevel=2,
            )
