"""A cross-validation that is killed again and again, and goes on each time until it has ended.

Usage: python killed_cross_validation.py FOLDER KILLS SEED

Keras is imported once; each attempt is a fork of this process that has computed nothing yet. Half
of the kills come at a random time, half at a random one of the operations by which files come to be
whole: an array half written, before and after fsync, before and after the rename.
"""

import os
import random
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import joblib  # noqa: F401  once here, not in each fork
import keras
import numpy as np
import sklearn.model_selection  # noqa: F401

from keras_dcnn.ensemble.cross_validation_ensemble import CrossValidationEnsemble


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


def die_at(number):
    """Have this process kill itself at so many file operations from now."""
    left = [number]

    def mortal(operation):
        def wrapped(*args, **kwargs):
            left[0] -= 2
            if left[0] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            result = operation(*args, **kwargs)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    def torn(*args, **kwargs):
        if left[0] <= 2:  # the file is there, not all of it
            Path(args[0]).write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*args, **kwargs)

    whole, np.savez = np.savez, torn
    os.fsync, os.replace = mortal(os.fsync), mortal(os.replace)


def finished(folder):
    """How many trainings are marked as done."""
    return len(list((folder / "search").glob("configuration-*.json")))


def attempt(folder, chance, duration):
    """One attempt, killed within the time that a whole run takes; whether it was killed."""
    by_write = chance.random() < 0.5
    operations, seconds = chance.randrange(1, 90), chance.uniform(0, duration)
    child = os.fork()
    if child == 0:
        if by_write:
            die_at(operations)
        try:
            train(folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if not by_write:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"an attempt failed in {folder}")
    return os.WIFSIGNALED(status)


def main(folder, kills, seed):
    """Kill so many times; every run that ends must end as the one that was not killed."""
    warnings.simplefilter("error", UserWarning)  # as a damaged file would give
    chance, done, ended = random.Random(seed), 0, 0
    duration = whole(folder / "warm") and whole(folder / "whole")
    expected = np.load(folder / "whole" / "result.npz")
    while done < kills or (folder / f"run{ended}").is_dir():
        run = folder / f"run{ended}"
        run.mkdir(exist_ok=True)
        before = finished(run), trainings(run)
        if done < kills:
            done += attempt(run, chance, duration)
        else:
            whole(run)
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


def whole(folder):
    """Go on to the end; the seconds that it took."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            train(folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"the run failed in {folder}")
    return time.monotonic() - start


def compare(result, expected):
    """All that a run leaves, bit for bit."""
    for name in expected.files:
        np.testing.assert_array_equal(result[name], expected[name], err_msg=name)


if keras.backend.backend() == "torch":
    import torch._dynamo  # noqa: F401  as well

if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
