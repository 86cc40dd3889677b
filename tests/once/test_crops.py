"""Windows of crops, by chance and by a map, and their resizing; NumPy only."""

import numpy as np
import pytest
from PIL import Image

from keras_dcnn.imbalance._crops import cumulative_places, draw_window, resize


@pytest.mark.parametrize("size", [(7, 9), (12, 9), (31, 40)])
def test_resizing_is_pillows(size):
    """In floats; uint8 within the half that Pillow's fixed point rounds otherwise."""
    random, (height, width) = np.random.default_rng(0), size
    image = random.random((7, 9), dtype="float32") * 255
    expected = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resize(image[..., None], *size)[..., 0], expected, rtol=1e-5)
    first = resize(image[None], *size, axes=(1, 2))[0]
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    whole = resize(image.astype("uint8")[..., None], *size)
    assert whole.dtype == "uint8"
    assert np.abs(whole[..., 0] - resize(np.float32(image.astype("uint8")), *size)).max() <= 0.5


def windows(count, *args, **kwargs):
    random = np.random.default_rng(0)
    return [draw_window(random, *args, **kwargs) for _ in range(count)]


def test_windows_lie_in_the_image_and_everywhere_alike():
    found = windows(2000, 20, 10, (0.5, 0.9))
    sides = np.array([[rows.stop - rows.start, place.stop - place.start] for rows, place in found])
    assert sides.min(0).tolist() == [10, 5]
    assert sides.max(0).tolist() == [18, 9]
    assert np.abs(sides[:, 0] / 2 - sides[:, 1]).max() <= 1  # the image's proportions, in pixels
    assert all(a.start >= 0 and a.stop <= 20 and b.start >= 0 and b.stop <= 10 for a, b in found)
    starts = [rows.start for rows, _ in windows(4000, 20, 10, (0.5, 0.5))]
    counts = np.bincount(starts, minlength=11)
    assert len(counts) == 11
    assert np.abs(counts - 4000 / 11).max() < 5 * np.sqrt(4000 / 11)


def test_centres_are_drawn_in_proportion_to_the_map_where_it_is_positive():
    maps = np.zeros((1, 4, 4), "float32")
    maps[0, 1, 2], maps[0, 2, 1], maps[0, 0, 0] = 3.0, 1.0, -5.0
    found = windows(4000, 40, 80, (0.25, 0.25), places=cumulative_places(maps)[0])
    rows, places = (np.array([(s[i].start + s[i].stop) / 2 for s in found]) for i in (0, 1))
    upper = (rows >= 10) & (rows <= 20) & (places >= 40) & (places <= 60)
    lower = (rows >= 20) & (rows <= 30) & (places >= 20) & (places <= 40)
    assert (upper | lower).all()
    assert upper.mean() == pytest.approx(0.75, abs=0.03)
    assert rows[upper].std() == pytest.approx(10 / np.sqrt(12), rel=0.1)  # uniform in its place


def test_a_crop_at_the_edge_is_moved_into_the_image():
    maps = np.zeros((1, 4, 4), "float32")
    maps[0, 0, 3] = 1.0
    for rows, places in windows(50, 16, 16, (0.5, 0.5), places=cumulative_places(maps)[0]):
        assert (rows, places) == (slice(0, 8), slice(8, 16))


def test_a_map_that_is_nowhere_positive_leaves_it_to_chance():
    places = cumulative_places(-np.ones((1, 2, 2), "float32"))[0]
    assert windows(20, 16, 16, (0.5, 0.9), places=places) == windows(20, 16, 16, (0.5, 0.9))
