"""MinorityCrops: what an epoch holds, where crops lie, and sentences for what can't be cropped."""

import tracemalloc

import keras
import numpy as np
import pytest

from keras_dcnn.imbalance import MinorityCrops

layers = keras.layers
LABELS = np.repeat([0, 1, 2], [9, 2, 4])


def told_apart(count=15, size=8):
    """Images whose number is their value divided by 1000, and whose places differ."""
    ramp = np.arange(size * size, dtype="float32").reshape(1, size, size, 1)
    return ramp + 1000 * np.arange(count, dtype="float32").reshape(-1, 1, 1, 1)


def crops_of(x, y, **kwargs):
    return MinorityCrops(x, y, **{"verbose": 0, "batch_size": 4} | kwargs)


def epoch_of(data):
    batches = [data[i] for i in range(len(data))]
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


def is_whole(images, x):
    numbers = (images.min((1, 2, 3)) // 1000).astype(int)
    return numbers, (images == x[numbers]).all((1, 2, 3))


def test_each_image_comes_whole_once_and_rare_ones_also_as_crops():
    x = told_apart()
    data = crops_of(x, LABELS)
    for _ in range(2):
        images, labels = epoch_of(data)
        numbers, whole = is_whole(images, x)
        np.testing.assert_array_equal(labels, LABELS[numbers])
        assert sorted(numbers[whole]) == list(range(15))
        assert np.bincount(labels[~whole]).tolist() == [0, 7, 5]
        assert np.bincount(labels).tolist() == [9, 9, 9]
        data.epoch += 1


def test_crops_have_the_sides_that_are_asked_for_and_no_value_from_elsewhere():
    x = told_apart(size=16)
    images, _ = epoch_of(crops_of(x, LABELS, scale=(0.5, 0.75)))
    numbers, whole = is_whole(images, x)
    across = np.ptp(images[~whole][:, 0, :, 0], axis=1)  # neighbours differ by 1
    assert ((across >= 7) & (across <= 11)).all()
    assert (images.max((1, 2, 3)) <= x[numbers].max((1, 2, 3))).all()


def test_epochs_are_fixed_by_the_seed_whatever_the_order_of_batches():
    x = told_apart().astype("uint8")
    one, two = crops_of(x, LABELS, seed=3), crops_of(x, LABELS, seed=3)
    backwards = [two[i] for i in reversed(range(len(two)))][::-1]
    first = epoch_of(one)[0]
    assert first.dtype == "uint8"
    np.testing.assert_array_equal(first, np.concatenate([images for images, _ in backwards]))
    assert not np.array_equal(first, epoch_of(crops_of(x, LABELS, seed=4))[0])
    one.epoch = 1
    assert not np.array_equal(first, epoch_of(one)[0])


def test_channels_may_come_first():
    x = np.random.default_rng(0).random((15, 8, 6, 3), "float32")
    last = epoch_of(crops_of(x, LABELS))[0]
    first = epoch_of(crops_of(np.moveaxis(x, -1, 1), LABELS, data_format="channels_first"))[0]
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), last, rtol=1e-5)


