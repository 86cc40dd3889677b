"""calibration: the numbers of scikit-learn, and of the ECE's definition."""

import copy
import dataclasses
import json
import pickle

import ml_dtypes
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


def of_labels(samples=200, labels=3):
    """Probabilities of several labels, and rows of 0 and 1; some rows have none."""
    draw = np.random.default_rng(7)
    p = draw.uniform(size=(samples, labels)) ** 2
    return (draw.uniform(size=p.shape) < p).astype(int), p


@pytest.mark.parametrize("dtype", [int, float, bool, "uint8"])
def test_several_labels_are_questions_each_against_scikit_learn(dtype):
    y, p = of_labels()
    assert (y.sum(1) == 0).any()
    found = calibration(y.astype(dtype), p)
    flat, q = y.ravel(), p.ravel()
    assert found.accuracy == pytest.approx(1 - metrics.hamming_loss(y, p > 0.5))
    assert found.nll == pytest.approx(metrics.log_loss(flat, q))
    assert found.brier == pytest.approx(metrics.brier_score_loss(flat, q))
    confidence, right = np.maximum(q, 1 - q), (q > 0.5) == flat
    assert found.ece == pytest.approx(reference_ece(flat, confidence, right, 15))


def test_one_hot_rows_are_one_class_where_predictions_sum_to_1_and_labels_where_not():
    y, p = predictions(4)
    rows = np.eye(4)[y]
    assert calibration(rows, p) == calibration(y, p)
    sigmoids = np.clip(1.5 * p, 0, 1)
    found = calibration(rows, sigmoids)
    assert found.accuracy == pytest.approx(np.mean((sigmoids > 0.5) == rows))
    assert found.nll == pytest.approx(metrics.log_loss(rows.ravel(), sigmoids.ravel()))
    broken = p.copy()
    broken[5] = 0.9  # one row that does not sum to 1 is no other task
    with pytest.raises(ValueError, match=r"`probabilities\[5\]` .* with a sum of 3.6"):
        calibration(rows, broken)


def test_a_class_in_each_place():
    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.ones(3), (5, 4, 3)), rng.integers(0, 3, (5, 4, 3))
    expected = calibration(y.ravel(), p.reshape(-1, 3))
    for labels in (y, y[..., None], np.eye(3)[y]):
        assert calibration(labels, p) == expected
    weights = rng.integers(0, 2, (5, 4, 3))
    p[weights == 0] = np.nan
    masked = calibration(np.where(weights, y, 255).astype("uint8"), p, sample_weight=weights)
    assert masked == calibration(y[weights == 1], p[weights == 1])


@pytest.mark.parametrize("classes", [1, 4])
def test_weights_are_scikit_learns_and_what_has_0_may_be_anything(classes):
    y, p = predictions(classes)
    weights = np.random.default_rng(1).integers(0, 4, 300) / 2
    columns = np.hstack([1 - p, p]) if classes == 1 else p
    guess, of_two = columns.argmax(1), p[:, -1] if classes == 1 else p
    y, p = np.where(weights > 0, y, -1), np.where(weights[:, None] > 0, p, np.nan)
    found, counts = calibration(y, p, sample_weight=weights), weights > 0
    y, weights = y[counts], weights[counts]
    given = {"sample_weight": weights}
    assert found.accuracy == pytest.approx(metrics.accuracy_score(y, guess[counts], **given))
    assert found.nll == pytest.approx(metrics.log_loss(y, columns[counts], **given))
    assert found.brier == pytest.approx(metrics.brier_score_loss(y, of_two[counts], **given))
    times = (2 * weights).astype(int)  # a weight is as so many samples
    repeated = calibration(np.repeat(y, times), np.repeat(p[counts], times, axis=0))
    assert found.ece == pytest.approx(repeated.ece)


def test_labels_that_are_masked_count_for_nothing():
    y, p = of_labels()
    mask = np.random.default_rng(2).random(y.shape) < 0.7
    found = calibration(np.where(mask, y, -1), np.where(mask, p, np.nan), sample_weight=mask)
    assert found.nll == pytest.approx(metrics.log_loss(y[mask], p[mask]))
    assert found.accuracy == pytest.approx(np.mean((p > 0.5)[mask] == y[mask]))


