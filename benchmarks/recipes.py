"""The main job: what it reaches, how fast it reads, what it holds in memory, what a kill costs it.

    python benchmarks/recipes.py accuracy --data DIR    beside Keras's transfer-learning guide
    python benchmarks/recipes.py reading                beside image_dataset_from_directory
    python benchmarks/recipes.py memory                 50,000 images that don't fit
    python benchmarks/recipes.py predict --data DIR     1,000 files, warm
    python benchmarks/recipes.py kills --data DIR       20 kills, each gone on with

Each prints lines of JSON. The images of `reading` and `memory` are made, in a temporary folder.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from PIL import Image

from keras_dcnn._images.batches import ImageBatches
from keras_dcnn._images.pixels import Reading, read_pixels
from keras_dcnn._images.reading import in_threads
from keras_dcnn.datasets import image_folder
from keras_dcnn.models import efficientnet_lite
from keras_dcnn.recipes import load_run, train_classifier

SEEDS, SIZE = 5, 224
COMMAND = Path(sys.executable).with_name("keras-dcnn")


def show(**measured):
    print(json.dumps(measured), flush=True)


def scores(p, y):
    right = p.argmax(1) == y
    return float(right.mean()), float(np.mean([right[y == one].mean() for one in np.unique(y)]))


def by_the_guide(data, seed):
    """https://keras.io/guides/transfer_learning/: a head for 20 epochs, then all for 10 at 1e-5."""
    (x, y), validation, (x_test, y_test), names = data
    keras.utils.set_random_seed(seed)
    base = efficientnet_lite(include_top=False, input_shape=(SIZE, SIZE, 3))
    base.trainable = False
    images = keras.Input((SIZE, SIZE, 3))
    z = keras.layers.RandomFlip("horizontal")(images)
    z = keras.layers.RandomRotation(0.1)(z)
    z = base(z, training=False)
    z = keras.layers.GlobalAveragePooling2D()(z)
    z = keras.layers.Dropout(0.2)(z)
    model = keras.Model(images, keras.layers.Dense(len(names), "softmax")(z))
    found = []
    for rate, epochs in ((1e-3, 20), (1e-5, 10)):
        loss = "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        model.fit(x, y, epochs=epochs, validation_data=validation, verbose=0)
        found.append(scores(model.predict(x_test, verbose=0), y_test))
        base.trainable = True
    return found


def accuracy(arguments):
    for seed in range(SEEDS):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            run = train_classifier(arguments.data, f"{place}/run", seed=seed, verbose=0)
        ours = [run.summary["scores"][k]["value"] for k in ("accuracy", "balanced_accuracy")]
        middle = time.perf_counter()
        head, whole = by_the_guide(image_folder.load_data(arguments.data, SIZE, seed), seed)
        end = time.perf_counter()
        show(
            seed=seed,
            ours=ours,
            strategy=run.summary["strategy"],
            seconds=round(middle - start),
            guide_head=head,
            guide=whole,
            guide_seconds=round(end - middle),
        )


