"""diagnose: SciPy's statistics, curves of which it is known what they show, healthy ones."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, theilslopes

from keras_dcnn.diagnosis import Finding, diagnose
from keras_dcnn.diagnosis._curves.curves import Curve
from keras_dcnn.diagnosis._curves.reading import read_curves
from keras_dcnn.diagnosis._curves.trend import noise_of, slope_of, trend_score

RNG = np.random.default_rng(0)
TIME = np.arange(30) / 30
CHANCE = math.log(10)


def noise(deviation, count=30):
    return deviation * np.random.default_rng(1).normal(size=count)


def falling(begin, end, speed=10, epochs=30):
    """An exponential fall that is over after `epochs / speed` epochs."""
    fall = np.exp(-speed * np.arange(epochs) / epochs)
    return end + (begin - end) * fall


def by_rule(history, **known):
    return {finding.rule: finding for finding in diagnose(history, **known)}


# Statistics


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=3, max_size=20, unique=True))
def test_slope_and_score_are_scipys(values):
    values = np.array(values)
    n = len(values)
    places = np.arange(n)
    assert slope_of(values) == pytest.approx(theilslopes(values, places).slope, abs=1e-12)
    tau = kendalltau(places, values).statistic
    z = tau * n * (n - 1) / 2 / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    assert trend_score(values) == pytest.approx(z)


def test_noise_is_the_deviation_whatever_the_curve():
    values = falling(5, 0, epochs=5000) + 0.1 * RNG.normal(size=5000)
    values[::50] += 3
    assert noise_of(values) == pytest.approx(0.1, rel=0.08)


def test_training_is_compared_half_an_epoch_later():
    weights = falling(2, 0, epochs=61)  # the loss at each half of an epoch
    training = Curve(np.arange(1, 31), weights[1:60:2])  # the mean is about that of its middle
    validation = Curve(np.arange(1, 31), weights[2:61:2])
    curves = read_curves({"loss": training.values})
    _, own, other = curves.pairs(training, validation)
    np.testing.assert_allclose(own[:-1], other[:-1], rtol=0.03)


# Rules

SMOOTH = falling(2.3, 0.1)
LEARNING = 0.99 - SMOOTH / 3
VALIDATED = {"val_loss": SMOOTH * 1.02, "accuracy": LEARNING, "val_accuracy": LEARNING - 0.01}
JUMPING = 1.0 + 0.5 * (np.arange(30) % 3 == 0)
KNOWN = [
    ("learning_rate_good", "info", {"loss": SMOOTH, **VALIDATED}),
    ("learning_rate_low", "warning", {"loss": 2.3 - 0.5 * TIME, "accuracy": 0.1 + 0.3 * TIME}),
    ("learning_rate_low", "info", {"loss": 2.3 - 0.5 * TIME}),
    ("learning_rate_too_high", "error", {"loss": 2.3 + TIME}),
    ("learning_rate_too_high", "warning", {"loss": np.append(2.0, JUMPING)}),
    ("learning_rate_high", "warning", {"loss": falling(2.3, 1.4, 30) + noise(0.03)}),
    (
        "underfitting",
        "warning",
        {
            "loss": falling(2.3, 1.4, 30),
            "val_loss": falling(2.3, 1.41, 30),
            "accuracy": falling(0.2, 0.5, 30),
            "val_accuracy": falling(0.2, 0.49, 30),
        },
    ),
    (
        "underfitting",
        "info",
        {"loss": falling(2.3, 1.4, 30), "val_loss": falling(2.3, 1.41, 30)},
    ),
    ("overfitting", "warning", {"loss": SMOOTH, "val_loss": SMOOTH + TIME}),
    ("overfitting", "info", {"loss": SMOOTH + 1, "val_loss": SMOOTH + 1 + 0.3 * TIME}),
    (
        "overfitting",
        "warning",
        {"loss": SMOOTH, "accuracy": LEARNING, "val_accuracy": 0.8 * LEARNING},
    ),
    ("validation_better", "info", {"loss": SMOOTH, "val_loss": SMOOTH * 0.8}),
    ("no_validation", "warning", {"loss": SMOOTH}),
    ("not_finite", "error", {"loss": [2.3, 2.0, math.nan, math.nan]}),
    ("not_finite", "error", {"loss": [math.nan]}),
    ("not_finite", "warning", {"loss": [2.3, math.inf, 2.0]}),
    ("not_finite", "warning", {"loss": [2.3, 2.0], "val_loss": [2.3, math.nan]}),
    ("negative_loss", "error", {"loss": -SMOOTH - 3, "accuracy": [0.1] * 30}),
    ("negative_loss", "warning", {"loss": -SMOOTH / 3, "accuracy": [0.1] * 30}),
    ("negative_loss", "info", {"loss": -SMOOTH}),
    ("constant_loss", "error", {"loss": [CHANCE] * 3}),
    ("constant_loss", "error", {"loss": [2.9, 2.4, *[CHANCE] * 8]}),
    ("saturated_outputs", "error", {"loss": [14.0, 14.5, 14.51], "accuracy": [0.1, 0.1, 0.1]}),
    ("chance", "error", {"loss": CHANCE + noise(0.003), "accuracy": 0.1 + noise(0.005)}),
    ("chance", "warning", {"loss": CHANCE + noise(0.003, 6), "accuracy": 0.1 + noise(0.005, 6)}),
    ("chance", "warning", {"loss": CHANCE - TIME / 100, "accuracy": [0.1] * 30}),
    (
        "constant_accuracy",
        "warning",
        {"loss": SMOOTH, "accuracy": LEARNING, "val_accuracy": [0.95] * 30},
    ),
    (
        "validation_at_chance",
        "error",
        {
            "loss": falling(2.3, 1, 2),
            "accuracy": 0.1 + 0.8 * TIME,
            "val_loss": 2.3 + TIME,
            "val_accuracy": 0.1 + noise(0.003),
        },
    ),
    ("spikes", "warning", {"loss": SMOOTH + 1.5 * np.isin(np.arange(30), (12, 20))}),
    ("plateau", "info", {"loss": falling(2.3, 0.5, 40)}),
    ("not_converged", "info", {"loss": falling(2.3, 0.5, 2)}),
    ("too_short", "info", {"loss": [2.3, 2.0]}),
]


@pytest.mark.parametrize(("rule", "severity", "history"), KNOWN, ids=[k[0] for k in KNOWN])
def test_curves_of_which_it_is_known(rule, severity, history):
    finding = by_rule(history)[rule]
    assert finding.severity == severity
    assert json.dumps(dataclasses.asdict(finding), allow_nan=False)


def test_the_rate_has_one_verdict_and_what_learns_nothing_no_other():
    for _, _, history in KNOWN:
        rules = {*by_rule(history)}
        assert len([rule for rule in rules if rule.startswith("learning_rate")]) <= 1
        if rules & {"not_finite", "constant_loss", "saturated_outputs", "chance"}:
            assert not rules & {"learning_rate_good", "underfitting", "plateau", "not_converged"}


def test_the_worst_comes_first():
    assert [finding.severity for finding in diagnose({"loss": [CHANCE] * 12})] == [
        "error",
        "warning",
    ]
    severities = [f.severity for f in diagnose({"loss": SMOOTH, "val_loss": SMOOTH + TIME})]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_the_epoch_from_which_on_it_overfits():
    validation = SMOOTH + np.maximum(TIME - 0.5, 0) ** 2 + 0.3
    finding = by_rule({"loss": SMOOTH, "val_loss": validation})["overfitting"]
    assert finding.evidence["best_epoch"] == np.argmin(validation) + 1
    assert f"least in epoch {np.argmin(validation) + 1}, and ends" in finding.message


def test_the_epoch_of_nan_and_the_number_of_a_rate():
    losses = [2.0, 1.5, math.nan, math.nan]
    assert "from epoch 3 on" in by_rule({"loss": losses})["not_finite"].message
    finding = by_rule({"loss": 2.3 - 0.5 * TIME, "learning_rate": [1e-4] * 30})["learning_rate_low"]
    assert "a learning rate of 0.001 in place of 0.0001" in finding.advice


def test_answers_of_nan_are_no_accuracy():
    history = {"loss": [2.1, *[math.nan] * 7], "accuracy": [0.25, 0.3, *[0.1] * 6]}
    told = by_rule(history, batch_losses=falling(2.3, 1.9, 3, epochs=125))
    assert "not_finite" in told
    assert "chance" not in told


def test_a_penalty_that_falls_to_chance_is_not_the_rate():
    known = {"accuracy": [0.1] * 12, "loss": CHANCE + 90 * np.exp(-np.arange(12.0))}
    assert "learning_rate_too_high" not in by_rule(known, num_classes=10)
    known["loss"] = [90.0, *[CHANCE + 0.01] * 11]
    assert "learning_rate_too_high" in by_rule(known, num_classes=10)


def test_labels_that_are_learned_by_heart_slowly():
    history = {"loss": 2.3 - 0.01 * np.arange(12), "val_loss": CHANCE + noise(0.001, 12)}
    history |= {"accuracy": 0.1 + 0.007 * np.arange(12), "val_accuracy": 0.1 + noise(0.003, 12)}
    assert by_rule(history)["validation_at_chance"].severity == "warning"
    history["accuracy"] = history["accuracy"] * 1.3
    assert by_rule(history)["validation_at_chance"].severity == "error"


def test_a_least_that_is_reached_exactly_is_no_error():
    for end in (1.4, 0.5, 0.0):
        findings = by_rule({"loss": falling(2.3, end, 30), "val_loss": falling(2.3, end, 30)})
        assert "error" not in {finding.severity for finding in findings.values()}
        assert end == 0 or "plateau" in findings


def test_no_better_than_the_largest_class():
    history = {"loss": 0.3 + noise(0.003), "accuracy": 0.9 + noise(0.003)}
    assert "majority_class" not in by_rule(history)
    assert by_rule(history, majority_share=0.9)["majority_class"].severity == "error"
    assert "majority_class" not in by_rule(history, majority_share=0.8)


def test_chance_of_classes_that_are_told():
    assert "chance" not in by_rule({"loss": CHANCE + noise(0.003)})
    assert "chance" in by_rule({"loss": CHANCE + noise(0.003)}, num_classes=10)
    penalised = {"loss": 9 + noise(0.003), "accuracy": 0.26 + noise(0.003)}
    assert "chance" not in by_rule(penalised)
    assert "chance" in by_rule(penalised, num_classes=4)


def test_a_training_that_goes_on_where_another_ended_is_not_slow():
    history = {"loss": 0.2 - 0.04 * TIME, "accuracy": 0.9 + 0.02 * TIME}
    assert "learning_rate_low" not in by_rule(history)


def test_few_updates_of_an_epoch_are_said():
    history = {"loss": 2.3 - 0.5 * TIME}
    advice = by_rule(history, batch_losses=np.repeat(history["loss"], 2))[
        "learning_rate_low"
    ].advice
    assert "an epoch has 2 updates only" in advice


@settings(max_examples=40, deadline=None)
@given(
    st.integers(5, 60),
    st.floats(2, 30),
    st.floats(0, 0.5),
    st.floats(0, 0.02),
    st.integers(2, 200),
    st.integers(0, 99),
)
def test_no_error_is_said_of_what_learns(epochs, speed, floor, deviation, classes, seed):
    begin = math.log(classes)
    rng = np.random.default_rng(seed)
    loss = falling(begin, floor * begin, speed, epochs) + begin * deviation * rng.random(epochs)
    accuracy = np.clip(1 - (1 - 1 / classes) * loss / begin, 0, 1)
    history = {"loss": loss, "accuracy": accuracy, "val_loss": 1.1 * loss, "val_accuracy": accuracy}
    assert "error" not in {finding.severity for finding in diagnose(history)}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([h for r, _, h in KNOWN if "accuracy" not in h]), st.floats(1e-3, 1e6))
def test_the_unit_of_a_loss_does_not_matter(history, unit):
    scaled = {name: np.multiply(values, unit) for name, values in history.items()}
    if "val_accuracy" in history:
        scaled["val_accuracy"] = history["val_accuracy"]
    rules = {*by_rule(scaled)} ^ {*by_rule(history)}
    assert rules <= {"negative_loss"}  # which knows that −1 is special


# Batches


def batches(size, level=0.5, count=4000):
    """Losses of batches: the mean of `size` samples whose losses scatter by `level`."""
    fall = falling(2.3, 0.3, 6, count)
    return fall + level / math.sqrt(size) * np.random.default_rng(2).normal(size=count)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_width_and_the_batch_size_it_asks_for(size):
    finding = by_rule(SMOOTH, batch_losses=batches(size), batch_size=size)["wide_batch_losses"]
    assert finding.severity == "warning"
    assert finding.evidence["width"] == pytest.approx(0.5 / math.sqrt(size), rel=0.05)
    fall = 2.0 * 0.03
    assert finding.evidence["suggested"] / (0.5 / fall) ** 2 == pytest.approx(1, abs=0.5)
    assert "cannot be told from losses" in finding.advice


def test_large_batches_are_not_wide_and_a_size_that_is_not_known_is_not_accused():
    assert "wide_batch_losses" not in by_rule(SMOOTH, batch_losses=batches(32), batch_size=32)
    assert by_rule(SMOOTH, batch_losses=batches(2))["wide_batch_losses"].severity == "info"


def test_a_recorder_that_merged_its_points_has_the_same_width():
    losses = batches(2)
    merged = losses.reshape(-1, 4).mean(1)
    steps = np.arange(4, 4001, 4)

    class Recorder:
        def points(self):
            return {"loss": merged, "step": steps}

    finding = by_rule(SMOOTH, batch_losses=Recorder(), batch_size=2)["wide_batch_losses"]
    assert finding.evidence["width"] == pytest.approx(0.5 / math.sqrt(2), rel=0.08)


def test_batches_tell_the_rate_of_a_training_of_two_epochs():
    assert {*by_rule([1.2, 0.4])} == {"too_short"}
    assert {*by_rule([1.2, 0.4], batch_losses=batches(64))} >= {"learning_rate_good", "too_short"}


def test_the_unsure_are_no_errors():
    for rule, severity, history in KNOWN:
        finding = by_rule(history)[rule]
        assert severity != "error" or finding.confidence != "possible"
    assert Finding("rule", "message", "advice").confidence == "certain"
