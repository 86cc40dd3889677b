"""What each command does, when Keras is there."""

import csv
import dataclasses
import json
import os
from pathlib import Path

import keras
import numpy as np

from keras_dcnn._command.arguments import FORMATS, export_path
from keras_dcnn._command.doctor import doctor as examine_files
from keras_dcnn._files.atomic import atomic_write
from keras_dcnn._images.errors import some_of
from keras_dcnn._images.formats import is_hidden, why_no_image
from keras_dcnn._images.listing import list_folder
from keras_dcnn._images.pixels import Reading
from keras_dcnn._images.reading import read_all
from keras_dcnn.datasets import photo_digits
from keras_dcnn.diagnosis.finding import plain
from keras_dcnn.layers import standard_augmentation
from keras_dcnn.recipes import load_run
from keras_dcnn.recipes._job import run_job
from keras_dcnn.recipes._pictures import check_can_draw
from keras_dcnn.recipes._screen import Screen
from keras_dcnn.recipes._settings import FIELDS, Settings, read_run
from keras_dcnn.statistics import PixelMoments
from keras_dcnn.visualization import plot_augmentation

_SHOWN, _DRAWS = 4, 6  # images of a preview, and draws of each
_DEMO_EPOCHS = 25


def begin_devices():
    """Have the backend look for its devices, of which it writes to the terminal."""
    keras.ops.zeros(1)


def train(arguments, folder):
    """`train` and `demo`, in a folder that is made and locked."""
    check_can_draw()
    if arguments.command == "demo":
        settings = Settings(
            network="small_cnn",
            flip=False,
            compare=True,
            epochs=arguments.epochs or _DEMO_EPOCHS,
            seed=arguments.seed,
        )
        names = [str(digit) for digit in range(photo_digits.NUM_CLASSES)]
        source = (*photo_digits.load_data(seed=arguments.seed), names)
    elif arguments.resume:
        source, settings = _of_run(folder)
    else:
        given = {name: getattr(arguments, name) for name in FIELDS}
        given["weights"] = given["weights"] or "imagenet"
        source, settings = arguments.directory, Settings(**given)
    ended = run_job(source, folder, settings, Screen())
    return _code(ended.summary["findings"])


def _of_run(folder):
    """The images and settings of a run that is gone on with."""
    source, settings = read_run(folder)
    if source is None:
        raise ValueError(f"{folder} holds a run on arrays: only its own script can go on with it.")
    return source, settings


def evaluate(arguments):
    """Scores on another folder."""
    screen = Screen(not arguments.json)
    run, options = load_run(arguments.run), {"skip_unreadable": True, "track": screen.reading}
    found = run.judge(arguments.directory, **options)
    findings = [dataclasses.asdict(plain(one)) for one in found.findings]
    if arguments.json:
        files = {name: getattr(found.card, name) for name in ("passed_over", "unreadable")}
        print(json.dumps({**found.scores.as_dict(), "findings": findings, **files}, indent=2))
    else:
        if found.card.text_of_files():
            screen.say(found.card.text_of_files())
        screen.say(found.scores.text())
        screen.findings(found.findings)
    return _code(findings)


def predict(arguments):
    """The class of each file."""
    passed_over = {}
    files = [file for given in arguments.files for file in _images_in(given, passed_over)]
    run = load_run(arguments.run)
    predictions = run.predict(files, top=arguments.top, skip_unreadable=True)
    if arguments.csv:
        _write_csv(arguments.csv, predictions)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(one) for one in predictions], indent=2))
    else:
        _show_predictions(predictions)
        for file, why in passed_over.items():
            print(f"passed over: {file}: {why}")
    return int(any(one.error for one in predictions))


def _images_in(given, passed_over):
    """A file, or the images of a folder at any depth; the others are noted with the reason."""
    if not given.is_dir():
        return [given]
    found = []
    for path in sorted(given.rglob("*")):
        if not path.is_dir() and not is_hidden(path.name):
            why = why_no_image(path)
            if why is None:
                found.append(path)
            else:
                passed_over[path] = why
    if not found:
        raise ValueError(f"{given} holds no image.")
    return found


