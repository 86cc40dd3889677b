"""Which samples an epoch draws: the promises of `_sampling`, for any counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dcnn.imbalance._sampling import MODES, arranged, draw, epoch_counts, members

COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=6)
quick = settings(max_examples=40, deadline=None)


def drawn_of(classes, counts, wanted, walked):
    """How often each sample comes."""
    of_class = members(classes, len(counts), np.random.default_rng(0))
    return np.bincount(draw(of_class, wanted, walked), minlength=len(classes))


@quick
@given(COUNTS, st.integers(0, 6))
def test_counts_are_those_of_the_definition(counts, epoch):
    n, total, equal = np.array(counts), sum(counts), sum(counts) / len(counts)
    assert epoch_counts(n, "over").tolist() == [max(counts)] * len(counts)
    assert epoch_counts(n, "under").tolist() == [min(counts)] * len(counts)
    share = min(1, epoch / 4)
    exact = {
        "sqrt": total * np.sqrt(n) / np.sqrt(n).sum(),
        "progressive": (1 - share) * n + share * equal,
    }
    for mode, numbers in exact.items():
        found = epoch_counts(n, mode, epoch, 5)
        assert found.sum() == total
        assert np.abs(found - numbers).max() < 1


def test_progressive_goes_from_natural_to_balanced():
    counts = np.array([90, 9, 1])
    assert epoch_counts(counts, "progressive", 0, 3).tolist() == [90, 9, 1]
    assert sorted(epoch_counts(counts, "progressive", 2, 3)) == [33, 33, 34]
    assert epoch_counts(counts, "progressive", 0, 1).tolist() == [90, 9, 1]


def test_a_class_without_samples_is_not_drawn():
    for mode in MODES:
        assert epoch_counts(np.array([5, 0, 2]), mode, 3, 4)[1] == 0


def test_numbers_by_class():
    counts = np.array([5, 0, 2])
    assert epoch_counts(counts, [1, 0, 7]).tolist() == [1, 0, 7]
    assert epoch_counts(counts, {2: np.int64(7)}).tolist() == [5, 0, 7]


@pytest.mark.parametrize(
    ("mode", "match"),
    [
        ("most", "`mode` must be one of 'over'"),
        ([1, 2], "a number for each of 3 classes"),
        ([1, 0, -1], r"`mode\[2\]` must be a whole number of at least 0; got -1"),
        ([1, 1, 1], "must be 0 for class 1, of no sample; got 1"),
        ([0, 0, 0], "at least one sample"),
        ({3: 1}, "classes from 0 to 2 as keys; got 3"),
        ({"dog": 1}, "as keys; got 'dog'"),
        (None, "got None"),
    ],
)
def test_bad_modes(mode, match):
    with pytest.raises(ValueError, match=match):
        epoch_counts(np.array([5, 0, 2]), mode)


@quick
@given(st.data(), COUNTS)
def test_no_sample_comes_more_than_once_more_often_than_another(data, counts):
    classes = np.random.default_rng(1).permutation(np.repeat(range(len(counts)), counts))
    some = st.lists(st.integers(0, 90), min_size=len(counts), max_size=len(counts))
    wanted = np.array(data.draw(some.filter(any)))
    often = drawn_of(classes, counts, wanted, data.draw(some))
    for number, count in enumerate(counts):
        of_class = often[classes == number]
        assert of_class.sum() == wanted[number]
        assert of_class.min() == wanted[number] // count
        assert of_class.max() - of_class.min() <= 1


@quick
@given(COUNTS, st.integers(1, 30))
def test_all_have_their_turn_before_one_has_its_second(counts, epochs):
    """Under "under", over epochs: the same within one."""
    classes = np.repeat(range(len(counts)), counts)
    wanted = epoch_counts(np.array(counts), "under")
    often = sum(drawn_of(classes, counts, wanted, wanted * e) for e in range(epochs))
    for number in range(len(counts)):
        assert np.ptp(often[classes == number]) <= 1


@quick
@given(COUNTS, st.integers(1, 50), st.sampled_from([None, "balanced"]))
def test_arranging_loses_nothing_and_doubles_nothing(counts, batch_size, per_batch):
    classes = np.repeat(range(len(counts)), counts)
    drawn = np.random.default_rng(0).integers(0, len(classes), 100)
    order = arranged(drawn, classes, batch_size, per_batch, np.random.default_rng(0))
    assert sorted(order) == sorted(drawn)


@quick
@given(COUNTS, st.integers(1, 50))
def test_batches_have_a_class_alike(counts, batch_size):
    classes = np.repeat(range(len(counts)), counts)
    order = arranged(
        np.arange(len(classes)), classes, batch_size, "balanced", np.random.default_rng(0)
    )
    whole = len(order) // batch_size * batch_size
    if whole:
        batches = classes[order[:whole]].reshape(-1, batch_size)
        for number in range(len(counts)):
            assert np.ptp((batches == number).sum(1)) <= 1


@quick
@given(st.integers(2, 5), st.integers(1, 5), st.integers(1, 40))
def test_batches_of_a_multiple_of_the_classes_are_balanced(num_classes, each, per_class):
    classes = np.repeat(range(num_classes), per_class)
    order = arranged(
        np.arange(len(classes)), classes, num_classes * each, "balanced", np.random.default_rng(0)
    )
    for start in range(0, len(order), num_classes * each):
        part = classes[order[start : start + num_classes * each]]
        assert np.ptp(np.bincount(part, minlength=num_classes)) == 0


def test_epochs_differ_in_their_order():
    classes = np.repeat([0, 1], 50)
    orders = [
        arranged(np.arange(100), classes, 10, way, np.random.default_rng([0, epoch]))
        for way in (None, "balanced")
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4
