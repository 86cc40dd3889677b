"""ResumeTraining: a killed training goes on as if it had not been."""

import functools
import math
import os
import warnings
from typing import Any

import numpy as np

from keras_dcnn._checks import as_path, check_built_model, check_count
from keras_dcnn._files.states import read_state, write_state
from keras_dcnn._keras.fitting import (
    begin_at,
    begins_data_anew,
    build_metrics,
    skip_batches,
    sync,
    variables_of_fit,
)
from keras_dcnn._keras.optimizers import build_optimizer
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._reading.epochs import draws_epochs
from keras_dcnn._state.own_optimizers import get_own_optimizers, own_optimizers, set_own_optimizers
from keras_dcnn._state.random_state import get_random_state, set_random_state
from keras_dcnn._state.snapshot import fits, put_back, snapshot
from keras_dcnn.callbacks._stateful_callback import StatefulCallback

_ENDED = set()  # the directories of trainings that ended in this process


class ResumeTraining(StatefulCallback):
    """Writes all that a training depends on, and goes on from it when the training was killed.

    Start the same script again: the model gets its weights, optimizer, BatchNorm statistics and
    seeds, our other callbacks their states, Python's, NumPy's and PyTorch's random numbers theirs,
    and `fit` begins with the epoch that was not finished. On TensorFlow and JAX on a CPU the
    result is that of the training that was not killed, bit for bit.

    Fires before the first epoch and after every `every`-th, when all callbacks have seen its end,
    so that its place among them does not matter. A file is there whole or not at all, its name
    holds its checksum, and the one before it is kept: a damaged one is named and the older used.
    When the disk is full the training goes on, with a warning. `keras.callbacks.BackupAndRestore`
    saves neither the states of our callbacks nor random numbers: leave it out.

    An epoch that is resumed in its middle (`every_batches`) reads the batches that it has seen once
    more and goes on behind them. Callbacks that look within epochs see the mean of these for each
    of them.

    The optimizers that a model with a `train_step` of its own holds in attributes come back too. A
    PyDataset whose attribute `epoch` counts its passes, as `imbalance.BalancedDataset` and one of
    your own may, goes on with the epoch that it was in.

    What does not come back: the state of Keras's own callbacks (EarlyStopping begins to wait anew,
    and knows no weights from before);
    the order of a `tf.data` set with `shuffle(reshuffle_each_iteration=True)`, which begins with
    its first (arrays and PyDataset go on rightly; so do arrays on TensorFlow after
    `keras.utils.set_random_seed`, where Keras shuffles each epoch alike); random layers inside
    `tf.data`; the position in data that go on from epoch to epoch, as generators do, and all data
    with a `steps_per_epoch` other than their number of batches: a warning at the start of `fit`
    tells of it. A script that has ended and is started again repeats the last epoch and has its
    result; in the same process a second `fit` is another training.

    Args:
        state_path: Directory for the files, made if missing; of this training alone. Delete it to
            train from the beginning.
        every: Epochs from one file to the next, ≥ 1.
        every_batches: Batches, ≥ 1, from one file to the next within an epoch, for epochs that are
            long; None for none. On JAX the training stops for each.
        verbose: 1 prints a line when a training is resumed, 0 nothing, as in `fit(verbose=0)`.

    Raises:
        ValueError: for an argument outside the ranges above; at the start of `fit`, when the files
            are of another model or other optimizers, or all damaged, for an optimizer that is not
            Keras's, and on TensorFlow for a model that is not built; in an epoch that is resumed in
            its middle, when the metrics are others.
        OSError: at the start of `fit`, when the directory can't be made.

    Example:

    ```python
    import tempfile
    import keras
    import numpy as np
    import keras_dcnn

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    callbacks = [
        keras_dcnn.callbacks.DivideLROnPlateau(monitor="loss", patience=2),
        keras_dcnn.callbacks.ResumeTraining(tempfile.mkdtemp()),
    ]
    model.fit(np.ones((8, 4)), np.ones(8), epochs=5, callbacks=callbacks, verbose=0)
    ```

    Reference:
        Rojas et al.: A Study of Checkpointing in Large Scale Training of Deep Neural Networks
        (2020). https://arxiv.org/abs/2012.00825
    """

    keeps_weights = "of the beginning"
    of_the_fit = ("_at_begin", "_within")

    def __init__(
        self,
        state_path: str | os.PathLike[str],
        every: int = 1,
        every_batches: int | None = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        check_count("every", every)
        if every_batches is not None:
            check_count("every_batches", every_batches)
        self.state_path = as_path("state_path", state_path)
        self.every = every
        self.every_batches = every_batches
        self.async_safe = every_batches is None  # then it does nothing within an epoch
        self.verbose = verbose

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self.state_path.mkdir(parents=True, exist_ok=True)
        if not own_optimizers(self.model):  # raises now if they can't be resumed
            check_built_model(self.model)
        build_optimizer(self.model)
        self._is_first, self._within = True, {}
        if self.params["epochs"] > 1 and not begins_data_anew(self.model):
            warnings.warn(
                "ResumeTraining does not know the position in data that go on from epoch to epoch, "
                "as an iterator does, and all data with `steps_per_epoch`: a training that is "
                "resumed begins them anew, and differs from one that was not interrupted.",
                stacklevel=2,
            )
        ended = self.state_path.resolve() in _ENDED
        state = None if ended else read_state(self.state_path)
        if state is None:
            return
        self._check(state)
        set_own_optimizers(self.model, state.get("own", {}))
        put_back(state_variables(self.model), state["model"])
        put_back(self._slots(), state["optimizer"])
        self._run.restore(state["run"])
        begin_at(self.model, state["epoch"])
        data = variables_of_fit(self.model).get("x")
        if draws_epochs(data):
            data.epoch += state["epoch"]
        self._within = state.get("within", {})
        batches = f" and {self._within['batch']} batches" if self._within else ""
        epochs = f"{state['epoch']} epochs{batches}"
        self.say(f"The training in {self.state_path} goes on after {epochs}.")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        begin_at(self.model, None)  # where the next `fit` begins is its own affair
        first, self._is_first = self._is_first, False
        self._epoch, self._seen = epoch, self._within.get("batch", 0)
        writes = first or epoch % self.every == 0
        if writes or self.every_batches:
            self._at_begin = self._run.get_state()
        if self._within:
            if fits(self.model.metrics_variables, self._within["metrics"]):
                put_back(self.model.metrics_variables, self._within["metrics"])
        elif writes:
            self._write(epoch, self._at_begin)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._within:  # not sooner, as another may make the step anew where the epoch begins
            logs = {k: v if v.ndim else float(v) for k, v in self._within["logs"].items()}
            then = functools.partial(self._after_skipping, self._within)
            skip_batches(self.model, self._within["batch"], logs, then)
            self._within = {}

    def _after_skipping(self, within, batch):
        build_metrics(self.model_in_step, batch)  # where that was left to the first step
        metrics = self.model_in_step.metrics_variables
        if not fits(metrics, within["metrics"]):
            raise ValueError(
                "an epoch goes on in its middle with the metrics that it began with; those in "
                f"{self.state_path} differ from the model's in number or shape: compile with the "
                "same metrics, or choose another directory."
            )
        put_back(metrics, within["metrics"])
        set_random_state(within["random"])  # from which PyTorch's steps draw

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        seen, before = batch + 1, self._seen
        if not self.every_batches or seen >= (self.params.get("steps") or math.inf):
            return  # the file of the next epoch comes
        if seen <= before:
            return  # it is read once more
        self._seen = seen
        if seen // self.every_batches > before // self.every_batches:
            sync(self.model)
            metrics = snapshot(self.model.metrics_variables)
            logs = {name: np.array(value, "float64") for name, value in logs.items()}  # or no NaN
            random = get_random_state()
            within = {"batch": seen, "metrics": metrics, "logs": logs, "random": random}
            self._write(self._epoch, self._run.get_state_within(self._at_begin), within)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        if self._run.has_begun:
            _ENDED.add(self.state_path.resolve())
        begin_at(self.model, None)  # where there was no epoch left

    def _write(self, epoch, run, within=None):
        state = {
            "epoch": epoch,
            "shapes": self._shapes(),
            "model": snapshot(state_variables(self.model)),
            "optimizer": snapshot(self._slots()),
            "own": get_own_optimizers(self.model),
            "run": run,
            "within": within or {},
        }
        try:
            write_state(self.state_path, epoch, state, state["within"].get("batch", 0))
        except OSError as error:
            warnings.warn(
                f"ResumeTraining could not write ({error}); the training goes on.", stacklevel=2
            )

    def _slots(self):
        """The variables of the optimizer of `compile`, which may be none."""
        return getattr(self.model.optimizer, "variables", [])

    def _shapes(self):
        variables = [*state_variables(self.model), *self._slots()]
        return [[str(variable.dtype), *variable.shape] for variable in variables]

    def _check(self, state):
        old, new = state["shapes"], self._shapes()
        if old != new:
            differ = sum(a != b for a, b in zip(old, new, strict=False)) + abs(len(old) - len(new))
            raise ValueError(
                f"the training in `state_path` must be of this model and optimizer; {differ} "
                f"variables, of {len(old)} in {self.state_path} and {len(new)} here, differ in "
                "shape or type: choose another directory, or delete it to train from the beginning."
            )
