"""photo_digits: deterministic, and its parts share neither digits nor photo regions."""

import numpy as np
import pytest

from keras_dcnn.datasets import photo_digits


@pytest.fixture(scope="module")
def data():
    return photo_digits.load_data()


def test_shapes_and_classes(data):
    for (images, labels), count in zip(data, (3988, 600, 2000), strict=True):
        assert images.shape == (count, 32, 32, 3)
        assert images.dtype == np.uint8
        assert labels.shape == (count,)
        assert np.bincount(labels).min() > 0.07 * count
        assert len(np.bincount(labels)) == 10


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(data):
    again, other = photo_digits.load_data(), photo_digits.load_data(seed=1)
    for one, two, three in zip(data, again, other, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
        assert np.mean(one[0] != three[0]) > 0.5


def test_blend_is_the_absolute_difference():
    background = np.array([10, 200, 130], "uint8").reshape(1, 1, 1, 3)
    mask = np.array([100], "uint8").reshape(1, 1, 1)
    np.testing.assert_array_equal(photo_digits.overlay(background, mask).ravel(), [90, 100, 30])


def test_parts_share_neither_digits_nor_columns_of_a_photograph(monkeypatch):
    # Sources that show where each pixel comes from: on a black photo a digit is its number, one
    # byte at a time; under black digits a photo is its column.
    number = np.arange(1797)
    masks = np.zeros((1797, 32, 32), "uint8")
    columns = np.arange(640)
    found = [np.zeros(count, "int64") for count in (3988, 600, 2000)]
    for scale, ids in ((1, number % 256), (256, number // 256)):
        masks[:] = ids[:, None, None]
        photo = np.zeros((427, 640, 3), "uint8")
        monkeypatch.setattr(photo_digits, "_sources", lambda p=photo: (masks, number % 10, [p]))
        for part, (images, _) in zip(found, photo_digits.load_data(), strict=True):
            part += scale * images[:, 0, 0, 0].astype("int64")
    sets = [set(part) for part in found]
    assert [len(part) for part in sets] == [997, 300, 500]
    assert sum(map(len, sets)) == len(set.union(*sets)) == 1797

    masks[:] = 0
    low = np.broadcast_to((columns % 256)[None, :, None], (427, 640, 1))
    high = np.broadcast_to((columns // 256)[None, :, None], (427, 640, 1))
    photo = np.concatenate([low, high, low * 0], -1).astype("uint8")
    monkeypatch.setattr(photo_digits, "_sources", lambda: (masks, number % 10, [photo]))
    used = [
        set(np.unique(images[..., 0] + 256 * images[..., 1].astype("int64")))
        for images, _ in photo_digits.load_data()
    ]
    assert not used[0] & used[1]
    assert not used[0] & used[2]
    assert not used[1] & used[2]
    assert len(set.union(*used)) > 600


def test_masks_are_the_digits_resized_by_bilinear_interpolation():
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, (masks, _, _) = load_digits().images, photo_digits._sources()
    for i in range(0, 1797, 100):
        image = Image.fromarray((digits[i] * 255 / 16).astype("float32"))
        expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(masks[i], expected, atol=0.51)


def test_color_cast_tints_the_test_images_only(data):
    tinted = photo_digits.load_data(color_cast=0.3)
    for i in range(2):
        np.testing.assert_array_equal(tinted[i][0], data[i][0])
    assert np.mean(tinted[2][0] != data[2][0]) > 0.5
    np.testing.assert_array_equal(tinted[2][1], data[2][1])


def test_tint_multiplies_each_channel_of_each_image_by_a_log_normal_gain():
    images = np.full((4000, 2, 2, 3), 60, "uint8")
    tinted = photo_digits.tint(images, 0.3, np.random.default_rng(0))
    np.testing.assert_array_equal(tinted, np.broadcast_to(tinted[:, :1, :1], tinted.shape))
    gains = np.log(tinted[:, 0, 0] / 60)
    assert gains.std() == pytest.approx(0.3, abs=0.01)  # standard error 0.002, rounding 0.005
    assert abs(gains.mean()) < 0.01
    assert np.abs(np.corrcoef(gains.T)[np.triu_indices(3, 1)]).max() < 0.06


def test_imbalance_factor(data):
    (_, labels), *rest = photo_digits.load_data(imbalance_factor=20)
    counts, full = np.bincount(labels), np.bincount(data[0][1])
    np.testing.assert_allclose(counts / full, 20.0 ** (-np.arange(10) / 9), rtol=0.05)
    for one, two in zip(rest, data[1:], strict=True):
        np.testing.assert_array_equal(one[1], two[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"color_cast": -0.1}, "`color_cast` must be a finite number of at least 0"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
        ({"imbalance_factor": 0.5}, "`imbalance_factor` must be a finite number of at least 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        photo_digits.load_data(**arguments)
