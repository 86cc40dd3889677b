"""_moments: equals NumPy's mean and covariance, merges exactly, reads every kind of data."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dcnn._moments import ChannelMoments, image_batches


def moments_of(parts):
    moments = ChannelMoments(3)
    for part in parts:
        moments.update(part)
    return moments


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 50), max_size=5), st.sampled_from("uf"))
def test_equals_numpy_in_any_split(seed, cuts, kind):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (51, 3)).astype("uint8" if kind == "u" else "float32")
    moments = moments_of(np.split(rows, sorted(cuts)))
    np.testing.assert_allclose(moments.mean(), rows.astype("float64").mean(0), rtol=1e-12)
    expected = np.cov(rows.astype("float64").T, bias=True)
    np.testing.assert_allclose(moments.covariance(), expected, rtol=1e-9, atol=1e-9)
    assert moments.count == 51


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.permutations(range(4)))
def test_uint8_gives_the_same_bits_in_any_order(seed, order):
    rows = np.random.default_rng(seed).integers(0, 256, (40, 3), dtype="uint8")
    parts = [ChannelMoments(3) for _ in range(4)]
    for part, share in zip(parts, np.split(rows, [3, 4, 20]), strict=True):
        part.update(share)
    merged = ChannelMoments(3)
    for i in order:
        merged.merge(parts[i])
    whole = moments_of([rows])
    np.testing.assert_array_equal(merged.mean(), whole.mean())
    np.testing.assert_array_equal(merged.covariance(), whole.covariance())


def test_float_moments_keep_their_digits_far_from_zero():
    rows = 1e6 + np.random.default_rng(0).normal(size=(1000, 3))
    expected = np.cov(rows.T, bias=True)
    np.testing.assert_allclose(
        moments_of(np.split(rows, 10)).covariance(), expected, rtol=1e-6, atol=1e-8
    )


def test_integers_and_floats_do_not_mix():
    with pytest.raises(ValueError, match="must be of 8-bit integers, or none"):
        moments_of([np.zeros((2, 3), "uint8"), np.zeros((2, 3), "float32")])


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return self.x[2 * i : 2 * i + 2], np.zeros(2)


def sources(x):
    """The same six images in each form that `adapt` takes."""
    yield "array", x
    yield "generator", (x[i : i + 4] for i in (0, 4))
    yield "pairs", [(x[:5], np.zeros(5)), (x[5:], np.zeros(1))]
    yield "dicts", [{"images": x, "labels": np.zeros(6)}]
    yield "single images", list(x)
    yield "PyDataset", Batches(x)
    try:
        import tensorflow as tf

        yield "tf.data", tf.data.Dataset.from_tensor_slices((x, np.zeros(6))).batch(4)
    except ImportError:
        pass
    try:
        import torch

        loader = torch.utils.data.DataLoader(torch.from_numpy(x), batch_size=4)
        yield "DataLoader", loader
    except ImportError:
        pass


def test_every_kind_of_data_gives_the_same_images(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype="uint8")
    np.save(tmp_path / "x.npy", x)
    for name, data in [*sources(x), ("memory map", np.load(tmp_path / "x.npy", mmap_mode="r"))]:
        images = [part.reshape(-1, 4, 5, 3) for part in image_batches(data, batch_size=4)]
        np.testing.assert_array_equal(np.concatenate(images), x, err_msg=name)


def test_bad_data():
    class Endless(Batches):
        @property
        def num_batches(self):
            return None

    with pytest.raises(ValueError, match="`num_batches` is None"):
        next(image_batches(Endless(np.zeros(1))))
    with pytest.raises(ValueError, match="must hold 'images'"):
        next(image_batches([{"image": 1}]))
    with pytest.raises(TypeError, match="got int"):
        next(image_batches(3))
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(ValueError, match="infinite dataset"):
        next(image_batches(tf.data.Dataset.from_tensors(np.zeros((1, 1, 3))).repeat()))
