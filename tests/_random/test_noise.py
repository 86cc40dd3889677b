"""_noise: the same numbers on every backend; tests/once/test_noise_quality.py asks how good."""

import keras
import numpy as np
import numpy_noise
import pytest

from keras_dcnn._random import noise as _noise

pytestmark = pytest.mark.every_backend
SHAPE = (3, 100_000)  # more than one block on PyTorch


def tensor(x):
    return keras.ops.convert_to_tensor(np.asarray(x, "uint32").astype("int32"))


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize(
    ("stream", "count"), [((7, 2**32 - 8), 3), ((0, 0), 0), ((2**32 - 1, 12345), 2**31 - 1)]
)
def test_equals_a_reference_in_unsigned_numpy(stream, count):
    key = _noise.step_key([tensor(word) for word in stream], tensor(count))
    bits = numpy(_noise.bits(key, SHAPE)).astype("uint32")
    np.testing.assert_array_equal(bits, numpy_noise.bits(stream, count, SHAPE))
    expected = numpy_noise.uniform(stream, count, SHAPE)
    np.testing.assert_array_equal(numpy(_noise.uniform(key, SHAPE)), expected)
    np.testing.assert_array_equal(numpy(_noise.uniform(key, (300_000,))), expected.ravel())
    assert numpy(_noise.uniform(key, ())) == expected[0, 0]
    assert numpy(_noise.uniform(key, (0, 5))).shape == (0, 5)
    between = numpy(_noise.uniform(key, SHAPE, low=-3.0, high=5.0))
    np.testing.assert_allclose(between, 8 * expected - 3, atol=1e-6)
    expected = numpy_noise.normal(stream, count, SHAPE)
    np.testing.assert_allclose(numpy(_noise.normal(key, SHAPE)), expected, atol=5e-6)
