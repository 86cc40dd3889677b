"""train_classifier: the whole tutorial as one job on your images."""

import os
from typing import Any

import keras

from keras_dcnn._checks import as_path, check_flag
from keras_dcnn._files.run_folder import RunFolderError, holds_ended_run, run_folder
from keras_dcnn._images.pixels import MAX_PIXELS
from keras_dcnn.recipes._job import run_job
from keras_dcnn.recipes._pictures import check_can_draw
from keras_dcnn.recipes._screen import Screen
from keras_dcnn.recipes._settings import Settings
from keras_dcnn.recipes.load_run import load_run
from keras_dcnn.recipes.run import Run


def train_classifier(
    data: Any,
    folder: str | os.PathLike[str] | None = None,
    *,
    labels: str | os.PathLike[str] | None = None,
    network: str | keras.Model = "auto",
    weights: str | os.PathLike[str] | None = "imagenet",
    image_size: int | None = None,
    strategy: str = "auto",
    augmentation: Any = "standard",
    flip: bool = True,
    imbalance: str = "auto",
    combine: str = "averaging",
    epochs: int | None = None,
    learning_rate: float | str = "auto",
    batch_size: int = 32,
    background: tuple[int, int, int] = (255, 255, 255),
    max_pixels: int = MAX_PIXELS,
    skip_unreadable: bool = False,
    compare: bool = False,
    seed: int = 0,
    resume: bool = False,
    verbose: int = 1,
) -> Run:
    """Train a classifier of your images: the whole tutorial as one job.

    It reads the images and says what they are; takes a network that knows photographs where there
    is one, and measures how much of it your classes need; augments; chooses the learning rate,
    halves it when validation stalls, averages the weights of the end; minds rare classes; judges
    the result on images that it never saw, with intervals; and writes a report. What it decides it
    says, with the reason, and each decision can be made by an argument.

    | in `folder` | |
    |---|---|
    | `report.html` | what is wrong, how good it is, on what; one page, needs no network |
    | `model.keras` | an `ImageClassifier`: knows its classes and what images it takes |
    | `summary.json` | settings, decisions with reasons, scores with 95 % intervals, findings |
    | `images.csv`, `data.json` | which image is in which part; the data card |
    | `history.csv`, `training.png`, `confusion.png` | curves (of a training), confusion |
    | `test.csv` | what was said of each test image, the worst first |

    Of each class a fifth validates and a fifth tests; copies of an image are on one side, and count
    once where they are held out. Images are held in memory as uint8 where they fit, else read by
    threads again and again.

    Args:
        data: A folder with a subfolder per class, or with `train`, `val` and `test` of such; or
            arrays, `((x, y), (x_val, y_val), (x_test, y_test), class_names)` as
            `image_folder.load_data` returns them.
        folder: The run's own folder, new or empty; `runs/<time>` by default.
        labels: CSV file of files and labels, in place of subfolders; see `image_folder.load_data`.
        network: "auto": EfficientNet-Lite0 where its weights are installed, else "small_cnn"; or
            "lite0" to "lite2", a name in `keras.applications`, or a built Keras model that scales
            images of 0…255 by itself.
        weights: Of the network: "imagenet", a file, or None for random ones.
        image_size: Side of the images, in pixels, ≥ 8; None for what suits network and machine.
        strategy: As in `fine_tuning.fine_tune`; not for the small CNN.
        augmentation: "standard" (turns, zooms, moves, mirrors, draws colours by HSV and fancy
            PCA), a Keras layer that takes raw images, or None.
        flip: Whether "standard" mirrors; not for digits and letters.
        imbalance: "adjust" the logits after the training, "loss" (of the small CNN) that asks more
            for rare classes, "oversample", "none"; "auto" for the first of these that fits, where
            the largest class has three times as many images as the smallest.
        combine: What the end of a training gives: "averaging" of the weights; an ensemble of the
            three best "checkpoints" or of the ends of four "cycles" of the rate; "none".
        epochs: Epochs of a training, ≥ 1; None for 20, from scratch 40, and up to 200 where
            images are few.
        learning_rate: A number above 0, "finder", or "auto": what `recommend` says for a network
            that is fine-tuned, else what the finder says.
        batch_size: Images at a time, ≥ 1.
        background: RGB colour of 0…255 behind what is transparent.
        max_pixels: Width × height of the largest file that is read.
        skip_unreadable: Go on without files that can't be read, which are listed.
        compare: Train the same network plainly as well, and compare; takes as long again.
        seed: Integer ≥ 0 for the split, the augmentation and the order of the images.
        resume: Go on with the run in `folder` that was interrupted, with the same data and
            settings; one that has ended is loaded.
        verbose: 1 says what is decided, and how far it is; 0 is silent.

    Returns:
        The `Run`: `run.predict("photo.jpg")`, `run.summary["scores"]`, `run.export("model.onnx",
        "onnx")`.

    Raises:
        ImageFolderError: (of `datasets.image_folder`, a ValueError) for folders and files that
            can't be used; all are named.
        RunFolderError: (a ValueError) where `folder` is in use, or holds something.
        TypeError, ValueError: for arguments outside the ranges above.
        MemoryError: where the values of a batch can't fit in memory.
        OSError: for a full disk; what was trained stays, and `resume=True` goes on.
        ImportError: without pillow, matplotlib or Jinja2: `pip install "keras_dcnn[demo]"`.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    x = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), "uint8")
    y = np.arange(24) % 2
    x[y == 1] //= 2  # darker
    data = (x[:12], y[:12]), (x[12:18], y[12:18]), (x[18:], y[18:]), ["light", "dark"]
    options = {"epochs": 1, "learning_rate": 0.01, "augmentation": None, "verbose": 0}
    run = keras_dcnn.recipes.train_classifier(data, **options)
    print(run.predict(x[0])[0].label, run.summary["scores"]["accuracy"])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015).
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    settings = Settings(
        labels=labels,
        network=network,
        weights=weights,
        image_size=image_size,
        strategy=strategy,
        augmentation=augmentation,
        flip=flip,
        imbalance=imbalance,
        combine=combine,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        background=background,
        max_pixels=max_pixels,
        skip_unreadable=skip_unreadable,
        compare=compare,
        seed=seed,
    )
    check_flag("resume", resume)
    settings.check()
    check_can_draw()
    source = data if isinstance(data, (tuple, list)) else as_path("data", data)
    if resume and folder is None:
        raise RunFolderError("`folder` must be that of the run to go on with; got None.")
    place = None if folder is None else as_path("folder", folder)
    if resume and holds_ended_run(place):
        return load_run(place)
    with run_folder(place, resume) as path:
        model, summary = run_job(source, path, settings, Screen(verbose))
        return Run(path, model, summary)
