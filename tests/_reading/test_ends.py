"""Data that end, and data that can be read again."""

import keras
import numpy as np
import pytest

from keras_dcnn._reading.ends import check_ends, check_readable_again


class Batches(keras.utils.PyDataset):
    def __init__(self, count):
        super().__init__()
        self._count = count

    @property
    def num_batches(self):
        return self._count

    def __getitem__(self, i):
        return np.zeros((2, 3))


@pytest.mark.parametrize("data", [np.zeros((2, 3)), [np.zeros(2)], (1, 2), None, Batches(0)])
def test_data_with_an_end_that_can_be_read_again(data):
    assert check_ends("`x`", data) is None
    assert check_readable_again("`x`", data) is None


def test_data_without_an_end():
    with pytest.raises(ValueError, match="`x` must end; got a PyDataset"):
        check_ends("`x`", Batches(None))
    check_readable_again("`x`", Batches(None))


def test_a_data_set_that_repeats():
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.range(3)
    check_ends("`x`", data.repeat(2))
    with pytest.raises(ValueError, match=r"`x` must end; .*drop its `\.repeat\(\)`"):
        check_ends("`x`", data.repeat())


@pytest.mark.parametrize("data", [(i for i in range(3)), iter([1]), map(str, [1])])
def test_data_that_are_empty_after_one_pass(data):
    with pytest.raises(ValueError, match=f"got a {type(data).__name__}, which is empty"):
        check_readable_again("`x`", data)
