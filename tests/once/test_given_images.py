"""Arrays as people have them → what a classifier takes."""

import numpy as np
import pytest
from PIL import Image

from keras_dcnn._images.pixels import Reading
from keras_dcnn.recipes._given_images import given_images

READING = Reading(16)
RNG = np.random.default_rng(0)
RGB = RNG.integers(2, 256, (16, 16, 3), "uint8")


def test_what_fits_stays_as_it_is():
    batch = np.stack([RGB, RGB // 2])
    np.testing.assert_array_equal(given_images(batch, READING), batch)
    np.testing.assert_array_equal(given_images(RGB, READING), RGB[None])
    floats = RGB.astype("float32") + 0.25 * (RGB < 255)
    np.testing.assert_array_equal(given_images(floats, READING), floats[None])


@pytest.mark.parametrize("grey", [RGB[..., 0], RGB[..., :1], np.stack([RGB[..., 0]] * 2)])
def test_grey_images_get_three_channels(grey):
    found = given_images(grey, READING)
    expected = np.repeat(RGB[..., :1], 3, -1)
    assert found.shape[1:] == (16, 16, 3)
    np.testing.assert_array_equal(found[-1], expected)


def test_what_is_transparent_has_the_background():
    alpha = np.concatenate([RGB, np.zeros((16, 16, 1), "uint8")], -1)
    alpha[:8, ..., 3] = 255
    found = given_images(alpha, READING._replace(background=(10, 20, 30)))[0]
    np.testing.assert_array_equal(found[:8], RGB[:8])
    np.testing.assert_array_equal(found[8:], np.broadcast_to((10, 20, 30), (8, 16, 3)))


def test_other_sizes_are_cropped_in_the_centre_and_resized_as_files_are():
    wide = RNG.integers(0, 256, (32, 64, 3), "uint8")
    (found,) = given_images([wide], READING)
    square = Image.fromarray(wide[:, 16:48]).resize((16, 16), Image.Resampling.BILINEAR)
    inside = slice(1, -1)  # at the edge Pillow looks beyond the box
    np.testing.assert_allclose(found[inside, inside], np.asarray(square)[inside, inside], atol=1)
    assert given_images([wide, RGB, wide[..., 0]], READING).shape == (3, 16, 16, 3)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (RGB / 255.0, r"number 0 has none above .*0…1: multiply by 255"),
        (np.stack([RGB * 1.0, RGB / 255.0]), "number 1 has none above"),
        (RGB / 127.5 - 1, "0…255; number 0 has -.*undo the scaling"),
        (RGB.astype("int16") - 128, "undo the scaling"),
        (RGB.astype("uint16") * 257, "has 65535: divide images of 16 bits by 257"),
        (np.where(RGB > 250, np.nan, RGB), "number 0 has NaN"),
        (np.full((2, 16, 16, 3), np.inf), "number 0 has NaN or infinity"),
        (np.zeros((2, 16, 16, 5)), "1, 3 or 4 channels"),
        (np.zeros((2, 0, 16, 3)), "1, 3 or 4 channels"),
        (np.zeros(16), "must be images"),
        (np.array(["a.png", "b.png"]), "must be images"),
        (np.zeros((16, 16, 3), bool), "must be images"),
        ([], "at least one image"),
    ],
)
def test_what_is_no_image_of_0_to_255_is_refused_in_words(images, match):
    with pytest.raises(ValueError, match=match):
        given_images(images, READING)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_a_black_image_is_one(dtype):
    assert given_images(np.zeros((16, 16, 3), dtype), READING).max() == 0
