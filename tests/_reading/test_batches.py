"""_data: the same images from every kind of data."""

import keras
import numpy as np
import pytest

from keras_dcnn._reading.batches import (
    first_batch,
    image_batches,
    input_batches,
    larger_batches,
    num_batches,
)


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


def test_number_of_batches_is_what_is_yielded(tmp_path):
    x = np.zeros((6, 4, 5, 3), "uint8")
    for name, data in [*sources(x), ("one image", x[0])]:
        known = None if name == "generator" else len(list(image_batches(data, batch_size=4)))
        assert num_batches(data, batch_size=4) == known, name


def test_larger_batches_join_what_fits():
    x = np.arange(7 * 12, dtype="uint8").reshape(7, 2, 2, 3)
    joined = list(larger_batches([x[0], x[1:3], x[3:4], x[4:]], 3))
    assert [len(part) for part in joined] == [3, 4]
    np.testing.assert_array_equal(np.concatenate(joined), x)
    apart = larger_batches([x[:1], x[:1].astype("float32"), np.zeros((1, 4, 2, 3), "float32")], 3)
    assert [part.shape[1] for part in apart] == [2, 2, 4]


def test_pages_of_a_memory_map_are_given_back_and_read_again(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (9, 40, 50, 3), dtype="uint8")
    np.save(tmp_path / "x.npy", x)
    for mode in ("r", "r+", "c"):
        data = np.load(tmp_path / "x.npy", mmap_mode=mode)
        if mode == "c":
            data[0] = 7  # in memory only
        for _ in range(2):
            np.testing.assert_array_equal(np.concatenate(list(image_batches(data, 4))), data)
        assert (data[0] == (7 if mode == "c" else x[0])).all()


def weighted(x, y, w):
    """The same weighted images in each form that has weights."""
    yield "arrays", (x, y, w)
    yield "dict", ({"images": x}, y, w)
    yield "list of weights", (x, y, w.tolist())
    yield "batches", [(x[:4], y[:4], w[:4]), (x[4:], y[4:], w[4:])]
    yield "lists", [[x[:4], y[:4], w[:4]], [x[4:], y[4:], w[4:]]]
    yield "single images", list(zip(x, y, w, strict=True))
    yield "for each place", (x, y, np.stack([w, w], 1))
    try:
        import tensorflow as tf

        yield "tf.data", tf.data.Dataset.from_tensor_slices((x, y, w)).batch(4)
    except ImportError:
        pass


def test_samples_of_weight_zero_are_left_out():
    x = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), dtype="uint8")
    y, w = np.arange(9), np.array([0, 0, 0, 0, 1, 0, 0.5, 2, 0], "float32")  # a batch without any
    for name, data in weighted(x, y, w):
        images = [part.reshape(-1, 4, 5, 3) for part in image_batches(data, batch_size=4)]
        np.testing.assert_array_equal(np.concatenate(images), x[w > 0], err_msg=name)
    for third in (np.array(["a"] * 9), {"boxes": y}, None):  # what is no weights
        np.testing.assert_array_equal(*image_batches((x, y, third)), x)
    np.testing.assert_array_equal(first_batch((x, y, w), 2), x[[4, 6]])
    np.testing.assert_array_equal(first_batch([(x, y, w)], 2), x[w > 0])
    for read in (image_batches, input_batches):
        assert list(read((x, y, 0 * w))) == []
        with pytest.raises(ValueError, match="each sample must have a weight; got 3 for 9"):
            list(read((x, y, w[:3])))
    with pytest.raises(ValueError, match="at least one sample that counts"):
        first_batch((x, y, 0 * w), 2)
    with pytest.raises(TypeError, match="sample weights must be real numbers"):
        first_batch((x, y, np.array(["a"] * 9)), 2)


def test_bfloat16_of_pytorch_is_read():
    torch = pytest.importorskip("torch")
    x = torch.arange(24, dtype=torch.bfloat16).reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(*image_batches(x), np.arange(24.0).reshape(2, 2, 2, 3))
