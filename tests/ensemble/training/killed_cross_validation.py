"""A cross-validation that is killed again and again, and goes on each time until it has ended.

Usage: python killed_cross_validation.py FOLDER KILLS SEED
"""

import json
import sys
import warnings
from pathlib import Path

import joblib  # noqa: F401  once here, not in each fork
import keras
import numpy as np
import sklearn.model_selection  # noqa: F401

from keras_dcnn.ensemble.training.cross_validation_ensemble import CrossValidationEnsemble

sys.path.insert(0, str(Path(__file__).parents[2]))
from killing import kill_again_and_again, write_result


def build(width):
    """A small network."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    # For a step or two compiling would be the longest, but on JAX, which keeps what it compiled.
    jax = keras.backend.backend() == "jax"
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jax, run_eagerly=not jax)
    return model


def train(folder):
    """Cross-validate, with a line for each training."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 4, 4, 2)).astype("float32"), np.arange(24) % 3

    class Log(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            with open(folder.with_suffix(".txt"), "a") as file:
                file.write(f"{[list(w.shape) for w in self.model.weights]}\n")

    search = CrossValidationEnsemble(
        build, folds=2, top=3, grid={"width": [2, 3]}, directory=folder / "search"
    )
    search.fit(x, y, epochs=2, verbose=0, callbacks=lambda: [Log()])
    listed = json.loads((folder / "search" / "manifest.json").read_text())["members"]
    write_result(
        folder,
        *search.ensemble().get_weights(),
        scores=search.scores,
        oof_predictions=search.oof_predictions,
        histories=str(search.histories),
        members=str([one | {"sha256": None} for one in listed]),  # files hold names of layers
        files=sorted(path.name for path in (folder / "search").iterdir()),
    )


def note(folder):
    """How many trainings are marked as done, and how many came to their end."""
    log = folder.with_suffix(".txt")
    done = len(list((folder / "search").glob("configuration-*.json")))
    return done, len(log.read_text().splitlines()) if log.is_file() else 0


def check(folder, before):
    """Trained to the end were those not marked as done, and the last of them need not have been."""
    done, ended = np.subtract(note(folder), before)
    assert ended - done in (0, 1), "a finished one was trained again"


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)  # as a damaged file would give
    kill_again_and_again(train, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), note, check)
