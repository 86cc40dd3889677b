"""The same network, trained as most people would first write it, beside the run's."""

import time

import keras
import numpy as np
from rich.table import Table

from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn._structure.copies import copy_model
from keras_dcnn.datasets.photo_digits import tint
from keras_dcnn.fine_tuning._classifier import classifier, new_head
from keras_dcnn.models import small_cnn
from keras_dcnn.recipes._training import compile_small, epochs_of, fit

COLOR_CAST = 0.8
_RATE, _RATE_FROM_SCRATCH = 1e-3, 0.02


def compare_with_plain(model, images, network, settings, screen):
    """Train plainly and judge both on the test images, as they are and under a colour cast.

    Plainly: from the same network and for as many epochs, all of it at one rate, without
    augmentation, averaging, and care for rare classes.
    """
    epochs = epochs_of(settings, images, from_scratch=network.model is None)
    start = time.perf_counter()
    keras.utils.set_random_seed(settings.seed)
    plain = _plain(images, network, settings.seed)
    with screen.training(epochs, "plain training") as progress:
        fit(plain, images.parts["train"], images, settings, epochs, [progress])
    seconds = time.perf_counter() - start
    x, y = _held(images)
    cast = tint(x, COLOR_CAST, np.random.default_rng(settings.seed))
    tests = {"clean": x, "colour cast": cast}
    return {
        "epochs": epochs,
        "color_cast": COLOR_CAST,
        "plain": {name: _right(plain, x, y) for name, x in tests.items()},
        "with the parts": {name: _right(model, x, y) for name, x in tests.items()},
        "seconds": round(seconds, 1),
    }


def _plain(images, network, seed):
    size, count = images.reading.size, len(images.class_names)
    if network.model is None:
        model = small_cnn((size, size, 3), count)
        compile_small(model, _RATE_FROM_SCRATCH)
        return model
    trunk = copy_model(network.model, "compare")
    trunk.trainable = True
    model = classifier(trunk, (size, size, 3), new_head(count, seed))
    loss = "sparse_categorical_crossentropy"
    model.compile(
        keras.optimizers.Adam(_RATE), loss, metrics=["accuracy"], jit_compile=jit_compile()
    )
    return model


def _held(images):
    test = images.parts["test"]
    return test if isinstance(test, tuple) else images.some("test", len(images.labels["test"]))


def _right(model, x, y):
    said = keras.Model.predict(model, x, batch_size=64, verbose=0).argmax(1)
    return float(np.mean(said == y))


def table_of(comparison):
    """What a terminal shows of it."""
    table = Table(title="Right of the test images", box=None, title_justify="left")
    for column in ("", "clean", f"colour cast (σ {comparison['color_cast']})"):
        table.add_column(column, justify="right" if column else "left")
    for name in ("plain", "with the parts"):
        table.add_row(name, *(f"{100 * share:.1f} %" for share in comparison[name].values()))
    return table
