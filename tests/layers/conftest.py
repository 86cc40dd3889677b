"""The geometric layers, one at a time, for the tests of entries that move with the images."""

import pytest

from keras_dcnn.layers import RandomAffine, RandomPaddedCrop


@pytest.fixture(params=[RandomAffine, lambda **more: RandomPaddedCrop(20, 24, 3, True, **more)])
def make(request):
    return request.param
