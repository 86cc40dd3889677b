"""A cross-validation that is killed again and again, and goes on each time until it has ended.

Usage: python killed_cross_validation.py FOLDER KILLS SEED
"""

import random
import sys
import warnings
from pathlib import Path

import joblib  # noqa: F401  once here, not in each fork
import keras
import numpy as np
import sklearn.model_selection  # noqa: F401

from keras_dcnn.ensemble.cross_validation_ensemble import CrossValidationEnsemble

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import attempt, compare, whole


def build(width):
    """A small network; JAX keeps what it compiled, where the tests say in which folder."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    jit = keras.backend.backend() == "jax"
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit)
    return model


def train(folder):
    """Cross-validate; the result is a file that is there or not, and a line for each training."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4, 4, 2)).astype("float32"), np.arange(24) % 3

    class Log(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            with open(folder / "trained.txt", "a") as file:
                file.write(f"{[list(w.shape) for w in self.model.weights]}\n")

    search = CrossValidationEnsemble(
        build, folds=2, top=3, grid={"width": [2, 3]}, directory=folder / "search"
    )
    search.fit(x, y, epochs=2, verbose=0, callbacks=lambda: [Log()])
    np.savez(
        folder / "result.npz",
        *search.ensemble().get_weights(),
        scores=search.scores,
        oof_predictions=search.oof_predictions,
        histories=str(search.histories),
        members=(folder / "search" / "manifest.json").read_text(),
        files=sorted(path.name for path in (folder / "search").iterdir()),
    )


def finished(folder):
    """How many trainings are marked as done."""
    return len(list((folder / "search").glob("configuration-*.json")))


def main(folder, kills, seed):
    """Kill so many times; every run that ends must end as the one that was not killed."""
    warnings.simplefilter("error", UserWarning)  # as a damaged file would give
    chance, done, ended = random.Random(seed), 0, 0
    duration = whole(train, folder / "warm") and whole(train, folder / "whole")
    expected = np.load(folder / "whole" / "result.npz")
    while done < kills or (folder / f"run{ended}").is_dir():
        run = folder / f"run{ended}"
        run.mkdir(exist_ok=True)
        before = finished(run), trainings(run)
        if done < kills:
            done += attempt(train, run, chance, duration)
        else:
            whole(train, run)
        # Trained to the end were those not marked as done, and the last of them need not have been.
        more = trainings(run) - before[1]
        assert more - (finished(run) - before[0]) in (0, 1), "a finished one was trained again"
        if (run / "search" / "manifest.json").is_file() and (run / "result.npz").is_file():
            compare(np.load(run / "result.npz"), expected)
            ended += 1
    print(f"killed {done} times, {ended} runs ended alike")


def trainings(folder):
    """How many trainings came to their end."""
    log = folder / "trained.txt"
    return len(log.read_text().splitlines()) if log.is_file() else 0


if keras.backend.backend() == "torch":
    import torch._dynamo  # noqa: F401  as well

if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
