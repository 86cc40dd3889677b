"""A training that is killed again and again, and goes on each time until it has ended.

Usage: python killed_training.py FOLDER KILLS SEED

Keras is imported once; each attempt is a fork of this process that has computed nothing yet. Half
of the kills come at a random time, half at a random one of the operations by which files come to be
whole: the temporary file half written, before and after fsync, before and after the rename.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import keras
import numpy as np

import keras_dcnn
from keras_dcnn._files import sha256
from keras_dcnn.callbacks._state import read_state

EPOCHS = 7


def train(folder):
    """Train with everything that has a state; the result is a file that is there or not."""
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (96, 8, 8, 3), "uint8"), np.arange(96) % 3
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras_dcnn.layers.RandomPaddedCrop(8, 8, padding=1, flip=True),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras_dcnn.layers.RReLU(),
            keras.layers.Dropout(0.3),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    callbacks = [
        keras_dcnn.callbacks.ResumeTraining(folder / "state", verbose=0),
        keras_dcnn.callbacks.DivideLROnPlateau(
            patience=1, min_delta=0.2, restore="state", warmup=1, verbose=0
        ),
        members := keras_dcnn.callbacks.CheckpointEnsemble(folder / "members", max_members=2),
        keras_dcnn.callbacks.WeightAveraging("lawa", start=0.3, window=3, every="epoch"),
        curve := keras_dcnn.callbacks.CurveRecorder(folder / "loss.csv", max_points=10),
        dead := keras_dcnn.callbacks.DeadUnits(x, num_samples=16),
    ]
    model.fit(
        *(x, y), epochs=EPOCHS, validation_data=(x[:32], y[:32]), callbacks=callbacks, verbose=0
    )
    np.savez(
        folder / ".result.npz",
        *model.get_weights(),
        rate=keras.ops.convert_to_numpy(model.optimizer.learning_rate),
        members=[str(member) for member in members.members],
        files=sorted(path.name for path in (folder / "members").iterdir()),
        csv=np.frombuffer((folder / "loss.csv").read_bytes(), "uint8"),
        points=np.array(list(curve.points().values())),
        dead=list(dead.dead_unit_fractions.values()),
    )
    os.replace(folder / ".result.npz", folder / "result.npz")


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


def attempt(folder, chance, duration):
    """One attempt, killed within the time that a whole training takes; whether it was killed."""
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


def check_files(folder):
    """Every file that is listed is whole, and no more members are there than may be."""
    if (folder / "state").is_dir():
        read_state(folder / "state")  # a damaged one would warn, which is an error here
    manifest = folder / "members" / "manifest.json"
    if manifest.is_file():
        for member in json.loads(manifest.read_text())["members"]:
            assert sha256(manifest.parent / member["file"]) == member["sha256"], member
        assert len(list(manifest.parent.glob("member-*"))) <= 3


def main(folder, kills, seed):
    """Kill so many times; every training that ends must end as the one that was not killed."""
    warnings.simplefilter("error", UserWarning)
    chance, done, ended = random.Random(seed), 0, 0
    duration = whole(folder / "warm") and whole(folder / "whole")
    expected = np.load(folder / "whole" / "result.npz")
    while done < kills:
        run = folder / f"run{ended}"
        run.mkdir(exist_ok=True)
        done += attempt(run, chance, duration)
        check_files(run)
        if (run / "result.npz").is_file():
            compare(np.load(run / "result.npz"), expected)
            ended += 1
    run = folder / f"run{ended}"
    if run.is_dir():
        whole(run)
        compare(np.load(run / "result.npz"), expected)
        ended += 1
    print(f"killed {done} times, {ended} trainings ended alike")


def whole(folder):
    """Train to the end; the seconds that it took."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        train(folder)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"the training failed in {folder}")
    return time.monotonic() - start


def compare(result, expected):
    """Everything that a training leaves, bit for bit."""
    for name in expected.files:
        np.testing.assert_array_equal(result[name], expected[name], err_msg=name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
