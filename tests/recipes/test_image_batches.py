"""ImageBatches: images from files, batch by batch, read ahead, on every backend."""

import keras
import numpy as np
import pytest
from odd_folder import make_plain

from keras_dcnn._images.batches import ImageBatches, ShuffledImages
from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn._images.listing import list_folder
from keras_dcnn._images.pixels import Reading, read_pixels

pytestmark = pytest.mark.every_backend
READING = Reading(8)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return list_folder(make_plain(tmp_path_factory.mktemp("images"), {"a": 6, "b": 5}))


def batches(images):
    return ImageBatches(images.files, images.labels, READING, 4)


def shuffled(images, seed):
    return ShuffledImages(images.files, images.labels, READING, 4, seed)


def test_batches_are_the_files_in_their_order(images):
    data = batches(images)
    x, y = (
        np.concatenate(parts) for parts in zip(*(data[i] for i in range(len(data))), strict=True)
    )
    np.testing.assert_array_equal(x, [read_pixels(READING, file) for file in images.files])
    np.testing.assert_array_equal(y, images.labels)
    assert [len(data[i][1]) for i in range(len(data))] == [4, 4, 3]


def test_any_batch_can_be_had_at_any_time(images):
    data = batches(images)
    expected = [data[i][0] for i in range(3)]
    for index in (2, 0, 0, 1, -1):
        np.testing.assert_array_equal(data[index][0], expected[index])


class Seen(keras.Model):
    """Notes which images it is trained on, by their sums."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2, "softmax")

    def call(self, x):
        return self.dense(keras.ops.mean(x, (1, 2)) / 255)


def test_each_epoch_of_fit_has_all_images_in_an_order_of_its_own(images):
    orders = []

    class Noted(ShuffledImages):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            orders.append((self.epoch, x.sum((1, 2, 3)).tolist()))
            return x, y

    data = Noted(images.files, images.labels, READING, 4, seed=3)
    model = Seen()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(data, epochs=3, shuffle=False, verbose=0)
    by_epoch = {}
    for epoch, sums in orders:
        by_epoch.setdefault(epoch, []).extend(sums)
    whole = sorted(read_pixels(READING, file).sum() for file in images.files)
    complete = [sums for sums in by_epoch.values() if len(sums) == len(whole)]
    assert len(complete) >= 2
    assert all(sorted(sums) == whole for sums in complete)
    assert complete[0] != complete[1]


def test_an_epoch_can_be_set_and_has_the_same_order_again(images):
    first, second = shuffled(images, 1), shuffled(images, 1)
    second.epoch = first.epoch = 5
    np.testing.assert_array_equal(first[1][0], second[1][0])
    second.epoch = 6
    assert not np.array_equal(first[1][0], second[1][0])


def test_a_file_that_went_away_is_named(images, tmp_path):
    data = ImageBatches([*images.files[:2], tmp_path / "gone.png"], None, READING, 3)
    with pytest.raises(ImageFolderError, match=r"gone\.png can't be read"):
        data[0]
