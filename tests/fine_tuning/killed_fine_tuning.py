"""Calls of fine_tune that are killed again and again, and go on each time until they have ended.

Usage: python killed_fine_tuning.py FOLDER KILLS SEED
"""

import sys
import warnings
from pathlib import Path

import keras
import numpy as np

import keras_dcnn

sys.path.insert(0, str(Path(__file__).parents[1]))
from killing import kill_again_and_again, write_result


def tune(folder):
    """Features of all depths, the choice, a linear classifier, and the training of all blocks."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 8, 8, 3), "uint8"), np.arange(40) % 2
    keras.utils.set_random_seed(1)
    network = keras_dcnn.models.small_cnn((8, 8, 3), 3, width=2)
    results = {}
    for strategy in ("auto", "probe_then_all"):
        tuned = keras_dcnn.fine_tuning.fine_tune(
            network,
            (x, y),
            strategy=strategy,
            epochs=3,
            learning_rate=0.05,
            batch_size=8,
            directory=folder / strategy,
            verbose=0,
        )
        results[strategy] = tuned.model.predict(x, verbose=0)
        results[f"{strategy}_record"] = np.array(tuned.record)
    write_result(folder, **results)


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    kill_again_and_again(tune, folder, kills, seed, lambda _: None, lambda *_: None)
