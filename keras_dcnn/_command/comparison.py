"""The main job: train one network twice, plain and with the tutorial's parts, and compare."""

import csv
import dataclasses
import time
from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn._files.atomic import atomic_write, write_json
from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn._version import __version__
from keras_dcnn.callbacks import CheckpointEnsemble, DivideLROnPlateau
from keras_dcnn.constraints import MaxNorm
from keras_dcnn.datasets.photo_digits import tint
from keras_dcnn.diagnosis import examine_predictions
from keras_dcnn.initializers import HeNormal
from keras_dcnn.layers import FancyPCA, RandomHSV, RReLU
from keras_dcnn.models import small_cnn
from keras_dcnn.visualization import plot_accuracy_gap, plot_loss
from keras_dcnn.visualization._axes import pyplot

LEARNING_RATE = 0.02
BATCH_SIZE = 32
COLOR_CAST = 0.8


class ComparisonError(ValueError):
    """What the data or the training made impossible; the message says it in a sentence."""


class Data(NamedTuple):
    """Three pairs of uint8 images and integer labels, and the names of the classes."""

    train: tuple
    validation: tuple
    test: tuple
    class_names: list


def plain_model(data):
    """The network as most people would first write it."""
    return small_cnn(data.train[0].shape[1:], len(data.class_names))


def model_with_parts(data, seed, mirror=False):
    """The same network with augmentation, initialisation, RReLU and max-norm."""
    fancy_pca = FancyPCA(std=0.5, scale="stddev", seed=seed)
    try:
        fancy_pca.adapt(data.train[0])
    except ValueError as error:  # all of one colour, or nearly black
        raise ComparisonError(f"these images can't be trained on: {error}") from error
    augmentation = [RandomHSV(power_sampling="log_uniform", seed=seed + 1), fancy_pca]
    if mirror:
        augmentation.append(keras.layers.RandomFlip("horizontal", seed=seed + 2))
    return small_cnn(
        data.train[0].shape[1:],
        len(data.class_names),
        activation=RReLU,
        kernel_initializer=HeNormal.for_activation(RReLU(), seed=seed),
        kernel_constraint=MaxNorm(3.0),
        augmentation=augmentation,
    )


def compare(data, folder, epochs, seed, mirror=False, callback=None):
    """Train both, write everything to `folder`, return the summary that is in summary.json.

    `callback(name)` may give a Keras callback for the run of that name, to show progress.
    Raises ComparisonError for images that can't be trained on, before training, and for a training
    that left no member.
    """
    pyplot()  # a missing package is found now, not after minutes
    cast_images = tint(data.test[0], COLOR_CAST, np.random.default_rng(seed))
    tests = {"clean": data.test, "colour cast": (cast_images, data.test[1])}
    checkpoints = CheckpointEnsemble(folder / "members", max_members=3)
    callbacks = {"plain": [], "parts": [DivideLROnPlateau(patience=3, verbose=0), checkpoints]}
    models = build(data, seed, mirror)
    histories, runs = {}, {}
    for name, model in models.items():
        keras.utils.set_random_seed(seed)
        start = time.perf_counter()
        shown = [callback(name)] if callback else []
        histories[name] = fit(model, data, epochs, [*callbacks[name], *shown])
        write_history(folder / "history.csv", histories)
        runs[name] = {"accuracy": accuracies(model, tests)}
        if name == "parts":
            runs[name] |= judge_ensemble(checkpoints, folder, tests, data.class_names)
        runs[name]["seconds"] = round(time.perf_counter() - start, 1)
    summary = {**set_up_of(data), "seed": seed, "epochs": epochs, **runs}
    write_json(folder / "summary.json", summary)
    draw_curves(folder / "training.png", histories)
    return summary


def build(data, seed, mirror):
    """Both models, each from the seed."""
    keras.utils.set_random_seed(seed)
    plain = plain_model(data)
    keras.utils.set_random_seed(seed)
    return {"plain": plain, "parts": model_with_parts(data, seed, mirror)}


def set_up_of(data):
    """What a reader of the summary needs to know of the set-up."""
    return {
        "keras_dcnn": __version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "color_cast": COLOR_CAST,
        "images": {name: len(getattr(data, name)[1]) for name in ("train", "validation", "test")},
        "class_names": list(data.class_names),
    }


def judge_ensemble(checkpoints, folder, tests, class_names):
    """Save the ensemble; its accuracy, its members', those of the best on clean images; findings.

    The findings are of what the ensemble says of the clean images.
    """
    if not checkpoints.members:
        raise ComparisonError(
            f"the training with the parts never had a finite validation loss; its curves are in "
            f"{folder / 'history.csv'}."
        )
    ensemble = checkpoints.ensemble()
    ensemble.save(folder / "ensemble.keras")
    members = [accuracies(member, tests) for member in ensemble.members]
    answers = answers_of(ensemble, tests)
    findings = examine_predictions(tests["clean"][1], answers["clean"], class_names)
    return {
        "members": members,
        "best_member": max(members, key=lambda accuracy: accuracy["clean"]),
        "ensemble": shares_right(answers, tests),
        "findings": [dataclasses.asdict(finding) for finding in findings],
    }


def fit(model, data, epochs, callbacks):
    """Train with the settings that both runs share; returns the curves."""
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=0.9, nesterov=True),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    history = model.fit(
        *data.train,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=data.validation,
        callbacks=callbacks,
        verbose=0,
    )
    return history.history


def accuracies(model, tests):
    """Accuracy on each test set, by its name."""
    return shares_right(answers_of(model, tests), tests)


def answers_of(model, tests):
    """The probabilities for each test set, by its name."""
    return {name: model.predict(x, batch_size=256, verbose=0) for name, (x, _) in tests.items()}


def shares_right(answers, tests):
    return {name: float(np.mean(answers[name].argmax(1) == y)) for name, (_, y) in tests.items()}


def write_history(path, histories):
    """One row per run and epoch, one column per quantity."""
    columns = list(dict.fromkeys(name for logs in histories.values() for name in logs))
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", "epoch", *columns])
        for run, logs in histories.items():
            for i in range(len(logs["loss"])):
                writer.writerow([run, i + 1, *(logs[c][i] if c in logs else "" for c in columns)])


def draw_curves(path, histories):
    """One column per run: loss with the cuts of the learning rate, accuracy with its gap."""
    figure, grid = pyplot().subplots(
        2, len(histories), figsize=(10, 7), sharey="row", squeeze=False, layout="constrained"
    )
    for (loss, accuracy), (name, history) in zip(grid.T, histories.items(), strict=True):
        plot_loss(history, loss, f"{name}: loss")
        plot_accuracy_gap(history, ax=accuracy, title=f"{name}: accuracy")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=120)
    pyplot().close(figure)
