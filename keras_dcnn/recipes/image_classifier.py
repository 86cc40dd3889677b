"""ImageClassifier: a network that knows its classes and what images it takes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from keras_dcnn._checks import check_count, check_keywords, check_number
from keras_dcnn._images.batches import ImageBatches
from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn._images.formats import are_files
from keras_dcnn._images.pixels import MAX_PIXELS, Reading, read_image
from keras_dcnn._images.reading import in_threads
from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn.ensemble import Ensemble
from keras_dcnn.ensemble.combining._models import config_without_optimizer, shapes_of
from keras_dcnn.recipes._given_images import given_images
from keras_dcnn.recipes.prediction import Prediction

_CHUNK = 8  # batches of files that are held at a time


@keras.saving.register_keras_serializable(package="keras_dcnn")
class ImageClassifier(keras.Model):
    """A trained network with the names of its classes, and the reading of images that fits it.

    The file that `recipes.train_classifier` writes, `model.keras`, holds one:
    `keras.saving.load_model("model.keras")` after `import keras_dcnn`. Give `predict` files or
    arrays: single images, batches, or a list of images of any sizes, grey, RGB or RGBA, 0…255. They
    are made to fit as the images of the training were; values that are no such pixels, as 0…1, are
    refused in words.

    Args:
        network: A built Keras model or `ensemble.Ensemble` from RGB images of 0…255, (batch, size,
            size, 3), to probabilities (batch, classes).
        class_names: A name for each class, in the order of the outputs.
        background: RGB colour of 0…255 behind what is transparent.
        bits: Bits that grey images of 16 bits use, 1 to 16.
        sure_from: Probability, 0 to 1, from which on a class is to be reckoned with, such that
            the right one is among those in nine of ten images; None where that isn't known.
        max_pixels: Width × height of the largest file that is read.
        **kwargs: Keras's own model arguments, such as `name`.

    Input shape:
        `(batch, size, size, 3)`; `predict`, `evaluate` and `classify` take others.

    Output shape:
        `(batch, classes)`.

    Raises:
        ValueError: for a network of other inputs and outputs, and names that don't fit them; from
            `predict`, for pixels outside 0…255, NaN, images of 0…1, and files that can't be read.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    network = keras_dcnn.models.small_cnn((32, 32, 3), 2, width=4)
    model = keras_dcnn.recipes.ImageClassifier(network, ["cat", "dog"])
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), "uint8")
    print(model.classify(photo)[0].label, model.predict(photo, verbose=0).shape)
    ```

    Reference:
        Mitchell et al.: Model Cards for Model Reporting (2019). https://arxiv.org/abs/1810.03993
    """

    def __init__(
        self,
        network: keras.Model,
        class_names: Sequence[str],
        background: Sequence[int] = (255, 255, 255),
        bits: int = 16,
        sure_from: float | None = None,
        max_pixels: int = MAX_PIXELS,
        **kwargs: Any,
    ) -> None:
        check_keywords(self, kwargs)
        check_count("bits", bits)
        check_count("max_pixels", max_pixels)
        if sure_from is not None:
            check_number("sure_from", sure_from, minimum=0)
        shape = _checked_shape(network, class_names)
        super().__init__(**kwargs)
        self.network = network
        self.class_names = [str(name) for name in class_names]
        self.background = [int(level) for level in background]
        self.bits, self.sure_from, self.max_pixels = bits, sure_from, max_pixels
        self.build(shape)
        self.compile(None, "sparse_categorical_crossentropy", metrics=["accuracy"])

    @property
    def image_size(self) -> int:
        """Height and width of the images that the network takes, in pixels."""
        return _shape_of(self.network)[1]

    @property
    def reading(self) -> Reading:
        return Reading(self.image_size, tuple(self.background), self.bits, self.max_pixels)

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        size = self.image_size
        if tuple(inputs.shape[1:]) != (size, size, 3):
            raise ValueError(
                f"images must be (batch, {size}, {size}, 3) here; got {tuple(inputs.shape)}: give "
                "them to `predict`, which makes others fit."
            )
        return self.network(inputs, training=training)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        return input_shape[0], len(self.class_names)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Probabilities (images, classes) of files, arrays, or all else that Keras's takes."""
        rest = {"verbose": verbose, "callbacks": callbacks}
        if _are_files(x):
            batches = ImageBatches(_files_of(x), None, self.reading, batch_size or 32)
            return super().predict(batches, **rest)
        if isinstance(x, (list, tuple)) or hasattr(x, "ndim"):
            return super().predict(given_images(x, self.reading), batch_size, **rest)
        _, batches = batches_as_fit_takes_them(x, batch_size=batch_size, steps=steps)
        parts = [given_images(batch, self.reading) for batch, _, _ in batches]
        return np.concatenate([super(ImageClassifier, self).predict(x, verbose=0) for x in parts])

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Loss and accuracy, as of `keras.Model.evaluate`; arrays are made to fit."""
        if isinstance(x, (list, tuple)) or hasattr(x, "ndim"):
            x = given_images(x, self.reading)
        return super().evaluate(x, y, *args, **kwargs)

    def classify(
        self, x: Any, top: int = 3, batch_size: int = 32, skip_unreadable: bool = False
    ) -> list[Prediction]:
        """Name the class of each image: a `Prediction` for each.

        Args:
            x: Files, or arrays, as `predict` takes them.
            top: How many classes are named, ≥ 1.
            batch_size: Images at a time, ≥ 1.
            skip_unreadable: True gives a Prediction with the `error` for a file that can't be read;
                False raises for all such files.
        """
        check_count("top", top)
        check_count("batch_size", batch_size)
        if not _are_files(x):
            x = given_images(x, self.reading)
            return [self._said(None, *one, top) for one in self._answers(x, batch_size)]
        files, found = _files_of(x), []
        for first in range(0, len(files), _CHUNK * batch_size):
            chunk = files[first : first + _CHUNK * batch_size]
            read = in_threads(self._pixels_or_error, chunk)
            pixels = [one for one in read if not isinstance(one, ImageFolderError)]
            answers = iter(self._answers(np.stack(pixels), batch_size) if pixels else ())
            found += [
                Prediction(str(file), None, 0.0, (), error=str(one))
                if isinstance(one, ImageFolderError)
                else self._said(str(file), *next(answers), top)
                for file, one in zip(chunk, read, strict=True)
            ]
        errors = [one.error for one in found if one.error]
        if errors and not skip_unreadable:
            raise ImageFolderError(" ".join(errors))
        return found

    def _pixels_or_error(self, file):
        try:
            return read_image(file, self.reading).pixels
        except ImageFolderError as error:
            return error

    def _answers(self, images, batch_size):
        """(probabilities, share of members that say otherwise or None) of each image."""
        p = super().predict(images, batch_size, verbose=0)
        ensemble = ensemble_in(self.network)
        if ensemble is None:
            return [(one, None) for one in p]
        apart = ensemble.predict_spread(images, batch_size=batch_size).disagreement
        return list(zip(p, apart.tolist(), strict=True))

    def _said(self, file, p, spread, top):
        order = np.argsort(-p, kind="stable")
        named = tuple((self.class_names[k], float(p[k])) for k in order[:top])
        sure = None
        if self.sure_from is not None:
            sure = bool(p[order[0]] >= self.sure_from > p[order[1]])
        return Prediction(file, *named[0], named, sure, spread)

    def export(
        self, filepath: str | os.PathLike[str], format: str = "tf_saved_model", **kwargs: Any
    ) -> None:
        """Write what `keras.Model.export` writes, with the cropping and resizing inside.

        It takes RGB images of 0…255, (batch, height, width, 3) of any size, float32.
        """
        images = keras.Input((None, None, 3), name="images")
        resizing = keras.layers.Resizing(
            self.image_size, self.image_size, crop_to_aspect_ratio=True, antialias=False
        )
        whole = keras.Model(images, self.network(resizing(images), training=False), name=self.name)
        whole(np.zeros((1, self.image_size, self.image_size, 3), "float32"))  # or no ONNX (3.15)
        whole.export(filepath, format=format, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Keras's fails without an optimizer (3.15); without one it is compiled already."""
        if config.get("optimizer") is not None:
            super().compile_from_config(config)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "network": config_without_optimizer(self.network),
            "class_names": self.class_names,
            "background": self.background,
            "bits": self.bits,
            "sure_from": self.sure_from,
            "max_pixels": self.max_pixels,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})


def ensemble_in(network):
    """The Ensemble that a network is or has in it; None without one."""
    if isinstance(network, Ensemble):
        return network
    inside = [layer for layer in network.layers if isinstance(layer, Ensemble)]
    return inside[0] if inside else None


def _checked_shape(network, class_names):
    if not isinstance(network, keras.Model) or not network.built:
        raise ValueError(f"`network` must be a built Keras model; got {type(network).__name__}.")
    shape, count = _shape_of(network), len(class_names)
    answers = shapes_of(_first(network))[1]
    if len(shape) != 4 or shape[1] != shape[2] or not shape[1] or shape[3] != 3:
        raise ValueError(
            f"`network` must take square RGB images of one size, (batch, size, size, 3); it takes "
            f"{shape}."
        )
    if tuple(answers[1:]) != (count,) or count < 2:
        raise ValueError(
            f"`class_names` must have a name for each of the outputs, two or more; got {count} "
            f"names for outputs {tuple(answers)}."
        )
    return shape


def _shape_of(network):
    return tuple(shapes_of(_first(network))[0])


def _first(network):
    """The network, or one of an ensemble's members, which are alike."""
    return network.members[0] if isinstance(network, Ensemble) else network


def _are_files(x):
    return isinstance(x, (str, os.PathLike)) or are_files(x)


def _files_of(x):
    return [Path(one) for one in ([x] if isinstance(x, (str, os.PathLike)) else x)]
