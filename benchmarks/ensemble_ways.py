"""The tutorial's ways to an ensemble, each beside the best single model of equal training.

Usage: KERAS_BACKEND=jax python benchmarks/ensemble_ways.py [FOLDER]; writes ENSEMBLES.md.

On photo_digits, over 5 seeds of data and of training. Every way sees as many images in training: 36
epochs of the training set for one model, 9 for each of four, 12 of three quarters of it for each of
four folds, four cycles of 9. What is trained stays in FOLDER, so that a second run goes on.
Selecting is done on the validation set, the figures are of the test set.
"""

import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from ensemble_report import write_ways

import keras_dcnn
from keras_dcnn import ensemble as kd
from keras_dcnn.datasets import photo_digits

SEEDS, EPOCHS, MEMBERS, BATCH = range(5), 36, 4, 32
LEARNING_RATE = 0.003


def build(steps=None):
    """The demo's network; the rate falls as a cosine over so many steps, or a callback sets it."""
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps) if steps else LEARNING_RATE
    model = keras_dcnn.models.small_cnn((32, 32, 3), 10, width=8)
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def steps(epochs, images):
    return epochs * -(-images // BATCH)


def train_single(seed, train, validation, folder):
    """One model for all epochs; its epoch that validates best counts."""
    best = folder / "single.keras"
    if not best.exists():
        keras.utils.set_random_seed(seed)
        model = build(steps(EPOCHS, len(train[1])))
        keep = keras.callbacks.ModelCheckpoint(
            folder / ".single.keras", "val_accuracy", save_best_only=True
        )
        fit(model, train, EPOCHS, validation, [keep])
        (folder / ".single.keras").rename(best)
    return keras.saving.load_model(best)


def train_cycles(seed, train, validation, folder):
    """One model, of which the end of each cycle is a member."""
    done = folder / "cycles.keras"
    if not done.exists():
        keras.utils.set_random_seed(seed)
        with tempfile.TemporaryDirectory() as members:
            keep = keras_dcnn.callbacks.CheckpointEnsemble(members, "cycle", MEMBERS)
            schedule = keras_dcnn.callbacks.SnapshotSchedule(MEMBERS, LEARNING_RATE)
            fit(build(), train, EPOCHS, validation, [schedule, keep])
            keep.ensemble().save(done)
    return keras.saving.load_model(done)


def fit(model, train, epochs, validation, callbacks):
    given = {"batch_size": BATCH, "verbose": 0, "callbacks": callbacks}
    model.fit(*train, epochs=epochs, validation_data=validation, **given)


def train_seeds(seed, train, folder):
    epochs, first = EPOCHS // MEMBERS, 100 * seed
    total = steps(epochs, len(train[1]))
    seeds = list(range(first, first + MEMBERS))
    return kd.train_from_seeds(
        lambda: build(total), train, seeds, directory=folder / "seeds", n_jobs=1,
        epochs=epochs, batch_size=BATCH,
    )  # fmt: skip


def train_folds(seed, train, folder):
    epochs = EPOCHS // (MEMBERS - 1)  # of three quarters of the images each
    total = steps(epochs, len(train[1]) * (MEMBERS - 1) // MEMBERS)
    search = kd.CrossValidationEnsemble(
        lambda: build(total), folds=MEMBERS, top=3, directory=folder / "folds", seed=seed
    )
    return search.fit(*train, n_jobs=1, epochs=epochs, batch_size=BATCH)


def judge(seed, train, validation, test, folder):
    """Calibration on the test set, by way."""
    single = train_single(seed, train, validation, folder)
    seeds = train_seeds(seed, train, folder)
    folds = train_folds(seed, train, folder)
    cycles = train_cycles(seed, train, validation, folder)
    (x, y), labels = test, validation[1]
    held_out = seeds.predict_members(validation[0])
    best = int(np.argmax((held_out.argmax(-1) == labels).mean(1)))
    ways = {
        "single, all epochs": predict(single, x),
        "best of the four seeds": predict(seeds.members[best], x),
        "1 seeds": predict(seeds, x),
        "2 top models of cross-validation": predict(folds.ensemble(), x),
        "3 checkpoints, ends of cycles": predict(cycles, x),
        "3 checkpoints, last cycle alone": predict(cycles.members[-1], x),
    }
    early = kd.EarlyFusion(seeds.members, 10, layer="penultimate")
    keras.utils.set_random_seed(seed)
    early.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    early.fit_head(*train, epochs=20, batch_size=BATCH, verbose=0)
    late = kd.LateFusion(seeds.members)
    late.learn_weights(*validation, trained_on=train)
    ways["4 early fusion"], ways["4 late fusion"] = predict(early, x), predict(late, x)
    stacked = kd.StackedEnsemble(seeds.members)
    stacked.fit(*validation, trained_on=train)
    ways["5 stacked, on validation"] = predict(stacked, x)
    bagged = kd.StackedEnsemble(folds.bags())
    bagged.fit_predictions(folds.oof_predictions, train[1])
    ways["5 stacked, out of fold"] = predict(bagged, x)
    chosen = kd.select_members(held_out, labels, bags=1)
    ways["greedy selection of seeds"] = predict(
        kd.Ensemble(seeds.members, weights=chosen.weights), x
    )
    return {way: vars(kd.calibration(y, p)) for way, p in ways.items()}


def predict(model, x):
    return model.predict(x, batch_size=200, verbose=0)


def main():
    folder = Path(sys.argv[1] if sys.argv[1:] else tempfile.mkdtemp())
    results = {}
    for seed in SEEDS:
        place = folder / str(seed)
        place.mkdir(parents=True, exist_ok=True)
        results[seed] = judge(seed, *photo_digits.load_data(seed=seed), place)
        (folder / "results.json").write_text(json.dumps(results, indent=1))
        print(seed, {way: round(one["accuracy"], 4) for way, one in results[seed].items()})
    write_ways(results, EPOCHS)


if __name__ == "__main__":
    main()
