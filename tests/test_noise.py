"""_noise: the same numbers on every backend, uniform, normal, and new at every step."""

import keras
import numpy as np
import pytest

from keras_dcnn import _noise


def numpy_mix(x):
    x = np.atleast_1d(x).astype("uint32")
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def key(stream, count):
    words = [keras.ops.convert_to_tensor(n, "int32") for n in (stream, ~stream)]
    return _noise.step_key(words, keras.ops.convert_to_tensor(count, "int32"))


def draws(function, stream, count, shape):
    return keras.ops.convert_to_numpy(function(key(stream, count), shape))


def test_equals_a_reference_in_unsigned_numpy():
    x = np.array([0, 1, 7, 2**31 - 1, -1, -(2**31)], "int32")
    mixed = keras.ops.convert_to_numpy(_noise.mix(keras.ops.convert_to_tensor(x)))
    np.testing.assert_array_equal(mixed.astype("uint32"), numpy_mix(x))
    first = numpy_mix(numpy_mix(np.array(7)) ^ np.uint32(3))
    second = numpy_mix(numpy_mix(np.array(~7)) + np.uint32(3 * 0x9E3779B9 % 2**32))
    bits = numpy_mix(numpy_mix(np.arange(6, dtype="uint32") + first) ^ second)
    expected = (bits >> np.uint32(8)) * np.float32(2**-24)
    np.testing.assert_array_equal(draws(_noise.uniform, 7, 3, (2, 3)), expected.reshape(2, 3))


def test_mix_is_a_bijection_that_flips_half_of_the_bits():
    x = np.random.default_rng(0).integers(-(2**31), 2**31, 20_000).astype("int32")
    mixed = numpy_mix(x)
    for bit in range(32):
        flipped = mixed ^ numpy_mix(x ^ np.int32(np.uint32(1 << bit).astype("int32")))
        shares = [np.mean(flipped >> np.uint32(i) & 1) for i in range(32)]
        np.testing.assert_allclose(shares, 0.5, atol=0.03)  # standard error 0.0035
    assert len(np.unique(numpy_mix(np.arange(2**20)))) == 2**20


@pytest.mark.parametrize(("stream", "count"), [(0, 0), (0, 1), (5, 0), (-7, 123456)])
def test_moments(stream, count):
    n = 200_000
    u = draws(_noise.uniform, stream, count, (n,))
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * n))
    assert u.var() == pytest.approx(1 / 12, rel=0.01)
    counts = np.bincount((u * 100).astype(int), minlength=100)
    assert ((counts - n / 100) ** 2 / (n / 100)).sum() < 160  # χ² of 99: 1 in 10⁴
    z = draws(_noise.normal, stream, count, (n,))
    assert z.mean() == pytest.approx(0, abs=5 / np.sqrt(n))
    assert z.var() == pytest.approx(1, rel=0.02)
    assert (z**3).mean() == pytest.approx(0, abs=0.05)
    assert (z**4).mean() == pytest.approx(3, rel=0.05)


def test_steps_and_streams_are_independent():
    rows = [draws(_noise.uniform, s, c, (2000,)) for s in (0, 1, 2) for c in (0, 1, 2, 256)]
    correlations = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(correlations).max() < 0.11  # standard error 0.022
    lagged = np.corrcoef([rows[0][:-3], rows[0][1:-2], rows[0][3:]])
    assert np.abs(lagged[np.triu_indices(3, 1)]).max() < 0.11


def test_every_step_of_a_stream_has_a_key_of_its_own():
    counts = keras.ops.arange(200_000, dtype="int32")
    words = [keras.ops.convert_to_tensor(n, "int32") for n in (9, 12)]
    for part in _noise.step_key(words, counts):
        assert len(np.unique(keras.ops.convert_to_numpy(part))) == 200_000


def test_keys_have_64_bits():
    """Among 2²⁰ keys of 32 bits of many streams about 128 would be there twice."""
    streams = [np.arange(1024, dtype="int32"), np.arange(1024, dtype="int32")[::-1].copy()]
    words = [keras.ops.convert_to_tensor(np.repeat(s, 1024)) for s in streams]
    counts = keras.ops.convert_to_tensor(np.tile(np.arange(1024, dtype="int32"), 1024))
    parts = _noise.step_key(words, counts)
    first, second = (keras.ops.convert_to_numpy(p).astype("uint32").astype("uint64") for p in parts)
    assert len(np.unique(first << np.uint64(32) | second)) == 2**20
