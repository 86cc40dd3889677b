"""Scores and intervals of a comparison of remedies, its table and its figure."""

import copy
import pickle

import matplotlib.pyplot
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from keras_dcnn.imbalance import RemedyComparison
from keras_dcnn.imbalance._remedy_arguments import (
    as_pair,
    as_remedies,
    as_seeds,
    held_out_labels,
)
from keras_dcnn.imbalance._remedy_scores import (
    groups_by_count,
    interval,
    scores_of,
)
from keras_dcnn.imbalance.compare_remedies import _judged
from keras_dcnn.visualization import plot_remedies

pytestmark = pytest.mark.once


def comparison(**balanced):
    """One with these balanced accuracies."""
    rest = {"accuracy": (0.9, 0.9, 0.9), "nll": (0.5, 0.6, 0.7), "seconds": (3.0, 3.0, 3.0)}
    rest |= dict.fromkeys(("many", "medium", "few", "macro_f1"), (0.5, 0.6, 0.7))
    return RemedyComparison(
        scores={
            name.replace("_", " "): {"balanced_accuracy": values, **rest}
            for name, values in balanced.items()
        },
        seeds=(0, 1, 2),
        groups={"many": (0,), "medium": (1,), "few": (2,)},
        num_test=1200,
        taus=(),
        notes=("guided crops is left out: no head.",),
    )


@pytest.fixture
def example():
    return comparison(
        none=(0.50, 0.60, 0.55),
        over=(0.60, 0.69, 0.66),  # + 10, 9, 11
        head_phase=(0.40, 0.52, 0.45),  # − 10, 8, 10
        weights=(0.51, 0.58, 0.57),  # + 1, − 2, + 2
    )


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 200)
    y = np.append(np.arange(4), rng.choice(4, 196, p=[0.6, 0.2, 0.1, 0.1]))
    found = scores_of(y, p, {"many": (0, 3), "medium": (1,), "few": (2,)})
    recall = metrics.recall_score(y, p.argmax(1), average=None)
    expected = {
        "accuracy": metrics.accuracy_score(y, p.argmax(1)),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, p.argmax(1)),
        "many": recall[[0, 3]].mean(),
        "medium": recall[1],
        "few": recall[2],
        "macro_f1": metrics.f1_score(y, p.argmax(1), average="macro"),
        "nll": metrics.log_loss(y, p),
    }
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([*found.values()], [*expected.values()], rtol=1e-9)


def test_a_class_that_is_never_answered_and_a_probability_of_0():
    p = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    y = np.array([0, 0, 1])
    found = scores_of(y, p, {"many": (0,), "few": (1,)})
    assert (found["balanced_accuracy"], found["many"], found["few"]) == (0.5, 1, 0)
    expected = metrics.f1_score(y, p.argmax(1), average="macro", zero_division=0)
    np.testing.assert_allclose(found["macro_f1"], expected)
    np.testing.assert_allclose(found["nll"], metrics.log_loss(y, p), rtol=1e-6)


def test_intervals_are_student_s():
    values = np.random.default_rng(1).normal(size=6)
    expected = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
    np.testing.assert_allclose(interval(values), [values.mean(), *expected], rtol=1e-6)
    assert interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([5, 50], {"many": (1,), "few": (0,)}),
        ([9, 1, 4], {"many": (0,), "medium": (2,), "few": (1,)}),
        ([1, 2, 3, 3, 5], {"many": (2, 4), "medium": (1, 3), "few": (0,)}),
    ],
)
def test_classes_in_thirds(counts, expected):
    assert groups_by_count(counts) == expected


def test_the_table_says_better_and_worse(example):
    lines = {line.split("  ")[0]: line for line in str(example).splitlines()}
    assert lines["over"].endswith("+10.0 ± 2.5  better")
    assert lines["head phase"].endswith("worse")
    assert lines["weights"].endswith("no difference seen")
    assert "better" not in lines["none"]
    assert "55.0 ± 12.4" in lines["none"]  # .05 · 4.303 / √3
    assert "0.600 ± 0.248" in lines["none"]
    assert str(example).startswith("1,200 test samples, mean of 3 seeds")
    assert str(example).endswith("guided crops is left out: no head.")