def make_jpegs(folder, count, side, classes=10):
    """Smooth random pictures with some noise, which JPEG packs about as photographs."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (12, 12, 3), "uint8")
        pixels = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
        pixels = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype("uint8")
        place = folder / f"{number % classes}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number:05}.jpg", quality=90)


def reading(arguments):
    """Images a second of one pass, by each reader in turn."""
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        make_jpegs(place, arguments.count or 10_000, 500)
        files = sorted(place.rglob("*.jpg"))
        y = np.zeros(len(files), int)
        theirs = keras.utils.image_dataset_from_directory(
            place, image_size=(SIZE, SIZE), batch_size=32, shuffle=False, verbose=False
        )
        cropped = keras.utils.image_dataset_from_directory(
            place,
            image_size=(SIZE, SIZE),
            batch_size=32,
            shuffle=False,
            crop_to_aspect_ratio=True,
            verbose=False,
        )
        ours = ImageBatches(files, y, Reading(SIZE), 32)
        readers = {
            "ours, ImageBatches": lambda: [None for i in range(len(ours)) for _ in [ours[i]]],
            "image_dataset_from_directory": lambda: [None for _ in theirs],
            "the same, cropped": lambda: [None for _ in cropped],
        }
        for name, read in [*readers.items()] * arguments.rounds:
            start = time.perf_counter()
            read()
            show(reader=name, images_per_second=round(len(files) / (time.perf_counter() - start)))


def memory(arguments):
    """The peak of the memory of a whole run, of so many images and of a tenth of them."""
    if arguments.one:
        from keras_dcnn.recipes import _images_of_run

        _images_of_run.fits = lambda num_bytes: False  # as on a machine where they don't
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            options = {"network": "small_cnn", "image_size": 64, "epochs": 1, "verbose": 0}
            train_classifier(arguments.data, f"{place}/run", learning_rate=0.02, **options)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        show(
            images=arguments.count, peak_mb=round(peak), seconds=round(time.perf_counter() - start)
        )
        return
    most = arguments.count or 50_000
    for count in (most // 10, most):
        with tempfile.TemporaryDirectory() as place:
            make_jpegs(Path(place), count, 100)
            command = [sys.executable, __file__, "memory", "--one", "--data", place]
            subprocess.run([*command, "--count", str(count)], check=True)


def predict(arguments):
    """`classify` of files beside reading them and one `predict`."""
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        make_jpegs(place / "images", 1000, 500)
        run = train_classifier(arguments.data, place / "run", verbose=0)
        files, reading = sorted((place / "images").rglob("*.jpg")), run.model.reading
        run.predict(files[:64])

        def apart():
            pixels = np.stack(in_threads(lambda file: read_pixels(reading, file), files))
            return run.model.network.predict(pixels, batch_size=32, verbose=0)

        apart()
        ratios = []
        for _ in range(arguments.rounds):
            seconds = []
            for job in (lambda: run.predict(files), apart):
                start = time.perf_counter()
                job()
                seconds.append(time.perf_counter() - start)
            ratios.append(seconds[0] / seconds[1])
            show(predict_seconds=round(seconds[0], 2), apart_seconds=round(seconds[1], 2))
        show(median_ratio=round(statistics.median(ratios), 3))


def kills(arguments):
    """A run that is killed again and again, beside one that is not."""
    options = ["--network", arguments.network, "--epochs", str(arguments.epochs)]
    with tempfile.TemporaryDirectory() as place:
        whole, killed = Path(place, "whole"), Path(place, "killed")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        train = [COMMAND, "train", arguments.data, *options, "--output"]
        start = time.perf_counter()
        subprocess.run([*train, whole], check=True, **quiet)
        seconds = time.perf_counter() - start
        times, command = random.Random(0), [*train, killed]
        count = 0
        while count < arguments.count or not (killed / "summary.json").is_file():
            process = subprocess.Popen(command, **quiet)
            if count < arguments.count:
                wait = times.uniform(0.2 * seconds, 0.9 * seconds)
                try:
                    process.wait(wait)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    count += 1
            process.wait()
            if (killed / "summary.json").is_file():
                show(kills=count, **_alike(whole, killed))
                if count < arguments.count:
                    shutil.rmtree(killed)
            begun = (killed / "run.json").is_file()
            if not begun:
                shutil.rmtree(killed, ignore_errors=True)
            command = [COMMAND, "train", "--resume", killed] if begun else [*train, killed]


def _alike(whole, killed):
    histories = [
        (run / "history.csv").read_text()
        for run in (whole, killed)
        if (run / "history.csv").is_file()
    ]
    one, other = (load_run(run).model for run in (whole, killed))
    same = [
        np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    ]
    return {"same_history": len(set(histories)) <= 1, "same_weights": all(same)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    jobs = {job.__name__: job for job in (accuracy, reading, memory, predict, kills)}
    parser.add_argument("job", choices=[*jobs])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--count", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", default="small_cnn")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--one", action="store_true")
    given = parser.parse_args()
    given.count = given.count or (20 if given.job == "kills" else None)
    jobs[given.job](given)
