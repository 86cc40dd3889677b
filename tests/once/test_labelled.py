"""LabelledImages: of data that draw samples again and again, each comes once."""

import keras
import numpy as np
import pytest

from keras_dcnn._reading.epochs import draws_epochs
from keras_dcnn._reading.labelled import LabelledImages
from keras_dcnn.imbalance import BalancedDataset, MinorityCrops

X = np.arange(12, dtype="float32")[:, None] * np.ones(4, "float32")
Y = np.repeat([0, 1], [9, 3])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_that_is_drawn_again_and_again_counts_once_with_as_much_weight(weighted):
    own = np.linspace(0, 2, 12) if weighted else np.ones(12)
    given = (X, Y, own) if weighted else (X, Y)
    data = BalancedDataset(*given, mode=[9, 8], batch_size=5, verbose=0)
    expected = np.zeros(12)
    for i in range(len(data)):
        np.add.at(expected, data[i][0][:, 0].astype(int), own[data[i][0][:, 0].astype(int)])
    parts = [[*part] for part in LabelledImages(data, 5)]
    x, y, weights = map(np.concatenate, zip(*parts, strict=True))
    numbers = x[:, 0].astype(int)
    assert sorted(numbers) == [*range(int(weighted), 12)]
    np.testing.assert_array_equal(y, Y[numbers])
    np.testing.assert_allclose(weights, expected[numbers])


def test_equal_images_of_two_classes_and_those_of_arrays_all_come():
    data = BalancedDataset(X[[0] * 12], Y, batch_size=18, verbose=0)
    ((_, y, weights),) = LabelledImages(data, 5)
    assert sorted(zip(y, weights, strict=True)) == [(0, 9), (1, 9)]
    ((_, y, weights),) = LabelledImages((X[[0] * 12], Y), 12)
    assert len(y) == 12
    assert weights is None


def test_what_draws_each_epoch_anew():
    class Own(keras.utils.PyDataset):
        epoch = 3

    images = np.zeros((12, 8, 8, 3))
    assert draws_epochs(BalancedDataset(X, Y, verbose=0))
    assert draws_epochs(MinorityCrops(images, Y, verbose=0))
    assert draws_epochs(Own())
    assert not draws_epochs((X, Y))
    assert not draws_epochs(keras.utils.PyDataset())