def _write_csv(path, predictions):
    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        top = max(len(one.top) for one in predictions)
        more = [f"{what}_{k}" for k in range(2, top + 1) for what in ("label", "probability")]
        writer.writerow(["file", "label", "probability", "sure", "spread", "error", *more])
        for one in predictions:
            first = [one.file, one.label, one.probability, one.sure, one.spread, one.error]
            rest = [value for pair in one.top[1:] for value in pair]
            writer.writerow(["" if value is None else value for value in [*first, *rest]])


def _show_predictions(predictions):
    """A line each, as wide as the terminal: file, class, and how sure that is."""
    screen, files = Screen(), [one.file for one in predictions]
    root = os.path.dirname(files[0]) if len(files) == 1 else os.path.commonpath(files)
    rows = [
        (os.path.relpath(one.file, root), f"{one.label} {100 * one.probability:.0f} %", _doubt(one))
        for one in predictions
        if not one.error
    ]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(3)]
    room = max(screen.width - sum(widths[1:]) - 4, screen.width // 3)
    if not screen.moves:  # into a file, or a pipe
        room = widths[0]
    for file, said, doubt in rows:
        file = file if len(file) <= room else f"…{file[-room + 1 :]}"
        line = f"{file:<{min(room, widths[0])}}  {said:<{widths[1]}}  {doubt}".rstrip()
        print(f"{line[: screen.width - 1]}…" if screen.moves and len(line) > screen.width else line)
    for one in predictions:
        if one.error:
            screen.say(one.error)


def _doubt(prediction):
    """In words: "not sure", the next class, how many members of an ensemble differ."""
    said = [f"{prediction.spread:.0%} of members differ"] if prediction.spread else []
    if prediction.sure is False:
        second = prediction.top[1:2]
        said = ["not sure", *(f"or {name} {100 * p:.0f} %" for name, p in second), *said]
    return ", ".join(said)


def report(arguments):
    """The report of a run, anew."""
    check_can_draw()
    print(f"written to {load_run(arguments.run).report()}")
    return 0


def export(arguments):
    """The model in another format."""
    path = load_run(arguments.run).export(export_path(arguments), FORMATS[arguments.format])
    print(f"written to {path}, its classes to {path.parent / 'labels.txt'}")
    return 0


def preview(arguments):
    """A grid of augmented images."""
    check_can_draw()
    x, names = _some_images(arguments)
    size = arguments.image_size
    layer = standard_augmentation(size, size, flip=arguments.flip, seed=arguments.seed)
    figure = plot_augmentation(layer, x, _DRAWS)
    for ax, name in zip(figure.axes[:: 1 + _DRAWS], names, strict=True):
        ax.set_ylabel(name)
    path = arguments.output or Path("preview.png")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)
    print(f"written to {path}")
    return 0


def _some_images(arguments):
    """Images of a folder, each of another class where there are some."""
    images = list_folder(arguments.directory)
    random = np.random.default_rng(arguments.seed)
    first = [random.choice(np.flatnonzero(images.labels == k)) for k in np.unique(images.labels)]
    chosen = [images.files[place] for place in first[:_SHOWN]]
    read = read_all(chosen, Reading(arguments.image_size), skip_unreadable=True)
    if not len(read.readable):
        raise ValueError(f"none of {some_of(chosen)} can be read; try another --seed.")
    names = [images.class_names[k] for k in range(len(chosen))]
    return read.pixels, [names[place] for place in read.readable]


def stats(arguments):
    """Mean, deviation and eigenpairs of the colours, 0…255."""
    images, screen = list_folder(arguments.directory), Screen(0)
    reading, skip = Reading(arguments.image_size), {"skip_unreadable": True}
    read = read_all(images.files, reading, track=screen.reading, **skip)
    if not len(read.readable):
        raise ValueError(f"{arguments.directory} holds no image that can be read.")
    moments = PixelMoments().update(read.pixels)
    values, vectors = np.linalg.eigh(moments.covariance)
    found = {
        "images": len(read.pixels),
        "mean": moments.mean.tolist(),
        "standard_deviation": np.sqrt(moments.variance).tolist(),
        "eigenvalues": values[::-1].tolist(),
        "eigenvectors": vectors.T[::-1].tolist(),
        "unreadable": {str(file): why for file, why in read.unreadable.items()},
    }
    print(json.dumps(found, indent=2))
    return 0


def doctor(arguments):
    """What is wrong with curves, models, or the installation."""
    return examine_files(arguments.files, arguments.data, arguments.json)


def _code(findings):
    """1 for a model of no use."""
    return int(any(one["severity"] == "error" for one in findings))
