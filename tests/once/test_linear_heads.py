"""Linear heads on features: scikit-learn's, calibrated, chosen on held-out rows."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from keras_dcnn.fine_tuning import _linear_models as linear
from keras_dcnn.fine_tuning._features import Features
from keras_dcnn.fine_tuning._heads import Head, fit_head
from keras_dcnn.fine_tuning._selection import Candidate, candidates_of, choose


def task(samples=60, channels=8, classes=3, signal=1.5, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    rows = rng.normal(size=(samples, channels)) * rng.uniform(0.1, 9, channels) + 5
    rows[:, :classes] += signal * rows[:, :classes].std(0) * np.eye(classes)[y]
    return rows, y


def scaled(rows):
    return (rows - rows.mean(0)) / rows.std(0) / np.sqrt(rows.shape[1])


@pytest.mark.parametrize("channels", [8, 90])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("head", ["logistic", "svm"])
def test_it_is_scikit_learns_on_standardised_rows(head, classes, channels):
    rows, y = task(channels=channels, classes=classes)
    found = fit_head(rows, y, head=head)
    kinds = {"logistic": LogisticRegression, "svm": LinearSVC}
    more = {"tol": 1e-8, "max_iter": 100_000}
    more |= {"intercept_scaling": 10, "random_state": 0} if head == "svm" else {}
    oracle = kinds[head](C=found.C, **more).fit(scaled(rows), y)
    scores = oracle.decision_function(scaled(rows))
    if classes == 2:
        scores = np.stack([-scores, scores], 1) / 2
    ours = rows @ found.kernel + found.bias
    t = (ours * scores).sum() / (ours**2).sum()  # the temperature
    assert t > 0
    np.testing.assert_allclose(t * ours, scores, atol=0.01 * np.abs(scores).max())


@pytest.mark.parametrize("head", ["logistic", "svm"])
def test_probabilities_are_calibrated_on_held_out_rows(head):
    (rows, y), (others, labels) = task(), task(samples=400, seed=1)
    found = fit_head(rows, y, (others, labels), head)
    scores = others @ found.kernel + found.bias

    def cross_entropy(scale):
        p = np.exp(scale * scores) / np.exp(scale * scores).sum(1, keepdims=True)
        return -np.log(p[np.arange(400), labels]).mean()

    assert cross_entropy(1) < min(cross_entropy(0.8), cross_entropy(1.25))
    assert found.accuracy == (scores.argmax(1) == labels).mean()
    assert found.losses.mean() == pytest.approx(cross_entropy(1), rel=0.02)


def test_a_weight_is_so_many_rows():
    rows, y = task()
    others = task(samples=99, seed=1)
    times = 1 + np.arange(60) % 3
    weighted = fit_head(rows, y, others, sample_weight=times)
    repeated = fit_head(rows.repeat(times, 0), y.repeat(times), others)
    assert weighted.C * np.mean(times) / repeated.C < 11  # of a grid by tens
    one = linear.Standardized(rows, times, [8])
    other = linear.Standardized(rows.repeat(times, 0), np.ones(times.sum()), [8])
    np.testing.assert_allclose(one.of(rows), other.of(rows), rtol=1e-9)
    judged = fit_head(rows, y, (*others, np.r_[1.0, np.zeros(98)]))
    assert judged.accuracy in (0, 1)


def test_folds_hold_out_each_row_once_but_one_of_its_class():
    y = np.r_[np.arange(40) % 4, 4]
    folds = linear.folds_of(y)
    assert sorted(np.concatenate([test for _, test in folds])) == [*range(40)]
    for train, test in folds:
        assert set(y[train]) == set(range(5))
        assert not set(train) & set(test)
        assert np.bincount(y[test], minlength=4).tolist() == [2, 2, 2, 2]


def test_rows_that_are_all_right_have_finite_probabilities():
    rows, y = task(signal=50)
    found = fit_head(rows, y)
    assert found.accuracy == 1
    assert np.isfinite(found.kernel).all()


def test_a_constant_channel_counts_for_nothing():
    rows, y = task()
    found = fit_head(np.c_[rows, np.full(60, 1e6 / 3)].astype("float32"), y)
    assert not found.kernel[8].any()


def test_layers_count_by_their_place_and_not_by_their_channels():
    rows = linear.Standardized(task(channels=50)[0], np.ones(60), [40, 8, 2]).rows
    variance = (rows**2).mean(0)
    parts = [variance[:40].sum(), variance[40:48].sum(), variance[48:].sum()]
    np.testing.assert_allclose(parts, np.array([1, 2, 3]) / 6)


def test_a_share_of_the_channels_is_that_of_the_highest_relevance():
    rows, y = task(samples=120, channels=60, signal=4)
    found = fit_head(rows, y, share=0.05)
    assert set(np.flatnonzero(found.kernel.any(1))) == {0, 1, 2}
    noise = np.random.default_rng(1).normal(size=(60, 2000)), np.arange(60) % 3
    assert fit_head(*noise, share=0.02).accuracy < 0.6  # chosen without the held-out rows


def head_of(losses):
    losses = np.array(losses, "float64")
    return Head(None, None, 1.0, 0.5, losses < 1, losses, np.ones(len(losses)))


def test_the_last_third_is_taken_unless_another_is_surely_better():
    wave, ones = np.tile([0.5, -0.5], 50), np.ones(100)
    made = [(0, 1, 1 + wave), (1, 2, ones), (2, 3, ones), (3, 4, 0.95 + wave[::-1])]
    made += [(2, 4, ones), (0, 4, 0.95 + wave)]
    candidates = [
        Candidate("", slice(start, stop), head_of(losses)) for start, stop, losses in made
    ]
    assert choose(candidates) == 4
    candidates[5] = candidates[5]._replace(head=head_of(0.8 + wave))
    assert choose(candidates) == 5
    assert choose(candidates[:1]) == 0


def test_what_only_an_early_depth_knows_is_found():
    rows, y = task(samples=90, signal=3)
    noise = np.random.default_rng(1).normal(size=(90, 5))
    features = Features(("early", "late"), (rows, noise), y, None, 3)
    found = candidates_of(features, None, "logistic", 3)
    assert [one.name for one in found][:3] == ["early", "late", "all 2"]
    assert found[choose(found)].head.accuracy > found[1].head.accuracy + 0.3
    names, rows = tuple("abcd"), (noise, noise, rows, noise)
    found = candidates_of(Features(names, rows, y, None, 3), None, "logistic", 3)
    assert [one.name for one in found][:6] == [*names, "last 2 of 4", "all 4"]


ROWS, Y = task()


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        ((ROWS, Y * 0), {}, "at least two classes; got samples of class 0"),
        (
            (ROWS, Y * 2),
            {},
            "each of the 5 classes must have samples in the data; class 1 has none",
        ),
        ((ROWS, Y), {"num_classes": 2}, "from 0 to 1; got 2 in the rows"),
        ((ROWS, Y, (ROWS, Y + 1)), {}, "from 0 to 2; got 3 in the held-out rows"),
        ((ROWS * np.nan, Y), {}, "the rows must be finite; got NaN or infinity in row 0"),
        ((ROWS, Y, (ROWS * np.inf, Y)), {}, "the held-out rows must be finite"),
        ((ROWS[:3], Y[:3]), {}, "a class of at least two samples"),
        ((ROWS, Y[:5]), {}, "got 60 rows and 5 labels"),
        ((ROWS, Y, None, "tree"), {}, "`head` must be one of 'logistic', 'svm'; got 'tree'"),
    ],
)
def test_what_can_not_be_learnt(arguments, options, match):
    with pytest.raises(ValueError, match=match):
        fit_head(*arguments, **options)
