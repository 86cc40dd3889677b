"""One case per public part: how to make it, and by its tags which checks of the contract it takes.

Tags: `layer`, `initializer`, `constraint`, `regularizer`, `loss`, `callback` and `model` say what
the part is; a `thawing` callback needs an optimizer that it makes, one of `phases` is known by its
own tests; a `dataset` is what `fit` reads; `statistics` are measured on data; a `finding` is what
was found out; a `classifier` is known by its own tests; a `search` trains models, and those `on
disk` are in files; `random` draws. `image` is a layer for images that runs in tf.data on every
backend. Some change them in training: `colour` the RGB values only, `geometric` the places;
`window` has a size of its own. `adapted` ones first measure a data set: `channels` each channel by
itself; `vector` returns vectors.

What a callback does in a few epochs of `trainings.py` shows with the arguments of `short_run`; it
takes a folder for its files.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import trainings

from keras_dcnn import (
    callbacks,
    constraints,
    diagnosis,
    ensemble,
    fine_tuning,
    imbalance,
    initializers,
    layers,
    losses,
    recipes,
    regularizers,
    statistics,
)


@dataclass(frozen=True)
class Case:
    """A part, arguments to make it with, the shape of one input, and tags."""

    part: type
    tags: set
    arguments: Callable = field(default=dict)
    input_shape: tuple = (8, 7, 3)
    short_run: Callable | None = None

    def make(self, **more):
        part = self.part(**{**self.arguments(), **more})
        if "adapted" in self.tags:
            data = np.random.default_rng(6).integers(0, 256, (250, *self.input_shape), "uint8")
            first = more.get("data_format") == "channels_first"
            part.adapt(np.moveaxis(data, -1, 1) if first else data)
        return part

    def inputs(self, count):
        """A batch of inputs: uint8 for images, else float32 of both signs."""
        rng = np.random.default_rng(5)
        if "image" in self.tags:
            return rng.integers(0, 256, (count, *self.input_shape), dtype="uint8")
        return rng.normal(size=(count, *self.input_shape)).astype("float32")

    def model(self, **layer_arguments):
        """A small classifier of three classes that has the part in it, or is the part."""
        if "model" in self.tags:
            return self.make()
        part = self.make(**layer_arguments) if "layer" in self.tags else self.make()
        role = next((r for r in ("initializer", "constraint", "regularizer") if r in self.tags), 0)
        kernel = {f"kernel_{role}": part} if role else {}
        convolution = {"activation": "relu"} if "callback" in self.tags else kernel
        return keras.Sequential(
            [
                keras.Input(self.input_shape),
                *([part] if "layer" in self.tags else []),
                keras.layers.Rescaling(1 / 255 if "image" in self.tags else 1),
                *([] if "vector" in self.tags else [keras.layers.Conv2D(4, 3, **convolution)]),
                *([] if "vector" in self.tags else [keras.layers.GlobalAveragePooling2D()]),
                keras.layers.Dense(3, activation="softmax", dtype="float32", **kernel),
            ]
        )


def _square_classifier():
    first = keras.layers.Rescaling(1 / 255)
    pool = keras.layers.GlobalAveragePooling2D()
    return keras.Sequential([keras.Input((8, 8, 3)), first, pool, keras.layers.Dense(3, "softmax")])


def _classifiers():
    return [
        keras.Sequential(
            [keras.Input((8, 7, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
        )
        for _ in range(2)
    ]


CASES = [
    Case(layers.RReLU, {"layer", "random"}, lambda: {"seed": 3}),
    Case(layers.PReLU, {"layer"}),
    Case(
        layers.FancyPCA,
        {"layer", "image", "colour", "random"},
        lambda: {"std": 0.5, "scale": "stddev", "seed": 3},
    ),
    Case(
        layers.RandomHSV,
        {"layer", "image", "colour", "random"},
        lambda: {"scale": {"saturation": None, "value": (0.5, 1.5)}, "seed": 3},
    ),
    Case(
        layers.RandomAffine,
        {"layer", "image", "geometric", "random"},
        lambda: {"shear": 0.1, "flip": "horizontal_and_vertical", "seed": 3},
    ),
    Case(
        layers.RandomPaddedCrop,
        {"layer", "image", "geometric", "window", "random"},
        lambda: {"height": 8, "width": 7, "padding": 3, "flip": True, "seed": 3},
    ),
    Case(layers.ZeroCenter, {"layer", "image", "adapted", "channels"}),
    Case(layers.MinMaxScaling, {"layer", "image", "adapted", "channels"}),
    Case(
        layers.PCAWhitening, {"layer", "image", "adapted", "vector"}, lambda: {"num_components": 9}
    ),
    Case(layers.ZCAWhitening, {"layer", "image", "adapted"}),
    Case(initializers.HeNormal, {"initializer", "random"}, lambda: {"seed": 3}),
    Case(initializers.CalibratedNormal, {"initializer", "random"}, lambda: {"seed": 3}),
    Case(initializers.SmallNormal, {"initializer", "random"}, lambda: {"seed": 3}),
    Case(constraints.MaxNorm, {"constraint"}, lambda: {"max_value": 0.5}),
    Case(regularizers.WeightDecay, {"regularizer"}, lambda: {"decay": 0.01}),
    Case(regularizers.ElasticNet, {"regularizer"}, lambda: {"l1": 0.01, "l2": 0.02}),
    Case(losses.LogitAdjustedCrossentropy, {"loss"}, lambda: {"priors": [9, 3, 1], "tau": 0.5}),
    Case(
        callbacks.CurveRecorder,
        {"callback"},
        lambda: {"path": f"{tempfile.mkdtemp()}/loss.csv"},
        short_run=lambda folder: {"path": folder / "loss.csv", "max_points": 4},
    ),
    Case(
        callbacks.DeadUnits,
        {"callback"},
        lambda: {"data": np.random.default_rng(4).normal(size=(4, 8, 7, 3))},
        short_run=lambda _: {"data": trainings.X, "threshold": 2.5, "every": 3},
    ),
    Case(
        callbacks.DivideLROnPlateau,
        {"callback"},
        lambda: {"monitor": "loss", "patience": 1},
        short_run=lambda _: {
            **{"patience": 1, "min_delta": 0.5, "restore": "state", "warmup": 1},
            "max_reductions": 1,
        },
    ),
    Case(
        callbacks.CheckpointEnsemble,
        {"callback"},
        lambda: {"directory": tempfile.mkdtemp(), "monitor": "loss"},
        short_run=lambda folder: {"directory": folder / "members", "max_members": 2},
    ),
    Case(
        callbacks.SnapshotSchedule,
        {"callback"},
        lambda: {"cycles": 2, "lr_max": 0.1},
        short_run=lambda _: {"cycles": 2, "lr_max": 0.1},
    ),
    Case(
        callbacks.WeightAveraging,
        {"callback"},
        lambda: {"start": 0.0},
        short_run=lambda _: {"kind": "ema", "start": 0.25, "decay": 0.7},
    ),
    Case(
        callbacks.TrainingDiagnosis,
        {"callback"},
        lambda: {"path": f"{tempfile.mkdtemp()}/findings.json"},
        short_run=lambda folder: {"path": folder / "findings.json", "verbose": 0},
    ),
    Case(callbacks.ResumeTraining, {"callback"}, lambda: {"state_path": tempfile.mkdtemp()}),
    Case(
        callbacks.GradualUnfreeze,
        {"thawing"},
        lambda: {"groups": ["dense"]},
        short_run=lambda _: {"groups": ["norm", "features"], "ramp": 2, "verbose": 0},
    ),
    Case(statistics.PixelMoments, {"statistics"}),
    Case(
        diagnosis.Finding,
        {"finding"},
        lambda: {"rule": "decayed_slopes", "message": "α is decayed", "advice": "take it off"},
    ),
    Case(
        diagnosis.LearningRateCurve,
        {"finding"},
        lambda: {
            **dict.fromkeys(("rates", "losses", "smoothed"), (0.1, 0.2)),
            **{"steepest": 0.1, "valley": 0.1, "diverged": False},
        },
    ),
    Case(ensemble.Ensemble, {"model"}, lambda: {"members": _classifiers(), "weights": [1, 3]}),
    Case(ensemble.LateFusion, {"model"}, lambda: {"members": _classifiers(), "weights": [1, 3]}),
    Case(ensemble.EarlyFusion, {"model"}, lambda: {"networks": _classifiers(), "head": 3}),
    Case(ensemble.StackedEnsemble, {"model"}, lambda: {"members": _classifiers(), "head": 4}),
    Case(
        ensemble.CrossValidationEnsemble,
        {"search"},
        lambda: {"build": lambda: _classifiers()[0], "folds": 2, "top": 2},
    ),
    Case(
        ensemble.EnsembleComparison,
        {"finding"},
        lambda: {
            **{"rows": (), "metric": "accuracy", "num_members": 3, "num_shared": 0},
            **{"num_selected_on": 20, "num_reported_on": 30},
        },
    ),
    Case(ensemble.EnsembleOnDisk, {"on disk"}, lambda: {"files": []}),
    Case(
        ensemble.Spread,
        {"finding"},
        lambda: dict.fromkeys(ensemble.Spread._fields, np.zeros(3)),
    ),
    Case(
        ensemble.Calibration,
        {"finding"},
        lambda: {"accuracy": 0.9, "nll": 0.3, "ece": 0.02, "brier": 0.1},
    ),
    Case(
        ensemble.Selection,
        {"finding"},
        lambda: {
            **{"weights": (0.5, 0.5), "members": (0, 1), "metric": "accuracy"},
            **{"score": 0.9, "single_best": 1, "single_best_score": 0.8},
        },
    ),
    Case(
        ensemble.AveragingTrace,
        {"finding"},
        lambda: {
            **{"monitor": "loss", "tried": (), "batch_norm": {}},
            **{"chosen": None, "score": 0.1},
        },
    ),
    Case(
        fine_tuning.FineTuned,
        {"finding"},
        lambda: {
            **{"model": keras.Sequential([keras.Input((2,))]), "strategy": "probe"},
            **{"accuracy": 0.9, "record": ("20 samples",), "history": {}},
        },
    ),
    Case(
        recipes.ImageClassifier,
        {"classifier"},
        lambda: {"network": _square_classifier(), "class_names": ["a", "b", "c"]},
        (8, 8, 3),
    ),
    Case(
        recipes.Prediction,
        {"finding"},
        lambda: {"file": "a.png", "label": "a", "probability": 0.9, "top": (("a", 0.9),)},
    ),
    Case(
        recipes.Run,
        {"finding"},
        lambda: {
            **{"folder": "run", "summary": {"record": ["a probe."]}},
            "model": keras.Sequential([keras.Input((2,))]),
        },
    ),
    Case(
        imbalance.RemedyComparison,
        {"finding"},
        lambda: {
            **{"scores": {"none": {"balanced_accuracy": (0.5, 0.6)}}, "seeds": (0, 1)},
            **{"groups": {"many": (0,), "few": (1,)}, "num_test": 9, "taus": (), "notes": ()},
        },
    ),
    Case(
        imbalance.TwoPhaseHistory,
        {"finding"},
        lambda: {"form": "head", "first": {}, "second": {"loss": [0.5]}, "record": ("few",)},
    ),
    *(
        Case(
            part,
            {"dataset"},
            lambda: {"x": np.ones((8, 6, 6, 3), "uint8"), "y": [0] * 6 + [1] * 2, "verbose": 0},
        )
        for part in (imbalance.BalancedDataset, imbalance.MinorityCrops)
    ),
    Case(imbalance.TwoPhaseTraining, {"phases"}, lambda: {"start": 1, "form": "head"}),
    Case(
        fine_tuning.Probe,
        {"finding"},
        lambda: {
            **{"model": keras.Sequential([keras.Input((2,))]), "layer": "conv", "accuracy": 0.8},
            **{"C": 1.0, "head": "svm", "names": ("conv",), "accuracies": (0.8,)},
            **{"losses": (0.5,), "num_samples": 20, "num_held_out": 20},
        },
    ),
    Case(
        fine_tuning.Recommendation,
        {"finding"},
        lambda: {
            **{"strategy": "probe", "layers": "last", "share_trained": 0.0},
            **{"rates": (None, None, None), "watch": (), "reasons": ("few",)},
        },
    ),
    Case(
        fine_tuning.Similarity,
        {"finding"},
        lambda: {
            **{"verdict": "similar", "reason": "seen", "logme": 0.1, "h_score": 1.0},
            **{"names": ("conv",), "accuracies": (0.8,), "intervals": ((0.7, 0.9),)},
            **{"num_samples": 20, "num_classes": 2},
        },
    ),
]


def cases(*tags):
    """The cases that have one of the tags, or all."""
    return [case for case in CASES if not tags or case.tags & set(tags)]
