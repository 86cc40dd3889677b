"""What a run is made with: the arguments of `train_classifier`, checked, and as JSON."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_choice, check_count, check_flag, check_number, check_seed
from keras_dcnn._files.runs import RUN, read_json
from keras_dcnn._images.pixels import MAX_PIXELS

STRATEGIES = ("auto", "probe", "few_layers", "all_layers", "probe_then_all")
IMBALANCE = ("auto", "none", "adjust", "loss", "oversample")
ARRAYS = "arrays"  # in place of a folder of images
COMBINE = ("averaging", "checkpoints", "cycles", "none")


@dataclass(frozen=True)
class Settings:
    """As in `train_classifier`."""

    labels: Any = None
    network: Any = "auto"
    weights: Any = "imagenet"
    image_size: int | None = None
    strategy: str = "auto"
    augmentation: Any = "standard"
    flip: bool = True
    imbalance: str = "auto"
    combine: str = "averaging"
    epochs: int | None = None
    learning_rate: Any = "auto"
    batch_size: int = 32
    background: tuple = (255, 255, 255)
    max_pixels: int = MAX_PIXELS
    skip_unreadable: bool = False
    compare: bool = False
    seed: int = 0

    def check(self):
        """Raise ValueError or TypeError, in words, for what can't be."""
        if not isinstance(self.network, (str, keras.Model)):
            kind = type(self.network).__name__
            raise TypeError(f"`network` must be a name or a Keras model; got {kind}.")
        check_choice("strategy", self.strategy, STRATEGIES)
        check_choice("imbalance", self.imbalance, IMBALANCE)
        check_choice("combine", self.combine, COMBINE)
        for name in ("flip", "skip_unreadable", "compare"):
            check_flag(name, getattr(self, name))
        if self.image_size is not None:
            check_count("image_size", self.image_size, minimum=8)
        if self.epochs is not None:
            check_count("epochs", self.epochs)
        if self.learning_rate not in ("auto", "finder"):
            check_number("learning_rate", self.learning_rate, above=0)
        check_count("batch_size", self.batch_size)
        check_count("max_pixels", self.max_pixels)
        check_seed(self.seed)
        levels = np.asarray(self.background)
        if levels.shape != (3,) or levels.dtype.kind not in "iu" or not (levels >= 0).all():
            raise ValueError(f"`background` must be three levels of 0…255; got {self.background}.")
        if (levels > 255).any():
            raise ValueError(f"`background` must be three levels of 0…255; got {self.background}.")
        if not (self.augmentation in ("standard", None) or callable(self.augmentation)):
            raise ValueError(
                f'`augmentation` must be "standard", None or a layer; got {self.augmentation!r}.'
            )

    def as_json(self):
        """Plain values; of a model or layer its name."""
        return {name: _plain(getattr(self, name)) for name in FIELDS}


FIELDS = [field.name for field in fields(Settings)]


def read_run(folder):
    """The folder of images and the settings of a run, as it was begun; (None, None) for arrays."""
    run = read_json(folder / RUN)
    if run is None or not {"data", *FIELDS} <= set(run):
        raise ValueError(f"{folder / RUN} is damaged: begin the run anew.")
    if run["data"] == ARRAYS:
        return None, None
    settings = {name: run[name] for name in FIELDS}
    return Path(run["data"]), Settings(**settings | {"background": tuple(run["background"])})


def _plain(value):
    if isinstance(value, (keras.Model, keras.Layer)):
        return f"a {type(value).__name__}"
    if isinstance(value, (list, tuple)):
        return [*value]
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else str(value)
