"""The training of a classifier, and which of its states, before or after, is the better one."""

import math
from typing import Any, NamedTuple

import keras

from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._state.random_state import seeded
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn.callbacks import DivideLROnPlateau, ResumeTraining, WeightAveraging
from keras_dcnn.fine_tuning._task import as_fit_takes, may_be_shuffled
from keras_dcnn.fine_tuning.layerwise_optimizer import layerwise_optimizer

WEIGHT_DECAY = 0.05  # timm's, for AdamW


class Schedule(NamedTuple):
    """How a classifier is trained."""

    epochs: int
    learning_rate: float  # of the head
    decay: float  # of a block's rate, divided by that of the next
    callbacks: Any  # what replaces the default ones, or None
    directory: Any
    batch_size: int
    seed: int
    verbose: int


def train_classifier(model, task, schedule, record):
    """Train a compiled classifier and keep the better state; (accuracy, curves)."""
    before, values = score_of(model, task, schedule), snapshot(state_variables(model))
    with seeded(schedule.seed):
        history = model.fit(
            **as_fit_takes(task.training, schedule.batch_size),
            validation_data=task.validation.data,
            epochs=schedule.epochs,
            shuffle=may_be_shuffled(task.training.data),
            callbacks=_callbacks(schedule),
            verbose=schedule.verbose,
        ).history
    after = score_of(model, task, schedule)
    said = (
        f"the validation loss went from {before.loss:.3f} to {after.loss:.3f}, the share that is "
        f"right from {100 * before.accuracy:.1f} to {100 * after.accuracy:.1f} %"
    )
    if after.is_better_than(before):
        record.add(f"{said}.")
        return after.accuracy, history
    put_back(state_variables(model), values)
    record.add(f"{said}: what the training began with is kept.")
    return before.accuracy, history


def compile_classifier(model, task, schedule):
    """Compile a classifier with rates by depth."""
    optimizer = keras.optimizers.AdamW(schedule.learning_rate, weight_decay=WEIGHT_DECAY)
    optimizer = layerwise_optimizer(model, optimizer, schedule.decay, verbose=0)
    model.compile(optimizer, task.loss, metrics=["accuracy"], jit_compile=jit_compile())


class Score(NamedTuple):
    """What a model reaches on the validation data."""

    loss: float
    accuracy: float

    def is_better_than(self, other):
        """By accuracy, then by loss; NaN is not."""
        if not math.isfinite(self.loss):
            return False
        return (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


def score_of(model, task, schedule):
    """The Score of a compiled classifier."""
    data = as_fit_takes(task.validation, schedule.batch_size)
    logs = model.evaluate(**data, verbose=0, return_dict=True)
    return Score(logs["loss"], logs["accuracy"])


def _callbacks(schedule):
    callbacks = schedule.callbacks
    if callbacks is None:
        callbacks = [DivideLROnPlateau(patience=3, warmup=1), WeightAveraging("swa", start=0.75)]
    resuming = [] if schedule.directory is None else [ResumeTraining(schedule.directory / "state")]
    return [*callbacks, *resuming]
