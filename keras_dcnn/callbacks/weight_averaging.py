"""WeightAveraging: the average of the weights that a training passes through."""

import itertools
import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_choice, check_count, check_number
from keras_dcnn._keras.fitting import has_validation, live_values, validate
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._reading.ends import check_ends, check_readable_again
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn._structure.batch_norm import batch_norm_statistics
from keras_dcnn.callbacks._averages import Average
from keras_dcnn.callbacks._stateful_callback import StatefulCallback
from keras_dcnn.callbacks._statistics_choice import set_statistics
from keras_dcnn.ensemble.averaging._judge import behind_barrier


class WeightAveraging(StatefulCallback):
    """Averages the weights over the last part of a training; the model ends with the average.

    A flatter minimum for the price of one more copy of the weights: SWA brought VGG16 on CIFAR-100
    from 72.6 to 73.9 % (Izmailov et al., table 1).

    Fires before each batch, or at the end of each epoch, from `start` on. From the validation of an
    epoch (without one, from this callback's turn at the end of the epoch) until the next epoch
    begins, the model holds the average: what is validated, and what EarlyStopping, ModelCheckpoint
    and CheckpointEnsemble keep, is the average, whatever their order. Training goes on from its own
    weights. After `fit` the model holds the average, or what EarlyStopping puts back. Without
    validation data, list this callback before those that keep weights.

    Averages are of float32 at least and cover BatchNorm's statistics; seeds and whole numbers are
    left alone. Each `fit` averages anew.

    The loss barrier: after 2, 4, 8, … epochs of averaging the average and the weights in training
    are both validated. Where the average is much worse, a warning says that they lie in different
    basins, as between the cycles of `SnapshotSchedule`.

    Args:
        kind: `"swa"`: the mean of all; `"ema"`: a ← decay·a + (1 − decay)·w, from the first on;
            `"lawa"`: the mean of the latest `window`.
        start: Share of the epochs, in [0, 1), before averaging begins.
        decay: Of "ema", in (0, 1).
        window: Of "lawa", ≥ 1; so many copies of the weights are held.
        every: `"batch"` or `"epoch"`: how often the weights are taken.
        batch_norm: BatchNorm's statistics: `"average"`; `"recompute"`: measured on `data` with the
            averaged weights, at each end of an epoch; `"keep"`: those of the last batch;
            `"best"`: of these three what validates best, each time, with one line that says which.
        evaluate: `"averaged"`: as above; `"raw"`: validate and keep the weights in training, set
            the average at the end; list it before EarlyStopping, whose best weights count then.
        data: Inputs to recompute on, as for `fit`: arrays, `(inputs, labels)`, tf.data, PyDataset,
            DataLoader. A pass over them is one epoch's forward passes.
        verbose: 1 prints the choice of `"best"`, 0 nothing, as in `fit(verbose=0)`.

    Raises:
        ValueError: for an argument outside the ranges above; for "recompute" and "best" without
            `data`, and for "best" with `evaluate="raw"`.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = np.ones((8, 4)), np.ones(8)
    averaging = keras_dcnn.callbacks.WeightAveraging("swa", start=0.5)
    model.fit(x, y, validation_data=(x, y), epochs=4, callbacks=[averaging], verbose=0)
    ```

    Reference:
        Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization (2018).
        https://arxiv.org/abs/1803.05407
        Kaddour: Stop Wasting My Time! Saving Days of ImageNet and BERT Training with Latest Weight
        Averaging (2022). https://arxiv.org/abs/2209.14981
    """

    kept = ("epochs_averaged", "raw")
    of_the_fit = ("_variables", "_is_float", "_averaged", "_statistics")

    def __init__(
        self,
        kind: str = "swa",
        start: float = 0.75,
        decay: float = 0.999,
        window: int = 5,
        every: str = "batch",
        batch_norm: str = "average",
        evaluate: str = "averaged",
        data: Any = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        check_choice("kind", kind, ("swa", "ema", "lawa"))
        check_number("start", start, minimum=0, below=1)
        check_number("decay", decay, above=0, below=1)
        check_count("window", window)
        check_choice("every", every, ("batch", "epoch"))
        check_choice("batch_norm", batch_norm, ("average", "recompute", "keep", "best"))
        check_choice("evaluate", evaluate, ("averaged", "raw"))
        if batch_norm in ("recompute", "best") and data is None:
            raise ValueError(
                f"batch_norm={batch_norm!r} needs `data` to measure on; got None: pass what `fit` "
                "gets."
            )
        check_readable_again("`data`", data)
        check_ends("`data`", data)
        if batch_norm == "best" and evaluate == "raw":
            raise ValueError(
                "batch_norm='best' chooses by the validation of the average, which evaluate='raw' "
                "leaves out: use evaluate='averaged'."
            )
        self.kind = kind
        self.start = start
        self.decay = decay
        self.window = window
        self.every = every
        self.batch_norm = batch_norm
        self.evaluate = evaluate
        self.data = data
        self.verbose = verbose
        self.reset()

    def reset(self) -> None:
        self._averages = Average(self.kind, self.decay, self.window)
        self._epochs_averaged = 0
        self._raw = self._variables = self._weights = None

    def goes_on(self) -> bool:
        return False

    def get_state(self) -> dict[str, Any]:
        averages = self._averages.get_state()
        return {**super().get_state(), "kind": self.kind, "averages": averages}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if state["kind"] != self.kind:
            raise ValueError(
                f"a training goes on with the averages that it began; they are {state['kind']!r}, "
                f"got kind={self.kind!r}: set it back, or train from the beginning."
            )
        self._averages.set_state(state["averages"])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._variables = None
        self._first_epoch = math.floor(self.start * self.params["epochs"] + 1e-9)

    def enter_epoch(self, epoch: int) -> None:
        super().enter_epoch(epoch)
        if self._raw is not None and self.evaluate == "averaged":
            self._find_variables()
            put_back(self._averaged, self._raw)
        self._raw = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.every == "batch" and batch and self.epochs_ended >= self._first_epoch:
            self._take()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._run.has_begun:  # else it is an `evaluate` of the user's
            self._end_epoch(self.epochs_ended)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._end_epoch(epoch)
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        in_training = self.evaluate == "raw" and self._raw is not None
        if self._run.has_begun and not self._averages.number:
            warnings.warn(
                f"WeightAveraging averaged nothing: it begins after {self._first_epoch} epochs, "
                f"and the training ended after {self.epochs_ended}: lower `start`.",
                stacklevel=2,
            )
        elif in_training and all(map(np.array_equal, snapshot(self._averaged), self._raw)):
            self._set_average()  # as no callback replaced the weights
        self._raw = None

    def _find_variables(self):
        """Which variables are averaged; not before they are there, in a model built by `fit`."""
        if self._variables is None:
            model = self.model_in_step
            self._variables = state_variables(model)
            self._is_float = [keras.backend.is_float_dtype(v.dtype) for v in self._variables]
            self._averaged = list(itertools.compress(self._variables, self._is_float))
            self._statistics = batch_norm_statistics(model)

    def __getstate__(self):
        weights = self.averaged_weights() if self._averages.number else None
        return super().__getstate__() | {"_weights": weights}

    def averaged_weights(self) -> list[np.ndarray]:
        """The average, with the rest of the weights as they are, for `model.set_weights`."""
        if not self._averages.number:
            raise ValueError("there must be an average; nothing was averaged yet: train first.")
        if self.model is None:  # out of a pickle
            return self._weights
        self._find_variables()
        averages = dict(zip(map(id, self._averaged), self._averages.value(), strict=True))
        return snapshot(averages.get(id(weight), weight) for weight in self.model.weights)

    def _take(self):
        self._find_variables()
        values = live_values(self.model_in_step, self._variables)
        self._averages.add(list(itertools.compress(values, self._is_float)))

    def _end_epoch(self, epoch):
        """Once per epoch: the last weights are taken, and the average is set."""
        if self._raw is not None or epoch < self._first_epoch:
            return
        self._take()
        self._epochs_averaged += 1
        self._raw = snapshot(self._averaged)
        with random_state_kept():
            self._judge_and_set(self._epochs_averaged)

    def _judge_and_set(self, number):
        looks = number > 1 and number & (number - 1) == 0 and has_validation(self.model)
        raw = validate(self.model)["loss"] if looks else None
        if looks or self.evaluate == "averaged":
            self._set_average()
        if looks and behind_barrier(averaged := validate(self.model)["loss"], raw):
            warnings.warn(
                f"the averaged weights have a validation loss of {averaged:.4g}, those in training "
                f"{raw:.4g}: they lie in different basins, or far apart. Average predictions "
                "instead (CheckpointEnsemble), begin later (`start`), or lower the learning rate.",
                stacklevel=2,
            )
        if looks and self.evaluate == "raw":
            put_back(self._averaged, self._raw)

    def _set_average(self):
        last = snapshot(self._statistics)
        for variable, value in zip(self._averaged, self._averages.value(), strict=True):
            variable.assign(keras.ops.cast(value, variable.dtype))
        if last and self.batch_norm != "average":
            best = set_statistics(self.model, self._statistics, last, self.batch_norm, self.data)
            if best:
                self.say(f"Epoch {self.epochs_ended + 1}: {best}")