def test_classes_by_name():
    y, p = predictions(3)
    found = calibration(y, p, class_names=np.array(["cat", "dog", "eel"]))
    assert list(found.classes) == ["cat", "dog", "eel"]
    for k, one in enumerate(found.classes.values()):
        assert one == calibration(y == k, p[:, k])
    assert str(found).splitlines()[2] == f"dog: {found.classes['dog']}"
    assert json.loads(json.dumps(dataclasses.asdict(found)))["classes"]["eel"]["classes"] is None
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    hash(found)
    y, p = of_labels()
    for k, one in enumerate(calibration(y, p, class_names=["a", "b", "c"]).classes.values()):
        alone = calibration(y[:, k], p[:, k])
        assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(alone))
    y, p = predictions(1)
    no, yes = calibration(y, p, class_names=["no", "yes"]).classes.values()
    assert (yes.nll, yes.ece) == pytest.approx((no.nll, no.ece))
    assert yes == calibration(y, p)


def test_narrow_types_are_computed_as_wide_ones():
    y = np.arange(3000) % 3
    p = np.where(np.eye(3)[y] == 1, 0.5, 0.25)
    expected = calibration(y, p)
    assert calibration(y.astype("uint8"), p.astype("float16")) == expected
    assert calibration(y, p.astype(ml_dtypes.bfloat16)) == expected
    assert calibration(np.eye(3, dtype="uint8")[y], p.astype("float32")) == expected
    sure = np.eye(3, dtype="int8")[y]
    assert dataclasses.astuple(calibration(y, sure)) == (1, 0, 0, 0, None)
    with pytest.raises(ValueError, match="got dtype complex128"):
        calibration(y, p + 0j)


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
        (
            [[1, 0], [0, 0.5]],
            np.eye(2),
            15,
            r"several labels \(multi-label\) rows of 0 and 1; got .* no shares",
        ),
        ([[1, 0], [0, -1]], np.eye(2), 15, "several labels .* rows .* the `sample_weight` 0"),
        (
            [[1, 0], [1, 1]],
            np.eye(2),
            15,
            r"sum to 1, as of a softmax.*`y` has \[1 1\] for sample 1",
        ),
        ([[1, 1], [0, 0]], [[2, 0.5], [0, 0]], 15, r"from 0 to 1; `probabilities\[0, 0\]` is 2"),
        ([0, 1], [[1.5], [0.5]], 15, r"`probabilities\[0\]` is 1.5: apply a sigmoid"),
        ([0, 1], [[0.9, 0.8], [0.7, 0.9]], 15, "for several labels give `y` as rows of 0 and 1"),
        ([[np.nan, 1], [0, 1]], np.eye(2), 15, "write 0 and 1, .* the `sample_weight` 0"),
        ([[1, 0], [0, 1]], [[0.5], [0.5]], 15, r"each of 2 samples; got shape \(2, 2\)"),
        ([0, 1.5], np.eye(2), 15, "from 0 to 1, the classes of 2 outputs; got 1.5 for sample 1"),
        ([0, -1], np.eye(2), 15, "got -1 for sample 1"),
        ([1, 2], [[0.5], [0.5]], 15, "the two classes of one output; got 2 for sample 1"),
        ([0, np.nan], np.eye(2), 15, "got nan for sample 1"),
        (["cat", "dog"], np.eye(2), 15, "number the classes, as `np.unique"),
    ],
)
def test_bad_arguments(y, p, bins, message):
    with pytest.raises(ValueError, match=message):
        calibration(y, p, bins)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_names": ["a"]}, "one for each of 2 classes or labels; got"),
        ({"class_names": "ab"}, "one for each of 2 classes or labels; got 'ab'"),
        ({"class_names": 2}, "one for each of 2 classes or labels; got 2"),
        ({"class_names": ["a", "a"]}, "must be different names"),
        ({"sample_weight": [1]}, r"`sample_weight` must be numbers of shape \(2,\) or \(2, 1\)"),
        ({"sample_weight": [0, 0]}, "not all 0; got numbers from 0.0 to 0.0"),
        ({"sample_weight": [1, -1]}, "of at least 0"),
        ({"sample_weight": [1, np.nan]}, "must be finite numbers"),
    ],
)
def test_bad_names_and_weights(arguments, message):
    with pytest.raises(ValueError, match=message):
        calibration([0, 1], np.eye(2), **arguments)
