"""calibration: the numbers of scikit-learn, and of the ECE's definition."""

import dataclasses

import numpy as np
import pytest
from sklearn import metrics

from keras_dcnn.ensemble.judging import _scores
from keras_dcnn.ensemble.judging.calibration import Calibration, calibration


def predictions(classes, samples=300):
    rng = np.random.default_rng(classes)
    y = rng.integers(0, max(classes, 2), samples)
    if classes == 1:
        return y, rng.uniform(size=(samples, 1))
    return y, rng.dirichlet(np.ones(classes), samples)


def reference_ece(y, confidence, right, bins):
    """Guo et al., formula 3, bin by bin: ((b − 1) / bins, b / bins]."""
    ece = 0
    for low, high in zip(np.arange(bins) / bins, np.arange(1, bins + 1) / bins, strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            ece += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return ece


@pytest.mark.parametrize("classes", [1, 2, 3, 10])
@pytest.mark.parametrize("bins", [1, 15])
def test_against_scikit_learn_and_the_definition(classes, bins):
    y, p = predictions(classes)
    result = calibration(y, p, bins)
    columns = np.hstack([1 - p, p]) if classes == 1 else p
    right = columns.argmax(1) == y
    assert result.accuracy == pytest.approx(metrics.accuracy_score(y, columns.argmax(1)))
    assert result.nll == pytest.approx(metrics.log_loss(y, columns))
    of_two = p[:, -1] if classes < 3 else p
    assert result.brier == pytest.approx(metrics.brier_score_loss(y, of_two))
    assert result.ece == pytest.approx(reference_ece(y, columns.max(1), right, bins))


def test_upper_ends_of_bins_and_certainty():
    p = np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0], [0.0, 1.0]])
    y = np.array([1, 0, 1, 0])
    expected = reference_ece(y, p.max(1), p.argmax(1) == y, 4)
    assert calibration(y, p, 4).ece == pytest.approx(expected)
    assert expected == pytest.approx(0.25 * 0.5 + 0.25 * 0.25 + 0.5 * 0.5)


def test_limits():
    y = np.arange(12) % 3
    perfect = calibration(y, np.eye(3)[y])
    assert dataclasses.astuple(perfect) == (1, 0, 0, 0, None)
    wrong = calibration(y, np.eye(3)[y - 1])
    assert wrong.accuracy == 0
    assert wrong.ece == 1
    assert wrong.brier == 2
    assert wrong.nll == pytest.approx(metrics.log_loss(y, np.eye(3)[y - 1]))  # finite
    uniform = calibration(y, np.full((12, 3), 1 / 3))
    assert uniform.nll == pytest.approx(np.log(3))
    assert uniform.ece == pytest.approx(0)


def test_one_output_is_the_same_as_two():
    y, p = predictions(1)
    one, two = calibration(y, p), calibration(y, np.hstack([1 - p, p]))
    assert dataclasses.astuple(one)[:4] == pytest.approx(dataclasses.astuple(two)[:4])
    assert calibration(y, p[:, 0]) == one


def test_one_hot_labels_and_float32():
    y, p = predictions(4)
    expected = dataclasses.astuple(calibration(y, p))[:4]
    narrow = calibration(np.eye(4)[y], p.astype("float32"))
    assert dataclasses.astuple(narrow)[:4] == pytest.approx(expected, rel=1e-4)


def test_balanced_accuracy_is_scikit_learns():
    y, p = predictions(4)
    y = np.minimum(y, 2)  # class 3 does not occur
    guess = np.where(p.argmax(1) == 3, 0, p.argmax(1))
    found = _scores.accuracy(y, np.eye(4)[guess], _scores.balanced(y))
    assert found == pytest.approx(metrics.balanced_accuracy_score(y, guess))


def test_printed_it_is_one_line():
    assert str(Calibration(0.9, 0.31234, 0.02, 0.15)) == (
        "accuracy 0.9, NLL 0.3123, ECE 0.02, Brier 0.15"
    )


@pytest.mark.parametrize(
    ("y", "p", "bins", "message"),
    [
        ([0, 1], np.eye(2), 0, "`bins` must be a whole number of at least 1"),
        ([0, 1], np.float64(1), 15, r"shape \(samples, classes\), .* got .*\(\)"),
        ([0, 1], np.ones((0, 2)), 15, "none of these 0"),
        ([0, 1, 0], np.eye(2), 15, r"one label for each of 2 samples.*got shape \(3,\)"),
        ([0, 2], np.eye(2), 15, "from 0 to 1, .* got 2 for sample 1"),
        (
            [0, 1],
            [[0.5, 0.5], [np.nan, 0.5]],
            15,
            r"`probabilities\[1, 0\]` is the first that is NaN",
        ),
        ([0, 1], [[0.5, 0.5], [1.5, -0.5]], 15, r"`probabilities\[1\]` lies between -0.5 and 1.5"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.2]], 15, "with a sum of 0.7: apply a softmax"),
        ([[0.3, 0.7], [1, 0]], np.eye(2), 15, "must be labels or one-hot rows; got .* sample 0"),
    ],
)
def test_bad_arguments(y, p, bins, message):
    with pytest.raises(ValueError, match=message):
        calibration(y, p, bins)
