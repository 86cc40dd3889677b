"""measure_similarity: the verdict by what is known at which depth; the network's numbers once."""

import copy
import pickle

import keras
import numpy as np
import pytest
from scipy.stats import binomtest

from keras_dcnn.diagnosis._shares import wilson
from keras_dcnn.fine_tuning._depth_verdict import DIFFERENT, saves
from keras_dcnn.fine_tuning._features import Features
from keras_dcnn.fine_tuning.measure_similarity import measure_similarity, similarity_of
from keras_dcnn.models import small_cnn

layers = keras.layers
NAMES = ("first", "second", "third", "last")


def features(signals, per_class=60, classes=4, seed=0):
    """Depths whose features know the classes by so many standard deviations."""
    rng = np.random.default_rng(seed)
    y = np.arange(per_class * classes) % classes
    rows = [rng.normal(size=(len(y), 12)).astype("float32") for _ in signals]
    for one, signal in zip(rows, signals, strict=True):
        one[:, :classes] += signal * np.eye(classes)[y]
    return Features(NAMES[: len(signals)], tuple(rows), y, None, classes)


@pytest.mark.once
@pytest.mark.parametrize(
    ("signals", "per_class", "verdict", "reason"),
    [
        (
            (0.5, 1, 2, 3),
            60,
            "similar",
            "`last` makes clearly fewer errors than `second`, in the f",
        ),
        (
            (0.5, 1.5, 1.5, 1.5),
            200,
            "different",
            "`last` is hardly better, if at all, than `second",
        ),
        ((3, 2, 1, 1), 60, "different", "`last` is hardly better, if at all, than `first`"),
        ((0.5, 1.5, 2, 2), 5, "cannot tell", "neither surely fewer nor surely as many errors"),
        ((1, 0, 0, 0), 60, "different", "is hardly better, if at all, than `first`"),
        ((0, 0, 0, 0), 60, "cannot tell", "is surely better than to name the largest class"),
        ((50, 50, 50, 50), 60, "cannot tell", "100.0 against 100.0 % of 240 right"),
    ],
)
def test_verdict(signals, per_class, verdict, reason):
    found = similarity_of(features(signals, per_class))
    assert found.verdict == verdict
    assert reason in found.reason
    assert len(found.accuracies) == len(found.intervals) == len(found.names) == len(signals)
    assert np.isfinite([found.logme, found.h_score]).all()


@pytest.mark.once
def test_between_the_bounds_nobody_can_tell():
    wrong = np.arange(5000) % 50
    found = saves(wrong >= 8, wrong >= 10, DIFFERENT)
    assert found[0] > 0 > saves(wrong >= 8, wrong >= 10, 0.1)[1]
    found = similarity_of(features((1.2, 1.5), per_class=1500))
    assert found.verdict == "cannot tell"
    assert "a few errors fewer" in found.reason


@pytest.mark.once
def test_interval_of_what_is_saved_is_that_of_a_list_with_half_a_sample_of_each_kind():
    rng = np.random.default_rng(0)
    last, half = rng.random((2, 40)) < [[0.8], [0.7]]
    pairs = np.concatenate([np.stack([~last, ~half], 1), [[0, 0], [0, 1], [1, 0], [1, 1]]])
    values = pairs[:, 0] - (1 - 0.25) * pairs[:, 1]
    weights = np.repeat([1, 0.5], [40, 4])
    mean = np.average(values, weights=weights)
    deviation = np.sqrt(np.average((values - mean) ** 2, weights=weights) / weights.sum())
    np.testing.assert_allclose(
        saves(last, half, 0.25), (mean - 1.96 * deviation, mean + 1.96 * deviation)
    )


@pytest.mark.once
@pytest.mark.parametrize(("right", "n"), [(0, 3), (7, 9), (230, 230)])
def test_interval_is_that_of_wilson(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    np.testing.assert_allclose(wilson(right, n), expected, atol=1e-5)


@pytest.mark.once
def test_printed_pickled_and_copied():
    found = similarity_of(features((1, 2, 3, 3)))
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    text = str(found).splitlines()
    assert text[0] == f"{found.verdict}: {found.reason}."
    assert f"LogME {found.logme:.4g}" in text[1]
    assert [line.split()[0] for line in text[2:]] == list(NAMES)


def bright(samples=24):
    """Images of which the brightness is the class, and a network."""
    rng = np.random.default_rng(0)
    y = np.arange(samples) % 3
    x = rng.uniform(0, 60, (samples, 8, 8, 3)) + 80 * y[:, None, None, None]
    return small_cnn((8, 8, 3), 4, width=4), x.astype("float32"), y


@pytest.mark.every_backend
def test_samples_of_weight_0_count_for_nothing_and_labels_may_be_rows():
    network, x, y = bright()
    before = [keras.ops.convert_to_numpy(one) for one in network.weights]
    whole = measure_similarity(network, (x, y), verbose=0)
    assert whole.num_samples == 24
    assert whole.num_classes == 3
    assert whole.accuracies[0] > 0.9
    weights = np.arange(30) < 24
    more = np.concatenate([x, x[:6]]), np.concatenate([y, (y[:6] + 1) % 3])
    rows = more[0], np.eye(5)[more[1]], weights
    left_out = measure_similarity(network, rows, verbose=0)
    assert (left_out.accuracies, left_out.num_classes) == (whole.accuracies, 3)
    assert left_out.logme == pytest.approx(whole.logme, rel=1e-3)
    for one, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), value)


def changed(value):
    x = bright()[1]
    x[3, 0, 0, 0] = value
    return x


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": np.ones(24, int)}, "at least two classes; got samples of class 1 alone"),
        ({"y": np.arange(24) - 1}, "must be classes, whole numbers from 0; got -1"),
        ({"x": changed(np.nan)}, "must be finite"),
        ({"x": np.zeros((24, 9, 8, 3), "float32")}, r"of the size .* got \(9, 8, 3\)"),
        ({"layers": "last"}, r"at least two; got '\w+' alone: use layers=\"all\""),
    ],
)
def test_bad_arguments(arguments, message):
    network, x, y = bright()
    arguments = {"x": x, "y": y, **arguments}
    data = arguments.pop("x"), arguments.pop("y")
    with pytest.raises(ValueError, match=message):
        measure_similarity(network, data, **arguments, verbose=0)


def test_one_class_that_counts():
    network, x, y = bright()
    with pytest.raises(ValueError, match="at least two classes; got samples of class 2 alone"):
        measure_similarity(network, (x, y, y == 2), verbose=0)