def test_differences_are_paired(example):
    expected = stats.ttest_rel([0.60, 0.69, 0.66], [0.40, 0.52, 0.45]).confidence_interval(0.95)
    mean, *ends = example.difference("over", "head phase")
    np.testing.assert_allclose(mean, 0.58 / 3)
    np.testing.assert_allclose(ends, expected, rtol=1e-6)
    assert example.mean("over", "accuracy") == pytest.approx((0.9, 0.9, 0.9))
    with pytest.raises(ValueError, match=r"`remedy` must be one of 'none', 'over'.*got 'under'"):
        example.difference("under")
    with pytest.raises(ValueError, match=r"`score` must be one of 'balanced_acc.*got 'f1'"):
        example.mean("over", "f1")


def test_pickled_and_copied_with_its_numbers(example):
    for other in (pickle.loads(pickle.dumps(example)), copy.deepcopy(example)):
        assert other == example
        assert str(other) == str(example)


def test_the_figure_shows_the_differences_sorted(example):
    ax = plot_remedies(example, title="mine")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["head phase", "weights", "over"]
    dots = {one.get_label(): one.lines[0].get_xydata() for one in ax.containers}
    np.testing.assert_allclose(dots["better"], [[10, 2]])
    np.testing.assert_allclose(dots["worse"], [[-28 / 3, 0]])
    np.testing.assert_allclose(dots["no difference seen"], [[1 / 3, 1]], atol=1e-9)
    markers = {one.lines[0].get_marker() for one in ax.containers}
    assert len(markers) == 3
    bar = next(one for one in ax.containers if one.get_label() == "better").lines[2][0]
    np.testing.assert_allclose(bar.get_segments()[0][:, 0], [7.516, 12.484], atol=0.001)
    assert ax.get_title() == "mine"
    assert plot_remedies(example, ax) is ax
    matplotlib.pyplot.close("all")


def test_no_figure_of_other_things():
    with pytest.raises(TypeError, match="what compare_remedies returned; got dict"):
        plot_remedies({})
    with pytest.raises(ValueError, match='a remedy beside "none"'):
        plot_remedies(comparison(none=(0.5, 0.5, 0.6)))


def test_arguments():
    assert as_remedies(["over", "crops", "over"]) == ("none", "over", "crops")
    assert len(as_remedies("all")) == 16
    assert as_seeds(np.int64(2)) == [0, 1]
    assert as_seeds((5, 3)) == [5, 3]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: as_remedies("over"), r'"all" or a list of names.*got \'over\''),
        (lambda: as_remedies([]), r'"all" or a list of names.*got \[\]'),
        (lambda: as_remedies(["smote"]), r"`remedies` must be one of 'none', .*got 'smote'"),
        (lambda: as_seeds(1), r"`seeds` must be a whole number of at least 2; got 1"),
        (lambda: as_seeds([4]), r"at least two different whole numbers.*got \[4\]"),
        (lambda: as_seeds([4, 4]), r"at least two different whole numbers"),
        (lambda: as_seeds([4, -1]), r"`seeds` must be a whole number of at least 0; got -1"),
        (lambda: as_pair("data", None), r"`data` must be a pair of arrays, \(x, y\); got NoneType"),
        (lambda: as_pair("data", (1, 2, 3)), r"got tuple of 3"),
        (
            lambda: held_out_labels("test_data", (0, [0, 0, 2]), 3),
            r"in `test_data`; class 1 has no",
        ),
        (lambda: held_out_labels("test_data", (0, [0, 1, 3]), 3), r"`y of test_data` must be.*3"),
        (lambda: as_pair("data", (np.ones(3), np.ones(2))), r"as many samples.*`x` 3, `y` 2"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call()


def test_predictions_that_are_not_finite():
    p, y = np.eye(3, dtype="float32"), np.arange(3)
    done = {
        (name, seed): {"test": p, "seconds": np.float64(2)}
        for name in ("none", "over", "weights")
        for seed in (0, 1)
    }
    done["over", 1] = {"test": np.full((3, 3), np.nan), "seconds": np.float64(2)}
    names = ["none", "over", "weights", "adjusted"]
    found = _judged(done, names, [0, 1], [], [9, 3, 1], y, None)
    assert list(found.scores) == ["none", "weights", "adjusted"]
    assert found.notes == ("over is left out: its predictions are not finite.",)
    assert found.taus == (1, 1)
    assert found.scores["weights"]["seconds"] == (2, 2)
    done["none", 0] = done["over", 1]
    with pytest.raises(ValueError, match='the predictions of "none" must be finite'):
        _judged(done, names, [0, 1], [], [9, 3, 1], y, None)
