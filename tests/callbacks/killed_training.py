"""A training that is killed again and again, and goes on each time until it has ended.

Usage: python killed_training.py FOLDER KILLS SEED
"""

import json
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

import keras_dcnn
from keras_dcnn._files.atomic import sha256
from keras_dcnn._files.states import read_state

sys.path.insert(0, str(Path(__file__).parents[1]))
import trainings
from killing import kill_again_and_again, write_result


def train(folder):
    """Train with everything that has a state."""
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (48, 6, 6, 3), "uint8"), np.arange(48) % 3
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras_dcnn.layers.RandomPaddedCrop(6, 6, padding=1, flip=True),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras_dcnn.layers.RReLU(),
            keras.layers.Dropout(0.3),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        jit_compile=trainings.jit(),
    )
    callbacks = [
        keras_dcnn.callbacks.ResumeTraining(folder / "state", verbose=0),
        keras_dcnn.callbacks.DivideLROnPlateau(
            patience=1, min_delta=0.2, restore="state", warmup=1, verbose=0
        ),
        members := keras_dcnn.callbacks.CheckpointEnsemble(folder / "members", max_members=2),
        keras_dcnn.callbacks.WeightAveraging("lawa", start=0.3, window=3, every="epoch"),
        curve := keras_dcnn.callbacks.CurveRecorder(folder / "loss.csv", max_points=10),
        dead := keras_dcnn.callbacks.DeadUnits(x, num_samples=16, verbose=0),
    ]
    more = {"validation_data": (x[:16], y[:16]), "batch_size": 16, "verbose": 0}
    model.fit(x, y, epochs=5, callbacks=callbacks, **more)
    write_result(
        folder,
        *model.get_weights(),
        rate=keras.ops.convert_to_numpy(model.optimizer.learning_rate),
        members=[str(member) for member in members.members],
        files=sorted(path.name for path in (folder / "members").iterdir()),
        csv=np.frombuffer((folder / "loss.csv").read_bytes(), "uint8"),
        points=np.array(list(curve.points().values())),
        dead=list(dead.dead_unit_fractions.values()),
    )


def check_files(folder, _):
    """Every file that is listed is whole, and no more members are there than may be."""
    if (folder / "state").is_dir():
        read_state(folder / "state")  # a damaged one would warn, which is an error here
    manifest = folder / "members" / "manifest.json"
    if manifest.is_file():
        for member in json.loads(manifest.read_text())["members"]:
            assert sha256(manifest.parent / member["file"]) == member["sha256"], member
        assert len(list(manifest.parent.glob("member-*"))) <= 3


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    kill_again_and_again(train, folder, kills, seed, lambda _: None, check_files)
