"""What a user's type checker says of the public names. `make lint` asks it; nothing runs this.

A call that is wrong must be said to be so: an `ignore` that is not needed fails the check.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import keras_dcnn
from keras_dcnn.callbacks import (
    CheckpointEnsemble,
    CurveRecorder,
    DivideLROnPlateau,
    TrainingDiagnosis,
)
from keras_dcnn.diagnosis import (
    Finding,
    LearningRateCurve,
    diagnose,
    examine,
    examine_predictions,
    find_learning_rate,
    preflight,
)
from keras_dcnn.ensemble import AveragingTrace, Calibration, Ensemble, EnsembleOnDisk, Selection
from keras_dcnn.layers import RandomHSV, RReLU
from keras_dcnn.statistics import PixelMoments


def parts(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    RReLU(lower=0.1, upper=0.3, shared_axes=[1, 2], seed=None)
    RReLU(lower="a little")  # type: ignore[arg-type]
    RandomHSV(hue=0.1, power=None, scale={"saturation": None, "value": (0.5, 1.5)})
    DivideLROnPlateau(patience=3, restore="weights", max_reductions=None)
    DivideLROnPlateau(patiance=3)  # type: ignore[call-arg]
    CheckpointEnsemble("members", max_members=5)
    CurveRecorder(None)
    live = TrainingDiagnosis((x, y), path="findings.json")
    keras_dcnn.models.efficientnet_lite("lite0", input_shape=(None, None, 3), pooling="avg")
    keras_dcnn.models.efficientnet_lite(num_classes=10)  # type: ignore[call-arg]
    findings: list[Finding] = examine(model, (x, y), batch_size=16)
    findings += live.findings
    findings += preflight(model, x, y, batch_size=32, validation_data=False)
    findings += diagnose({"loss": [1.0]}, batch_losses=[1.0, 0.9], batch_size=2, num_classes=2)
    findings += examine_predictions([0, 1], np.zeros((2, 3)), ["cat", "dog", "cow"])
    curve: LearningRateCurve = find_learning_rate(model, (x, y), seed=1)
    model.optimizer.learning_rate = curve.valley
    moments: PixelMoments = PixelMoments().update(x).merge(PixelMoments().update(x))
    print(findings, moments.mean)


def ensembles(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    trace: AveragingTrace = keras_dcnn.ensemble.soup(model, ["a.weights.h5"], (x, y))
    ensemble: Ensemble = EnsembleOnDisk("members", max_loaded=2).load()
    Ensemble([model, model], combine="logit", weights=[1, 3])
    Ensemble([model], weights="equal")  # type: ignore[arg-type]
    selection: Selection = keras_dcnn.ensemble.select_members(x, y, metric="brier")
    calibration: Calibration = keras_dcnn.ensemble.calibration(y, x, bins=15)
    print(trace.score, ensemble, selection.weights, calibration.ece)


def transfer(network: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    tuning = keras_dcnn.fine_tuning
    measured: tuning.Similarity = tuning.measure_similarity(network, (x, y), batch_size=8)
    advice: tuning.Recommendation = tuning.recommend(100, 5, measured, little_per_class=50)
    tuning.recommend(100, 5)  # type: ignore[call-arg]
    keras_dcnn.visualization.plot_depth(measured, title="depth")
    print(advice.rates.network, measured.accuracies[-1])
    probe: tuning.Probe = tuning.linear_probe(network, (x, y), layers=["one"], head="svm")
    tuning.linear_probe(network, (x, y), heads="svm")  # type: ignore[call-arg]
    print(probe.model, probe.accuracies[-1])
    adam = keras.optimizers.AdamW(1e-3)
    optimizer: keras.Optimizer = tuning.layerwise_optimizer(network, adam, groups=["stem*"])
    tuning.layerwise_optimizer(network, optimizer, decay="0.5")  # type: ignore[arg-type]


def figures(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    plots = keras_dcnn.visualization
    plots.plot_batch_loss(CurveRecorder("loss.csv"), title="batch of 32")
    plots.plot_class_balance(y, ["cat", "dog"])
    plots.plot_confusion(y, model.predict(x), normalize="row")
    plots.plot_confusion(y, model.predict(x), normalize=True)  # type: ignore[arg-type]
    plots.plot_worst_images(x, y, model.predict(x), num_images=6, value_range=(0, 1))
    plots.plot_activations({"SiLU": "silu"})
    plots.plot_filters(model)
    path: Path = plots.report("report.html", model=model, data=(x, y), settings={"seed": 0})
    plots.report(path, history=x, class_names=["cat", "dog"], passed_over={"a.heic": "no image"})
    plots.report(path, data=(x, y), model_name="cats")  # type: ignore[call-arg]


def crops(guide: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    data = keras_dcnn.imbalance.MinorityCrops(x, y, guide=guide, scale=(0.4, 0.8), mode="sqrt")
    guide.fit(data, epochs=len(data))
    keras_dcnn.imbalance.MinorityCrops(x, y, scale=0.5)  # type: ignore[arg-type]


def rare_classes(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    imbalance = keras_dcnn.imbalance
    weights: dict[int, float] = imbalance.class_weights(y, "effective", beta=0.99)
    imbalance.class_weights(y, num_classes="3")  # type: ignore[arg-type]
    of_images: np.ndarray = imbalance.weights_of(y, weights)
    loss: keras.Loss = keras_dcnn.losses.LogitAdjustedCrossentropy([9, 1], from_logits=True)
    adjusted: keras.Model = imbalance.adjust_logits(model, [9, 1], "auto", (x, y, of_images))
    imbalance.adjust_logits(model, [9, 1], temperature=2)  # type: ignore[call-arg]
    print(loss, adjusted)


def remedies(build: Callable[[], keras.Model], x: np.ndarray, y: np.ndarray) -> None:
    imbalance = keras_dcnn.imbalance
    found = imbalance.compare_remedies(build, (x, y), (x, y), remedies=["over"], seeds=[3, 5])
    low: float = found.difference("over", score="few")[1]
    imbalance.compare_remedies(build, (x, y), (x, y), ["over"])  # type: ignore[call-arg]
    keras_dcnn.visualization.plot_remedies(found, title=found.verdict("over"))
    print(low, found.mean("over")[0])


def sampling(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    data = keras_dcnn.imbalance.BalancedDataset(x, y, mode={0: 5, 2: 8}, per_batch="balanced")
    model.fit(data, epochs=data.num_batches)
    keras_dcnn.imbalance.BalancedDataset(x, y, epochs="all")  # type: ignore[arg-type]
    keras_dcnn.imbalance.balance_dataset((x, y), [1, 2], batch_size=None)
    keras_dcnn.imbalance.balance_dataset((x, y), batch=8)  # type: ignore[call-arg]


def phases(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    imbalance = keras_dcnn.imbalance
    history: imbalance.TwoPhaseHistory = imbalance.train_in_two_phases(
        model, (x, y), form="many_then_few", few=[1, 2], epochs=(3, 2), learning_rate=1e-3
    )
    print(history.second["loss"], history.record[0])
    weights = imbalance.class_weights(y)
    model.fit(x, y, callbacks=[imbalance.TwoPhaseTraining(5, "reweighted", class_weight=weights)])
    imbalance.TwoPhaseTraining(0.75, "head")  # type: ignore[arg-type]
