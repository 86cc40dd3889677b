"""The steps of a run, in their order, in a folder that is its own."""

import errno
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._files.atomic import atomic_write, write_json
from keras_dcnn._files.run_folder import HISTORY, MODEL, REPORT, SUMMARY
from keras_dcnn._files.runs import RUN, begin_run
from keras_dcnn._images.memory import in_words
from keras_dcnn._version import __version__
from keras_dcnn.diagnosis import diagnose
from keras_dcnn.diagnosis.finding import plain, worst_first
from keras_dcnn.fine_tuning._record import Record
from keras_dcnn.imbalance import adjust_logits
from keras_dcnn.recipes._comparison import compare_with_plain, table_of
from keras_dcnn.recipes._epoch_table import read_history
from keras_dcnn.recipes._evaluation import of_two_classes
from keras_dcnn.recipes._images_of_run import (
    array_images,
    list_images,
    read_images,
    write_image_list,
)
from keras_dcnn.recipes._network import check_memory, choose_network
from keras_dcnn.recipes._pictures import draw_pictures, write_report
from keras_dcnn.recipes._scores import Scores, sure_from, write_predictions
from keras_dcnn.recipes._settings import ARRAYS
from keras_dcnn.recipes._training import STATE, train
from keras_dcnn.recipes.image_classifier import ImageClassifier

IMAGES, CARD, TEST = "images.csv", "data.json", "test.csv"
_UNEQUAL = 3  # times as many images of the largest class as of the smallest
# Bytes of the disk that a run takes: at least, and for weights, slots and two states of them.
_FREE, _BYTES_OF_PARAMETER = 200e6, 40


class Ended(NamedTuple):
    """What a run left in memory."""

    model: ImageClassifier
    summary: dict[str, Any]


def run_job(source, folder, settings, screen):
    """Train on a folder of images, or arrays, and write all of it to the run's folder.

    Called again for a folder that a killed run left, it goes on.
    """
    start = time.monotonic()
    settings.check()
    from_files = isinstance(source, Path)
    listed = list_images(source, settings.labels) if from_files else None
    count = len(listed.files) if from_files else len(source[0][1])
    if not from_files:
        settings = _of_arrays(source, settings)
    network = choose_network(settings, count)
    _check_disk(folder, network)
    check_memory(network, settings.batch_size)
    if from_files:
        screen.say(f"reading {count:,} images in {source}")
        images = read_images(source, listed, settings, network.image_size, screen.reading)
        screen.say(images.card.text())
    else:
        images = array_images(source, settings)
    _say_resumed(folder, screen)
    begin_run(folder, _identity(source, settings, images), holds_another=False)
    record = Record(screen.say)
    record.add(images.said)
    record.add(f"network: {network.why}")
    if from_files:
        write_image_list(folder / IMAGES, images)
        write_json(folder / CARD, images.card.as_dict())
    plan = _plan_of_imbalance(images, network, settings, record)
    trained = train(images, network, settings, plan, folder, record, screen)
    model = _as_classifier(trained, images, settings, plan, record)
    return _finish(model, trained, images, network, settings, record, folder, screen, start)


def _say_resumed(folder, screen):
    if (folder / RUN).is_file():
        epochs = len(next(iter(read_history(folder / HISTORY).values()), []))
        kept = (
            f"goes on after {epochs} epochs" if epochs else "begins anew, nothing was trained yet"
        )
        screen.say(f"the run in {folder} {kept}.")


def _check_disk(folder, network):
    free, parameters = shutil.disk_usage(folder).free, 0
    if network.model is not None:
        parameters = network.model.count_params()
    needed = max(_FREE, _BYTES_OF_PARAMETER * parameters)
    if free < needed:
        text = f"{in_words(free)} are free, a run needs {in_words(needed)}"
        raise OSError(errno.ENOSPC, text, str(folder))


def _of_arrays(source, settings):
    """Settings for arrays, whose images have a size already."""
    size = np.shape(source[0][0])[1]
    if settings.image_size not in (None, size):
        raise ValueError(f"`image_size` must be that of the arrays, {size}; got another.")
    if settings.labels is not None:
        raise ValueError("`labels` is for a folder of images; `data` are arrays with labels.")
    return replace(settings, image_size=size)


def _identity(source, settings, images):
    """What tells this run from another, and by which it can be begun again."""
    data = str(source.resolve()) if isinstance(source, Path) else ARRAYS
    backend = {"keras_dcnn": __version__, "backend": keras.backend.backend()}
    return {"data": data, **settings.as_json(), "images": images.digest, **backend}