def spotted(count=8):
    """Images of 16×16 with a spot of 4×4 in the first channel, and another in the second."""
    x, random = np.zeros((count, 16, 16, 2), "float32"), np.random.default_rng(0)
    for image in x:
        for channel, place in enumerate(random.permutation(16)[:2]):
            row, column = 4 * (place // 4), 4 * (place % 4)
            image[row : row + 4, column : column + 4, channel] = 1.0
    return x


def spot_finder(weights, size=16):
    """A network whose maps have a place for each 4×4, and channels as the images."""
    kernel = np.zeros((4, 4, 2, 2))
    kernel[..., 0, 0] = kernel[..., 1, 1] = 1 / 16
    model = keras.Sequential(
        [
            keras.Input((size, size, 2)),
            layers.Conv2D(2, 4, strides=4, use_bias=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(weights[0]), "softmax", use_bias=False),
        ]
    )
    model.set_weights([kernel, np.array(weights)])
    return model


def finder(size=16):
    return spot_finder([[-1.0, 1.0], [1.0, -1.0]], size)


def smaller():
    return finder(12)


def flat():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


def of_rare(x, guide, **kwargs):
    y = np.array([0] * 7 + [1])
    images, labels = epoch_of(crops_of(x, y, scale=(0.25, 0.25), guide=guide, **kwargs))
    whole = (images[:, None] == x).all((2, 3, 4)).any(1)
    assert (labels[~whole] == 1).all()
    return images[~whole].mean((1, 2))


def test_guided_crops_lie_on_what_speaks_for_the_images_own_class():
    """At random a crop of 4×4 meets the spot of 4×4 in at most 49 of 169 places, most in part."""
    x = spotted()
    first, second = of_rare(x, finder()).T
    assert len(first) == 6
    assert (first >= 0.25).all()  # a centre in the spot has a quarter of it at the least
    assert first.mean() > 0.4
    assert second.mean() < 0.2
    first, second = of_rare(x, spot_finder([[1.0, -1.0], [-1.0, 1.0]])).T
    assert (second >= 0.25).all()


def test_a_map_that_is_nowhere_positive_gives_crops_at_random():
    x = spotted()
    guided = of_rare(x, spot_finder([[1.0, -1.0], [1.0, -1.0]]))
    np.testing.assert_array_equal(guided, of_rare(x, None))


def test_classes_that_are_cropped_late_have_a_guide_too():
    x, y = spotted(), np.array([0] * 7 + [1])
    data = crops_of(x, y, scale=(0.25, 0.25), guide=finder(), mode="progressive", epochs=3)
    data.epoch = 2
    images, labels = epoch_of(data)
    assert np.bincount(labels).tolist() == [4, 4]
    crops = images[labels == 1].mean((1, 2))[:, 0]
    assert sorted(crops)[0] == 1 / 16  # the whole image
    assert sorted(crops)[1] >= 0.25


def test_files_are_cropped_as_arrays_are():
    x, guide = spotted(), finder()
    files = [f"{number}.npy" for number in range(8)]
    from_files = crops_of(
        files, [0] * 7 + [1], guide=guide, load=lambda path: x[int(path.stem)], per_batch="balanced"
    )
    arrays = crops_of(x, [0] * 7 + [1], guide=guide, per_batch="balanced")
    np.testing.assert_array_equal(*(epoch_of(data)[0] for data in (from_files, arrays)))


def test_of_a_memory_map_only_batches_are_read(tmp_path):
    x = np.memmap(tmp_path / "x", "uint8", "w+", shape=(40_000, 16, 16, 2))  # 20 MB
    y = np.arange(len(x)) >= len(x) - 8
    guide = finder()
    tracemalloc.start()
    data = crops_of(x, y, guide=guide, mode={1: 100})
    for i in range(3):
        images, _ = data[i]
        assert not isinstance(images, np.memmap)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_it_says_that_there_is_nothing_to_crop():
    with pytest.warns(UserWarning, match="MinorityCrops with no class .* changes nothing"):
        crops_of(told_apart(), LABELS, mode="under")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": (0.0, 0.5)}, "`scale` must be a finite number above 0"),
        ({"scale": (0.5, 1.5)}, "`scale` must lie between 0 and 1"),
        ({"scale": 0.5}, "`scale` must be a pair"),
        ({"data_format": "first"}, "`data_format` must be one of"),
        ({"guide": [1, 2]}, "`guide` must be a Keras model; got list"),
        ({"guide": flat}, "`guide` must end in"),
        ({"guide": smaller}, r"takes, \(12, 12, 2\); got \(16, 16, 2\)"),
        ({"guide": finder, "y": np.arange(8) % 3}, r"from 0 to 1.*got 2"),
        ({"guide": finder, "y": np.eye(2)[[0] * 7 + [1]] + [0, 1]}, "one-hot rows"),
        ({"guide": finder, "y": [[0, 1]] * 7 + [[1, 1]]}, "`guide` must be None"),
        ({"y": [0.0] * 7 + [np.nan]}, "got nan"),
        ({"y": [0] * 8}, "at least two classes"),
        ({"y": [0] * 7 + [2]}, "class 1 has none"),
        ({"x": np.zeros((8, 16, 16))}, r"`x` must be images.*x\[\.\.\., None\]"),
        ({"x": [spotted(), spotted()]}, "`x` must be images"),
    ],
)
def test_what_cannot_be_cropped_is_refused(given, message):
    given = {"x": spotted(), "y": [0] * 7 + [1]} | given
    if given.get("guide") in (finder, smaller, flat):
        given["guide"] = given["guide"]()
    error = TypeError if "a Keras model" in message else ValueError
    with pytest.raises(error, match=message):
        crops_of(**given)
