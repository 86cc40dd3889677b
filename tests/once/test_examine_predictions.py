"""examine_predictions: SciPy's tests and intervals, scikit-learn's measures, false alarms."""

import dataclasses
import json
import re

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_arrays
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

import keras_dcnn
from keras_dcnn.diagnosis import Finding, examine_predictions

CATS_AND_DOGS = np.repeat([0, 1], [100, 5])
NAMES = ["cat", "dog"]


def by_rule(*arguments):
    return {finding.rule: finding for finding in examine_predictions(*arguments)}


def test_always_cat_is_an_error_that_says_so():
    found = by_rule(CATS_AND_DOGS, np.tile([0.9, 0.1], (105, 1)), NAMES)
    assert [*found] == ["majority_class", "never_predicted"]
    assert found["majority_class"].severity == "error"
    assert str(found["majority_class"]).startswith(
        "accuracy 95.2 % of 105 samples is no better than always 'cat' (95.2 %); balanced accuracy "
        "50.0 %: try `imbalance.BalancedDataset`"
    )
    assert found["never_predicted"].message == "never predicted: 'dog' (5 samples)"


def test_an_accuracy_below_the_majority_may_be_of_use():
    predicted = np.where(np.arange(105) < 12, 1, CATS_AND_DOGS)  # all dogs, and 12 cats as dogs
    (finding,) = examine_predictions(CATS_AND_DOGS, predicted, NAMES)
    assert finding.severity == "warning"
    assert "88.6 % of 105 samples is no better than always 'cat' (95.2 %)" in finding.message
    assert finding.advice == "judge it by the balanced accuracy instead"


def test_perfect_predictions_have_nothing_to_be_said():
    for counts in ([5, 5], [500, 5], [9] * 30):
        y = np.repeat(np.arange(len(counts)), counts)
        assert examine_predictions(y, np.eye(len(counts))[y]) == []
    (finding,) = examine_predictions([0] * 99 + [1], [0] * 99 + [1])
    assert (finding.rule, finding.severity) == ("few_samples", "info")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=4, max_size=4).filter(lambda n: n[0] + n[1] and n[3]))
