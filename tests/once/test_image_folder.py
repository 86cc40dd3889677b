"""image_folder: reads, splits per class, and names the file that it can't use."""

import numpy as np
import pytest
from PIL import Image

from keras_dcnn.datasets import image_folder
from keras_dcnn.datasets.image_folder import ImageFolderError


def make_folder(folder, counts, size=(20, 30)):
    """One folder per class; image i of class k is of the colour (40k, 10i, 0)."""
    for k, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (40 * k, 10 * i, 0)).save(folder / name / f"{i}.png")
    return folder


def test_reads_and_splits_each_class(tmp_path):
    folder = make_folder(tmp_path, {"b": 10, "a": 3})
    (folder / "b" / "notes.txt").write_text("not an image")
    (folder / ".hidden").mkdir()
    (folder / "b" / "._0.png").write_text("what macOS leaves")
    *parts, names = image_folder.load_data(folder, image_size=16)
    assert names == ["a", "b"]
    assert [np.bincount(labels).tolist() for _, labels in parts] == [[1, 6], [1, 2], [1, 2]]
    colours = np.concatenate([images[:, 0, 0, :2] for images, _ in parts])
    assert len(np.unique(colours, axis=0)) == 13  # each image in one part
    for images, labels in parts:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (16, 16, 3)
        np.testing.assert_array_equal(images[:, 0, 0, 0] == 0, labels == 1)  # b was made first
    again = image_folder.load_data(folder, image_size=16)
    np.testing.assert_array_equal(again[0][0], parts[0][0])


def test_turns_images_as_the_camera_says_and_takes_other_modes(tmp_path):
    folder = make_folder(tmp_path, {"a": 3, "b": 3})
    pixels = np.zeros((16, 16, 3), "uint8")
    pixels[:, 8:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned: show it 90° clockwise
    for name in ("0.png", "1.png", "2.png"):
        Image.fromarray(pixels).save(folder / "a" / name, exif=exif)
    Image.new("LA", (16, 16), (9, 128)).save(folder / "b" / "0.png")
    *parts, _ = image_folder.load_data(folder, image_size=16)
    turned = next(images[labels == 0][0] for images, labels in parts)
    assert turned[0].max() == 0
    assert turned[-1].min() == 255


def test_sixteen_bit_grey_keeps_its_shades(tmp_path):
    folder = make_folder(tmp_path, {"a": 3, "b": 3})
    ramp = np.tile(np.linspace(0, 65535, 16).astype("uint16"), (16, 1))
    for i in range(3):
        Image.fromarray(ramp).save(folder / "a" / f"{i}.png")
    images, labels = image_folder.load_data(folder, image_size=16)[0]
    shades = images[labels == 0][0][0, :, 0]
    np.testing.assert_allclose(shades, np.linspace(0, 255, 16), atol=1)
    Image.fromarray(ramp.astype("float32")).save(folder / "a" / "x.tiff")
    with pytest.raises(ImageFolderError, match=r"x.tiff can't be read .*32-bit numbers"):
        image_folder.load_data(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f / "none", "none is not a folder"),
        (lambda f: f / "a" / "0.png", "0.png is not a folder"),
        (lambda f: f / "a", "a needs a subfolder for each of two or more classes; it has 0"),
        (lambda f: (f / "a" / "0.png").unlink() or f, "a needs at least 3 images.* it has 2"),
        (lambda f: (f / "b" / "1.png").write_bytes(b"no") and f, "1.png can't be read as an image"),
        (
            lambda f: (f / "b" / "1.png").write_bytes((f / "b" / "1.png").read_bytes()[:60]) and f,
            "1.png can't be read as an image",
        ),
    ],
)
def test_what_it_refuses(tmp_path, spoil, message):
    folder = spoil(make_folder(tmp_path, {"a": 3, "b": 3}))
    with pytest.raises(ImageFolderError, match=message):
        image_folder.load_data(folder)


def test_an_empty_path_is_not_the_folder_one_is_in():
    with pytest.raises(ValueError, match=r"`directory` must be a path.*got ''"):
        image_folder.load_data("")
