"""How a run trains: a pretrained network fine-tuned, or a small CNN from scratch."""

import functools
import os
from typing import Any, NamedTuple

import keras

from keras_dcnn._files.run_folder import HISTORY
from keras_dcnn._images.batches import ImageBatches
from keras_dcnn._images.pixels import read_pixels
from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn.callbacks import (
    CheckpointEnsemble,
    DivideLROnPlateau,
    ResumeTraining,
    SnapshotSchedule,
    WeightAveraging,
)
from keras_dcnn.constraints import MaxNorm
from keras_dcnn.diagnosis import find_learning_rate, preflight
from keras_dcnn.fine_tuning._classifier import classifier, new_head
from keras_dcnn.fine_tuning._training import WEIGHT_DECAY
from keras_dcnn.fine_tuning._tuning import Options, tune
from keras_dcnn.fine_tuning.recommend import HEAD_RATE
from keras_dcnn.imbalance import BalancedDataset
from keras_dcnn.initializers import HeNormal
from keras_dcnn.layers import RReLU, standard_augmentation
from keras_dcnn.losses import LogitAdjustedCrossentropy
from keras_dcnn.models import small_cnn
from keras_dcnn.recipes._epoch_table import EpochTable

STATE, MEMBERS = "state", "members"
_RATE = 0.02  # of a small CNN, where the finder can't tell
_LEAST_FALL = 0.01  # of the loss, without which the finder says nothing
_CUTS = 5  # to 1/32 of the rate: below it nothing moves any more
_PATIENCE = 5
_SMALL = 0.01
_EPOCHS = 20
_EPOCHS_FROM_SCRATCH, _MOST_EPOCHS, _UPDATES = 40, 200, 1000  # as many updates, where that fits
_CYCLES, _MEMBERS = 4, 3
_COMBINED = {
    "averaging": "the rate is halved where validation stalls, and the weights of the last quarter "
    "of the epochs are averaged.",
    "checkpoints": "the rate is halved where validation stalls, and the three best states answer "
    "together.",
    "cycles": "the rate falls in cycles, and the states at their ends answer together.",
    "none": "the rate is halved where validation stalls.",
}
_LOSS = "sparse_categorical_crossentropy"
# What a look at a few of the images can't say, and the data card and the record do.
_NOT_OF_A_SAMPLE = {"unbalanced_classes", "no_validation", "duplicates", "same_image_other_label"}


class Trained(NamedTuple):
    """What a training left: a network, what was done, its curves, and what was found before it."""

    network: Any
    strategy: str
    history: dict
    rate_curve: Any
    augmentation: Any
    findings: list


def train(images, network, settings, plan, folder, record, screen):
    """The `Trained` of a run; what it decides goes into the record."""
    augmentation, said = _augmentation(images, settings, network.model is None)
    if network.model is None:
        record.add(said)
        record.add(_COMBINED[settings.combine])
        return _from_scratch(images, settings, plan, augmentation, folder, record, screen)
    trained = _fine_tuned(images, network, settings, plan, augmentation, folder, record, screen)
    if trained.strategy == "probe":  # which looks at the images as they are
        return trained._replace(augmentation=None, rate_curve=None)
    record.add(said)
    record.add(_COMBINED[settings.combine])
    return trained