def test_paired_test_and_balanced_accuracy_of_two_classes(table):
    y, predicted = np.repeat([0, 0, 1, 1], table), np.repeat([0, 1, 0, 1], table)
    first = int(y.mean() > 0.5)
    better = ((predicted == y) & (y != first)).sum()
    worse = ((predicted != y) & (y == first)).sum()
    p = binomtest(better, better + worse).pvalue if better + worse else 1
    right, n = np.array([table[0], table[3]]), np.array([sum(table[:2]), sum(table[2:])])
    mean, low, _ = reference_interval(right, n)
    equal = n.min() >= 0.9 * n.max()
    expected = not ((better > worse and p <= 0.05) or (equal and low > 0.5) or mean == 1)
    found = by_rule(y, predicted)
    assert expected == bool({"majority_class", "chance"} & {*found})
    if expected:
        evidence = found["chance" if equal else "majority_class"].evidence
        assert evidence["p_value"] == pytest.approx(p, rel=1e-6)
        assert evidence["accuracy"] == pytest.approx(np.mean(y == predicted))
        assert evidence["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted))


def reference_interval(right, n):
    """Zou and Donner, of the longer distances to the ends of Wilson's intervals."""
    recall = right / n
    ends = [binomtest(*pair).proportion_ci(0.95, "wilson") for pair in zip(right, n, strict=True)]
    arm = np.linalg.norm(np.abs(np.transpose(ends) - recall).max(0)) / len(n)
    return recall.mean(), recall.mean() - arm, recall.mean() + arm


def test_interval_of_the_balanced_accuracy():
    right, n = np.array([40, 1, 3, 0]), np.array([100, 1, 30, 7])
    y = np.repeat(np.arange(4), n)
    places = np.arange(len(y)) - np.repeat(np.cumsum(n) - n, n)
    predicted = np.where(places < right[y], y, (y + 1) % 3)
    evidence = by_rule(y, predicted)["majority_class"].evidence
    names = ("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high")
    expected = reference_interval(right, n)
    np.testing.assert_allclose([evidence[name] for name in names], expected, rtol=1e-6)


def test_p_of_many_samples():
    y = np.repeat([0, 1], [600_000, 400_000])
    predicted = np.where(np.arange(len(y)) < 1_000, 1, y)
    predicted[600_900:] = 0
    evidence = by_rule(y, predicted)["majority_class"].evidence
    assert evidence["p_value"] == pytest.approx(binomtest(900, 1900).pvalue, rel=1e-6)


def simulated(rng, classes, each, recall):
    """Labels with `each` samples of a class, and predictions that find such a share of them."""
    y = np.repeat(np.arange(classes), each)
    others = (y + rng.integers(1, classes, len(y))) % classes
    return y, np.where(rng.uniform(size=len(y)) < recall, y, others)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_chance_is_found_and_healthy_models_are_not_accused(classes):
    rng = np.random.default_rng(0)
    chance = [by_rule(*simulated(rng, classes, 30, 1 / classes)) for _ in range(100)]
    assert np.mean(["chance" in found for found in chance]) >= 0.95
    assert "better than chance" in next(f["chance"].message for f in chance if "chance" in f)
    healthy = [by_rule(*simulated(rng, classes, 10, 0.8)) for _ in range(100)]
    assert sum(f.severity == "error" for found in healthy for f in found.values()) <= 5
    assert sum("low_recall" in found for found in healthy) <= 5


def test_a_class_found_less_than_half_as_often():
    y = np.repeat(np.arange(5), 50)
    for right, expected in ((5, True), (20, False)):  # of 50; the others 40 of 50
        places = np.arange(250) % 50
        predicted = np.where(places < np.where(y == 3, right, 40), y, (y + 1) % 5)
        found = by_rule(y, predicted)
        assert ("low_recall" in found) == expected
    predicted = np.where((y == 3) & (places >= 5), 0, y)
    (finding,) = examine_predictions(y, predicted)
    assert finding.message == "found less than half as often as others: class 3 (5 of 50)"
    z = 2.5758293  # 95 % of five at once
    middle, spread = 0.1 + z**2 / 100, z * np.sqrt(0.1 * 0.9 / 50 + z**2 / 10_000)
    assert finding.evidence["recall_high"] == pytest.approx([(middle + spread) / (1 + z**2 / 50)])


def test_classes_that_come_seldom_or_never_are_named():
    y = np.repeat([0, 1, 3], [50, 50, 2])
    predicted = np.where(y == 3, 0, y)
    found = by_rule(y, np.eye(4)[predicted])
    assert found["few_samples"].message == (
        "too few samples to judge: class 2 (0 samples), class 3 (2 samples)"
    )
    assert found["never_predicted"].severity == "info"
    assert found["never_predicted"].evidence == {"classes": [3], "samples": [2]}
    assert by_rule(y, predicted)["few_samples"].evidence == {"classes": [3], "samples": [2]}
    y = np.arange(1000)
    assert by_rule(y, y)["few_samples"].message.endswith("class 4 (1 sample) and 995 more")


def test_one_class_shows_nothing():
    found = by_rule(np.zeros(20), np.eye(2)[[0] * 20], np.array(NAMES))
    assert [*found] == ["one_class", "few_samples"]
    assert found["one_class"].message == "all 20 samples are 'cat'"


def test_every_form_of_labels_and_predictions():
    rng = np.random.default_rng(0)
    y, logits = CATS_AND_DOGS, rng.normal(0, 2, (105, 2)).astype(ml_dtypes.bfloat16)
    probability = 1 / (1 + np.exp(-np.subtract(*logits.astype("float64").T[::-1])))
    expected = examine_predictions(y, logits)
    assert expected[0].rule == "majority_class"
    columns, classes = np.stack([1 - probability, probability], 1), logits.argmax(1)
    one_output = (probability, probability[:, None], np.log(probability / (1 - probability)))
    for predictions in (columns, *one_output, classes, classes[:, None], classes == 1):
        assert examine_predictions(y, predictions) == expected
    for labels in (y[:, None], np.eye(2)[y], y.astype("float32"), y.tolist(), y == 1):
        assert examine_predictions(labels, logits) == expected


def test_findings_are_plain_and_point_to_parts_that_exist():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2, 3], [300, 60, 60, 3])
    findings = examine_predictions(y, np.where(rng.uniform(size=423) < 0.9, 0, np.minimum(y, 2)))
    findings += examine_predictions(y[:390], np.zeros(390, int))
    findings += examine_predictions(np.arange(40) % 2, np.zeros(40))
    findings += examine_predictions(np.repeat([0, 1], 50), np.arange(100) < 48)
    assert {finding.severity for finding in findings} == {"error", "warning", "info"}
    for finding in findings:
        assert Finding(**json.loads(json.dumps(dataclasses.asdict(finding)))) == finding
        for room, name in re.findall(r"`(\w+)\.(\w+)`", finding.advice):
            assert name in getattr(keras_dcnn, room).__all__
    assert len({hash(finding) for finding in findings}) == len(findings)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([], []), "one or more; got 0 and 0"),
        (([0, 1], [0]), "equally many samples, one or more; got 2 and 1"),
        (([0, 1], [[0.5, np.nan], [0.1, 0.9]]), "must not be NaN; got 1 of 4"),
        (([0, 2], [[0.5, 0.5]] * 2), "`y` must be whole numbers from 0 to 1.*got 2 for sample 1"),
        (([0, 2], [0.5, 0.7]), "`y` must be whole numbers from 0 to 1, the two classes of one"),
        (([0, np.nan], [0, 1]), "`y`.*leave out samples without a label"),
        (([0, 10**12], [0, 1]), "`y` must be whole numbers from 0 to 999999"),
        (([0, 1], [0, -1]), "`predictions` must be whole numbers from 0.*got -1"),
        (([0, 1], [0, 2], NAMES), "`predictions` must be whole numbers from 0 to 1"),
        ((np.eye(3), np.zeros((3, 2))), "at most the 2 classes.*one-hot rows of 3"),
        ((np.eye(3), [0, 1, 3]), "`predictions` must be whole numbers from 0 to 2"),
        (([[0.4, 0.6]], [1]), "one-hot rows; got rows"),
        ((["cat"], [1]), "`y` must be whole numbers or one-hot rows"),
        (([1], ["cat"]), "`predictions` must be numbers.*of <U3"),
        (([1], np.zeros((1, 2, 2))), r"`predictions` must be numbers.*shape \(1, 2, 2\)"),
        (([1, 0], [[1], [1, 2]]), "`predictions` must be one array"),
        (([0, 1], np.eye(3)[:2], NAMES), "`class_names` must have a name for each class, 3; got 2"),
        (([0, 1], [0, 1], []), "`class_names` must have a name for each class, 2 or more; got 0"),
        (([0, 1], [0, 1], "cat"), "`class_names` must be one array"),
    ],
)
def test_a_sentence_for_what_cannot_be_compared(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        examine_predictions(*arguments)


ANY_ARRAY = numpy_arrays.arrays(
    st.sampled_from(["float16", "float64", "int64", "uint8", "bool", "complex64", "U2", "object"]),
    numpy_arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
CLASSES = st.lists(st.integers(0, 4), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    ANY_ARRAY | CLASSES,
    ANY_ARRAY | CLASSES | st.lists(st.lists(st.floats(), max_size=3), max_size=8),
    st.none() | st.lists(st.text(), max_size=5),
)
def test_findings_or_a_sentence_whatever_is_given(y, predictions, names):
    try:
        outcome = as_json(examine_predictions(y, predictions, names))
    except ValueError as error:
        outcome = str(error)
    assert re.match(r"\[|`(y|predictions|class_names)`", outcome)


def as_json(findings):
    return json.dumps([dataclasses.asdict(finding) for finding in findings], allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_findings_of_all_classes_and_scores(data):
    n, classes = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 5))
    y = data.draw(numpy_arrays.arrays("int64", n, elements=st.integers(0, classes - 1)))
    scores = data.draw(
        numpy_arrays.arrays("float64", (n, classes), elements=st.floats(allow_nan=False))
    )
    found = examine_predictions(y, scores)
    few = [finding for finding in found if finding.rule == "few_samples"]
    expected = np.flatnonzero(np.bincount(y, minlength=classes) < 5).tolist()
    assert [one.evidence["classes"] for one in few] == ([expected] if expected else [])
    assert as_json(found).count('"rule"') == len(found)