def _plan_of_imbalance(images, network, settings, record):
    """What is done about rare classes, and why: "none", "adjust", "loss" or "oversample"."""
    counts, names = images.counts, images.class_names
    most, fewest = int(counts.max()), int(counts.min())
    numbers = (
        f"{most:,} training images of each class"
        if most == fewest
        else (
            f"{most:,} training images of {names[counts.argmax()]!r} and {fewest:,} of "
            f"{names[counts.argmin()]!r}"
        )
    )
    asked = settings.imbalance
    if asked == "auto":
        asked = "none" if most < _UNEQUAL * fewest else "adjust" if network.model else "loss"
    said = {
        "none": f"less than {_UNEQUAL} : 1, so nothing is done about it",
        "adjust": "after the training the logits are adjusted by the shares of the classes",
        "loss": "the loss asks more for rare classes, by their shares",
        "oversample": "rare classes come as often as common ones",
    }
    if asked == settings.imbalance == "none":
        said[asked] = "nothing is done about it, as asked for"
    record.add(f"{numbers}: {said[asked]}.")
    return asked


def _as_classifier(trained, images, settings, plan, record):
    """The `ImageClassifier`, adjusted for rare classes where that is the plan."""
    network, reading = trained.network, images.reading
    p = probabilities(network, images.parts["validation"], settings.batch_size)
    if plan == "adjust":
        network, p = _adjusted(network, p, images, settings, record)
    if getattr(network, "inputs", None):  # without the optimizer, which is not needed any more
        network = keras.Model(network.inputs[0], network.outputs[0], name="network")
    return ImageClassifier(
        network,
        images.class_names,
        reading.background,
        reading.bits,
        sure_from(images.labels["validation"], p),
        reading.max_pixels,
        name="image_classifier",
    )


def _adjusted(network, before, images, settings, record):
    """The network with adjusted logits, and what it says of the validation images."""
    validation, y = images.parts["validation"], images.labels["validation"]
    if not getattr(network, "inputs", None):
        size = images.reading.size
        whole = keras.Input((size, size, 3))
        network = keras.Model(whole, network(whole))
    seen = np.bincount(y, minlength=len(images.class_names))
    tau = "auto" if seen.all() else 1.0
    held_out = {"validation_data": validation} if tau == "auto" else {}
    adjusted = adjust_logits(network, images.counts, tau, **held_out)
    after = probabilities(adjusted, validation, settings.batch_size)
    shares = [_mean_recall(p, y) for p in (before, after)]
    record.add(
        f"logits adjusted with τ = {adjusted.layers[-1].tau:.2g}: of the validation images "
        f"{100 * shares[0]:.1f} % were right on the mean of the classes, "
        f"{100 * shares[1]:.1f} % are now."
    )
    return adjusted, after


def _mean_recall(p, y):
    said = p.argmax(1)
    return float(np.mean([(said[y == one] == one).mean() for one in np.unique(y)]))


def probabilities(model, data, batch_size=32):
    """What a model says of data of a run."""
    x = data[0] if isinstance(data, tuple) else data
    return keras.Model.predict(model, x, batch_size=batch_size, verbose=0)


def _finish(model, trained, images, network, settings, record, folder, screen, start):
    """Judge the model, and write what a run leaves; the summary last."""
    test = images.parts["test"]
    p = probabilities(model, test, settings.batch_size)
    if not np.isfinite(p).all():
        raise ValueError(
            f"the training diverged: the model says NaN. Its curves are in {folder / HISTORY}; "
            "give a lower learning rate."
        )
    scores = Scores(images.labels["test"], p, images.class_names, model.sure_from)
    findings = [*trained.findings, *of_two_classes(images.card), *scores.findings]
    if trained.history:
        findings += _of_curves(trained, images)
    findings = list(dict.fromkeys(worst_first(findings)))
    with atomic_write(folder / MODEL) as temporary:
        model.save(temporary)
    comparison = None
    if settings.compare:
        comparison = compare_with_plain(model, images, network, settings, screen)
    summary = {
        "keras_dcnn": __version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "network": network.name,
        "image_size": images.reading.size,
        "class_names": images.class_names,
        "background": [*map(int, images.reading.background)],
        "bits": images.reading.bits,
        "images": {part: len(y) for part, y in images.labels.items()},
        "strategy": trained.strategy,
        "record": record.sentences,
        "scores": scores.as_dict(),
        "findings": [asdict(plain(one)) for one in findings],
        "comparison": comparison,
    }
    write_report(folder / REPORT, model, images, trained, settings, summary)
    draw_pictures(folder, scores, trained)
    write_predictions(folder / TEST, scores, images.files)
    summary["seconds"] = round(time.monotonic() - start, 1)
    write_json(folder / SUMMARY, summary)
    shutil.rmtree(folder / STATE, ignore_errors=True)
    _say_all(scores, findings, comparison, folder, screen)
    return Ended(model, summary)


def _say_all(scores, findings, comparison, folder, screen):
    screen.say()
    screen.say(scores.text())
    screen.findings(findings)
    if comparison:
        screen.show(table_of(comparison))
    screen.say(f"\nLook at {folder / REPORT}; then")
    screen.say(f"  keras-dcnn predict {folder} photo.jpg")


def _of_curves(trained, images):
    counts = images.counts
    share = float(counts.max() / counts.sum())
    known = {"num_classes": len(counts), "majority_share": share if share < 1 else None}
    return diagnose(trained.history, **known)
