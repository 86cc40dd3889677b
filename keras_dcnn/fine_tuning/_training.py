"""The training of a classifier, with what it takes by itself."""

from typing import Any, NamedTuple

import keras

from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._state.random_state import seeded
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn.callbacks import DivideLROnPlateau, ResumeTraining, WeightAveraging
from keras_dcnn.fine_tuning._kept_state import half_way, kept_state
from keras_dcnn.fine_tuning._task import as_fit_takes, may_be_shuffled
from keras_dcnn.fine_tuning.layerwise_optimizer import layerwise_optimizer

WEIGHT_DECAY = 0.05  # timm's, for AdamW
KEPT = {
    "before": "what the training began with",
    "half way": "the mean of the weights before and after",
    "after": "the end",
}


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


def train_classifier(model, task, schedule, record, from_probe):
    """Train a compiled classifier and keep the best of its states; (accuracy, curves)."""
    states = {"before": snapshot(state_variables(model))}
    with seeded(schedule.seed):
        history = model.fit(
            **as_fit_takes(task.training, schedule.batch_size),
            validation_data=task.validation.data,
            epochs=schedule.epochs,
            shuffle=may_be_shuffled(task.training.data),
            callbacks=_callbacks(schedule),
            verbose=schedule.verbose,
        ).history
    after = snapshot(state_variables(model))
    if from_probe:
        states["half way"] = half_way(states["before"], after)
    states["after"] = after
    kept, right = kept_state(model, states, task.validation.data, schedule.batch_size)
    put_back(state_variables(model), states[kept])
    shares = ", ".join(f"{100 * share:.1f} % {name}" for name, share in right.items())
    record.add(f"right of the validation samples: {shares}; {KEPT[kept]} is kept.")
    return right[kept], history


def compile_classifier(model, task, schedule):
    """Compile a classifier with rates by depth."""
    optimizer = keras.optimizers.AdamW(schedule.learning_rate, weight_decay=WEIGHT_DECAY)
    optimizer = layerwise_optimizer(model, optimizer, schedule.decay, verbose=0)
    model.compile(optimizer, task.loss, metrics=["accuracy"], jit_compile=jit_compile())


def _callbacks(schedule):
    callbacks = schedule.callbacks
    if callbacks is None:
        callbacks = [DivideLROnPlateau(patience=3, warmup=1), WeightAveraging("swa", start=0.75)]
    resuming = [] if schedule.directory is None else [ResumeTraining(schedule.directory / "state")]
    return [*callbacks, *resuming]
