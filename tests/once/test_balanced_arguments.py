"""What BalancedDataset and its like refuse when they are made, before anything is read."""

import numpy as np
import pytest

from keras_dcnn.imbalance import BalancedDataset, compare_remedies, weights_of
from keras_dcnn.imbalance._logit_adjustment import LogitAdjustment

X = np.zeros((12, 8, 8, 3), "uint8") + np.arange(12, dtype="uint8")[:, None, None, None]
Y = np.repeat([0, 1], [9, 3])
FILES = [f"nowhere/{i}.png" for i in range(12)]


@pytest.mark.parametrize(
    ("x", "arguments", "says"),
    [
        (list(X), {}, r"`x` 8, `y` 12: .* a list of images as np\.stack\(x\)"),
        (FILES, {}, r"`x` must be files that are there; .*0\.png is not: give full paths"),
        (FILES, {"load": "imread"}, "`load` must be a function of a path; got str"),
        (X, {"sample_weight": np.where(Y == 1, np.nan, 1)}, "must be a finite number ≥ 0"),
        (X, {"sample_weight": -Y}, "must be a finite number ≥ 0"),
        (X, {"sample_weight": np.ones((12, 2))}, r"got shape \(12, 2\)"),
        (X, {"sample_weight": 2.0}, "`sample_weight` 1: give one row"),
        (X, {"mode": [10**15, 3]}, "at least one sample an epoch, and fewer than 2³¹"),
    ],
)
def test_data_that_are_refused(x, arguments, says):
    with pytest.raises((TypeError, ValueError), match=says):
        BalancedDataset(x, Y, verbose=0, **arguments)


def test_what_load_returns_must_be_numbers():
    data = BalancedDataset(FILES, Y, load=lambda path: None, verbose=0)
    with pytest.raises(ValueError, match="`load` must return an array of numbers; got dtype obj"):
        data[0]


def test_labels_of_weight_0_may_be_none():
    y = np.where(np.arange(12) == 5, -1, Y)
    for labels in (y, np.eye(2)[Y] * (y >= 0)[:, None]):
        data = BalancedDataset(X, labels, y >= 0, verbose=0)
        assert data.counts.tolist() == [8, 3]
        assert 5 not in data[0][0][:, 0, 0, 0]
    with pytest.raises(ValueError, match="whole numbers from 0; got -1"):
        BalancedDataset(X, y, verbose=0)


def test_weights_of_classes_that_do_not_come_take_no_room():
    assert weights_of(Y, {0: 1, 1: 2, 10**12: 3}).tolist() == [1] * 9 + [2] * 3


def test_a_tau_beyond_all_reason_is_refused():
    with pytest.raises(ValueError, match=r"`tau` must be .* below 1000000; got 1e"):
        LogitAdjustment([9, 3], 1e300)


def test_test_data_are_looked_at_before_any_training():
    x = np.where(np.arange(12) == 7, np.nan, 0.0)[:, None]
    with pytest.raises(ValueError, match="x of `test_data` must be finite"):
        compare_remedies(lambda: pytest.fail("built"), (x[:5], Y[:5]), (x, Y))
