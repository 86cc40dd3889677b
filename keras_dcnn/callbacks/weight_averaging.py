"""WeightAveraging: the average of the weights that a training passes through."""

import warnings
from typing import Any

import numpy as np

from keras_dcnn._checks import check_choice, check_count, check_number
from keras_dcnn._keras.fitting import has_validation, validate
from keras_dcnn._keras.updates import UpdateCounter
from keras_dcnn._keras.variables import seed_variables
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import put_back, snapshot, variables_kept
from keras_dcnn.callbacks._averaged_variables import AveragedVariables
from keras_dcnn.callbacks._averages import Average, as_int
from keras_dcnn.callbacks._averaging_start import check_start, first_epoch, why_nothing
from keras_dcnn.callbacks._loss_barrier import barrier_message, may_look
from keras_dcnn.callbacks._stateful_callback import StatefulCallback
from keras_dcnn.callbacks._statistics_choice import check_statistics, set_statistics
from keras_dcnn.ensemble.averaging._judge import behind_barrier


class WeightAveraging(StatefulCallback):
    """Averages the weights over the last part of a training; the model ends with the average.

    A flatter minimum for the price of one more copy of the weights: SWA brought VGG16 on CIFAR-100
    from 72.6 to 73.9 % (Izmailov et al., table 1).

    Fires after each update, or at the end of each epoch, from `start` on. From the validation of an
    epoch (without one, from this callback's turn at the end of the epoch) until the next epoch
    begins, the model holds the average: what is validated, and what EarlyStopping, ModelCheckpoint
    and CheckpointEnsemble keep, is the average, whatever their order. Training goes on from its own
    weights. After `fit` the model holds the average, or what EarlyStopping puts back. Without
    validation data, list this callback before those that keep weights.

    Updates are the optimizer's: one for several batches with `gradient_accumulation_steps`, none
    where loss scaling leaves a batch out; of several optimizers those of which there are most;
    calls, where the optimizer is not Keras's. `steps_per_execution` hides the weights within an
    execution: they count as those at its end, and "ema" decays by decayⁿ after n updates.
    Averages are of float32 at least and cover BatchNorm's statistics. Each `fit` averages anew.

    The loss barrier: after 2, 4, 8, … epochs of averaging both are validated. Where the average is
    much worse, a warning says that they lie in different basins, as between the cycles of
    `SnapshotSchedule`. Data that can't be read again, as of a generator, are left to `fit`.

    Args:
        kind: `"swa"`: the mean of all; `"ema"`: a ← decay·a + (1 − decay)·w, from the first on;
            `"lawa"`: the mean of the latest `window`.
        start: When averaging begins: a share of the epochs in [0, 1), such as 0.75, or a whole
            number of epochs ≥ 0, such as 10. 1 is one epoch; 1.0 is refused.
        decay: Of "ema", in (0, 1).
        window: Of "lawa", ≥ 1; so many copies of the weights are held, and one more.
        every: `"batch"`: the weights are taken after an update of the optimizer; `"epoch"`: at the
            end of an epoch that has had one.
        update_every: So many updates, or epochs, from one taking to the next, ≥ 1.
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
            `data`, and for "best" with `evaluate="raw"`; at the start of `fit`, when the optimizer
            averages too (`use_ema=True`).

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
    of_the_fit = ("_variables", "_counter")
    sets_weights = True

    def __init__(
        self,
        kind: str = "swa",
        start: float = 0.75,
        decay: float = 0.999,
        window: int = 5,
        every: str = "batch",
        update_every: int = 1,
        batch_norm: str = "average",
        evaluate: str = "averaged",
        data: Any = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        check_choice("kind", kind, ("swa", "ema", "lawa"))
        check_start(start)
        check_number("decay", decay, above=0, below=1)
        check_count("window", window)
        check_choice("every", every, ("batch", "epoch"))
        check_count("update_every", update_every)
        check_choice("evaluate", evaluate, ("averaged", "raw"))
        check_statistics(batch_norm, evaluate, data)
        self.kind = kind
        self.start = start
        self.decay = decay
        self.window = window
        self.every = every
        self.update_every = update_every
        self.batch_norm = batch_norm
        self.evaluate = evaluate
        self.data = data
        self.verbose = verbose
        self.reset()

    def reset(self) -> None:
        self._averages = Average(self.kind, self.decay, self.window, self.update_every)
        self._epochs_averaged = 0
        self._raw = self._variables = self._weights = None

    def goes_on(self) -> bool:
        return False

    def get_state(self) -> dict[str, Any]:
        averages = self._averages.get_state()
        return {**super().get_state(), "kind": self.kind, "averages": averages}

    def get_state_within(self) -> dict[str, Any]:
        self._take()
        return self.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._averages.set_state(state["averages"], state["kind"])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._variables = self._counter = None
        self._first_epoch = first_epoch(self.start, self.params["epochs"])
        self._may_look = may_look(self.model)

    def enter_epoch(self, epoch: int) -> None:
        super().enter_epoch(epoch)
        if self._raw is not None and self.evaluate == "averaged":
            put_back(self._watched().all, self._raw)
        self._raw = None
        self._has_ended = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not batch or self._counter is None:
            self._counter = self._counter or UpdateCounter(self.model_in_step)
            self._counter.begin_epoch()
        else:
            self._take()

    def _take(self):
        if self.every == "batch" and self.epochs_ended >= self._first_epoch:
            self._averages.add(self._watched().values_now(), self._counter.new())

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
            why = why_nothing(self, self._first_epoch, self._averages.updates)
            warnings.warn(f"WeightAveraging averaged nothing: {why}", stacklevel=2)
        elif in_training and all(map(np.array_equal, snapshot(self._watched().all), self._raw)):
            self._set_average()  # as no callback replaced the weights
        self._raw = None

    def _watched(self):
        if self._variables is None:
            self._variables = AveragedVariables(self.model_in_step)
        return self._variables

    def __getstate__(self):
        weights = self.averaged_weights() if self._averages.number else None
        return super().__getstate__() | {"_weights": weights}

    def averaged_weights(self) -> list[np.ndarray]:
        """The average, with the rest of the weights as they are, for `model.set_weights`."""
        if not self._averages.number:
            raise ValueError("there must be an average; nothing was averaged: train past `start`.")
        if self.model is None:  # it comes out of a pickle
            return self._weights
        averages = dict(zip(map(id, self._watched().all), self._values(), strict=True))
        return snapshot(averages.get(id(weight), weight) for weight in self.model.weights)

    def _end_epoch(self, epoch):
        """Once per epoch: the last weights are taken, and the average is set."""
        if self._has_ended or self._counter is None:
            return
        self._has_ended = True
        self._counter.end_epoch()
        if epoch < self._first_epoch:
            return
        new = self._counter.new()
        new = new if self.every == "batch" else min(as_int(new), 1)
        self._averages.add(self._watched().values_now(), new)
        if self._averages.number:
            self._epochs_averaged += 1
            self._raw = snapshot(self._watched().all)
            with random_state_kept(), variables_kept(seed_variables(self.model)):
                self._judge_and_set(self._epochs_averaged)

    def _judge_and_set(self, number):
        is_power = number > 1 and number & (number - 1) == 0
        looks = is_power and self._may_look and has_validation(self.model)
        raw = validate(self.model).get("loss") if looks else None
        if raw is not None or self.evaluate == "averaged":
            self._set_average()
        if raw is not None:  # a `test_step` of the model's own may return none
            averaged = validate(self.model)["loss"]
            if behind_barrier(averaged, raw):
                warnings.warn(barrier_message(averaged, raw), stacklevel=2)
        if raw is not None and self.evaluate == "raw":
            put_back(self._watched().all, self._raw)

    def _values(self):
        return self._watched().within_constraints(self._averages.value())

    def _set_average(self):
        statistics = self._watched().statistics
        last = snapshot(statistics)
        self._watched().assign(self._values())
        choice = self.batch_norm if self._may_look or self.batch_norm != "best" else "average"
        if last and choice != "average":
            best = set_statistics(self.model, statistics, last, choice, self.data)
            if best:
                self.say(f"Epoch {self.epochs_ended + 1}: {best}")