def _augmentation(images, settings, from_scratch):
    """The layer that is asked for, or the standard one, adapted to the colours; what to say of it.

    All of one colour they can't be adapted to.
    """
    if settings.augmentation != "standard":
        return settings.augmentation, "augmentation: as asked for."
    size = images.reading.size
    padding = max(1, size // 8) if from_scratch else 0
    given = {"flip": settings.flip, "padding": padding, "seed": settings.seed}
    mirrored = "mirrored, " if settings.flip else ""
    text = f"augmentation: turned, zoomed, moved, {mirrored}colours drawn by HSV and fancy PCA"
    try:
        layer = standard_augmentation(size, size, moments=images.moments(), **given)
    except ValueError as error:
        why = str(error).rpartition("`: ")[2].rstrip(".")  # without the layer's name
        reason = f"along those of ImageNet, since {why}."
        return standard_augmentation(size, size, **given), f"{text} {reason}"
    return layer, f"{text} along those of these images."


def _fine_tuned(images, network, settings, plan, augmentation, folder, record, screen):
    size, count = images.reading.size, len(images.class_names)
    head = new_head(count, settings.seed)
    trial = classifier(network.model, (size, size, 3), head, augmentation)
    rate = HEAD_RATE
    trial.compile(
        keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        _LOSS,
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    findings = _preflight(trial, images, record)
    epochs, curve = epochs_of(settings, images, from_scratch=False), None
    rate = settings.learning_rate
    if rate == "finder":
        rate, curve = _found_rate(trial, images, settings, record, HEAD_RATE)
    rate = None if rate == "auto" else rate
    table = EpochTable(folder / HISTORY)
    callbacks, members = _callbacks(settings, rate or HEAD_RATE, epochs, folder, warmup=1)
    with screen.training(epochs, "fine-tuning") as progress:
        options = Options(
            num_classes=count,
            strategy=settings.strategy,
            augmentation=augmentation,
            epochs=epochs,
            learning_rate=rate,
            callbacks=[*callbacks, table, progress],
            directory=folder / STATE,
            batch_size=settings.batch_size,
            seed=settings.seed,
            verbose=1,
            bars_alone=True,
        )
        tuned = tune(
            network.model,
            _data(images, settings, plan),
            images.parts["validation"],
            options,
            record,
        )
    model = tuned.model
    if members is not None and tuned.history:
        model = _ensemble(members, record)
    return Trained(model, tuned.strategy, table.history, curve, augmentation, findings)


def _from_scratch(images, settings, plan, augmentation, folder, record, screen):
    size, count = images.reading.size, len(images.class_names)
    keras.utils.set_random_seed(settings.seed)
    model = small_cnn(
        (size, size, 3),
        count,
        activation=RReLU,
        kernel_initializer=HeNormal.for_activation(RReLU(), seed=settings.seed),
        kernel_constraint=MaxNorm(3.0),
        augmentation=[] if augmentation is None else [augmentation],
    )
    kernel = model.layers[-1].kernel
    kernel.assign(_SMALL * kernel)  # or the finder sees the fall from wild guesses to none
    loss = LogitAdjustedCrossentropy(images.counts) if plan == "loss" else _LOSS
    compile_small(model, _RATE, loss)
    findings = _preflight(model, images, record)
    rate, curve = settings.learning_rate, None
    if rate in ("auto", "finder"):
        rate, curve = _found_rate(model, images, settings, record, _RATE)
    compile_small(model, rate, loss)
    epochs = epochs_of(settings, images, from_scratch=True)
    table = EpochTable(folder / HISTORY)
    callbacks, members = _callbacks(settings, rate, epochs, folder)
    record.add(f"a small CNN is trained from scratch for {epochs} epochs at a rate of {rate:.2g}.")
    keras.utils.set_random_seed(settings.seed)
    with screen.training(epochs) as progress:
        fit(
            model,
            _data(images, settings, plan),
            images,
            settings,
            epochs,
            [*callbacks, table, progress, ResumeTraining(folder / STATE, verbose=0)],
        )
    if members is not None:
        model = _ensemble(members, record)
    return Trained(model, "from_scratch", table.history, curve, augmentation, findings)


def epochs_of(settings, images, from_scratch):
    """Those that are asked for; from scratch, of few images, more, to some 1,000 updates."""
    if settings.epochs or not from_scratch:
        return settings.epochs or _EPOCHS
    batches = -(-len(images.labels["train"]) // settings.batch_size)
    return min(max(_EPOCHS_FROM_SCRATCH, -(-_UPDATES // batches)), _MOST_EPOCHS)


def compile_small(model, rate, loss=_LOSS):
    """Compile a small CNN."""
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit_compile())


def fit(model, data, images, settings, epochs, callbacks):
    """Train on arrays or batches."""
    is_arrays = isinstance(data, tuple)
    given = {"batch_size": settings.batch_size} if is_arrays else {}
    x, y = data if is_arrays else (data, None)
    return model.fit(
        x,
        y,
        epochs=epochs,
        validation_data=images.parts["validation"],
        callbacks=callbacks,
        shuffle=is_arrays,
        verbose=0,
        **given,
    )


def _data(images, settings, plan):
    """What is trained on: the images, or rare classes as often as common ones."""
    data = images.parts["train"]
    if plan != "oversample":
        return data
    options = {"batch_size": settings.batch_size, "seed": settings.seed, "verbose": 0}
    if isinstance(data, ImageBatches):
        load = functools.partial(read_pixels, data.reading)
        return BalancedDataset(
            data.files, data.labels, load=load, threads=os.cpu_count(), **options
        )
    return BalancedDataset(*data, **options)


def _preflight(model, images, record):
    """What is wrong before the training, by a look at some of the images."""
    x, y = images.some()
    found = preflight(model, x, y, validation_data=images.some("validation"))
    found = [one for one in found if one.rule not in _NOT_OF_A_SAMPLE and one.severity != "info"]
    rules = ", ".join(dict.fromkeys(one.rule for one in found))
    record.add(f"preflight, by {len(y):,} of the images: {rules or 'nothing wrong'}.")
    return found


def _found_rate(model, images, settings, record, otherwise):
    """The rate that the finder suggests, and its curve; another where it can't tell."""
    data = images.parts["train"]
    try:
        curve = find_learning_rate(
            model, data, batch_size=settings.batch_size, seed=settings.seed, verbose=0
        )
    except ValueError as error:  # losses that do not fall at any rate
        record.add(f"learning rate {otherwise:.2g}, as the finder can't tell: {error}")
        return otherwise, None
    fall = 1 - min(curve.smoothed) / curve.smoothed[0]
    if curve.valley is None or fall < _LEAST_FALL:
        record.add(f"learning rate {otherwise:.2g}, since the finder's losses don't fall clearly.")
        return otherwise, curve
    record.add(
        f"learning rate {curve.valley:.2g}, in the middle of where the loss falls in a short "
        "training with a rising rate."
    )
    return float(curve.valley), curve


def _callbacks(settings, rate, epochs, folder, warmup=0):
    """Callbacks, and of them the one that keeps members of an ensemble, or None."""
    plateau = DivideLROnPlateau(
        patience=_PATIENCE if not warmup else 3, max_reductions=_CUTS, warmup=warmup, verbose=0
    )
    if settings.combine == "averaging":
        return [plateau, WeightAveraging("swa", start=0.75, verbose=0)], None
    if settings.combine == "none":
        return [plateau], None
    if settings.combine == "checkpoints":
        members = CheckpointEnsemble(folder / MEMBERS, max_members=_MEMBERS)
        return [plateau, members], members
    cycles = min(_CYCLES, epochs)
    members = CheckpointEnsemble(folder / MEMBERS, keep="cycle", max_members=cycles)
    return [SnapshotSchedule(cycles, rate), members], members


def _ensemble(members, record):
    """The members of the training as one model."""
    if not members.members:
        raise ValueError(
            "the training never had a finite validation loss, so there is no member to keep: look "
            f"at {HISTORY}, and give a lower learning rate."
        )
    epochs = ", ".join(str(one["epoch"]) for one in members.members)
    record.add(f"the answer is the mean of the states after the epochs {epochs}.")
    return members.ensemble()
