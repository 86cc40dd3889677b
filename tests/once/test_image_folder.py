"""image_folder: reads, splits per class, and names the file that it can't use."""

import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_dcnn._images.formats import pillow
from keras_dcnn._images.listing import list_folder
from keras_dcnn._images.pixels import Reading, read_image
from keras_dcnn._images.reading import read_all
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
    for i in range(3):
        pixels[:, 8:] = 255 - i
        Image.fromarray(pixels).save(folder / "a" / f"{i}.png", exif=exif)
    Image.new("LA", (16, 16), (9, 128)).save(folder / "b" / "0.png")
    *parts, _ = image_folder.load_data(folder, image_size=16)
    turned = next(images[labels == 0][0] for images, labels in parts)
    assert turned[0].max() == 0
    assert turned[-1].min() >= 253


def test_sixteen_bit_grey_keeps_its_shades(tmp_path):
    folder = make_folder(tmp_path, {"a": 3, "b": 3})
    ramp = np.tile(np.linspace(0, 65535, 16).astype("uint16"), (16, 1))
    for i in range(3):
        ramp[8 + i] = 0
        Image.fromarray(ramp).save(folder / "a" / f"{i}.png")
    images, labels = image_folder.load_data(folder, image_size=16)[0]
    shades = images[labels == 0][0][0, :, 0]
    np.testing.assert_allclose(shades, np.linspace(0, 255, 16), atol=1)
    Image.fromarray(ramp.astype("float32")).save(folder / "a" / "x.tiff")
    (folder / "b" / "broken.png").write_bytes(b"no")
    with pytest.raises(ImageFolderError, match=r"(?s)x.tiff .*32-bit.*broken.png can"):
        image_folder.load_data(folder)
    read = read_all(list_folder(folder).files, Reading(16), skip_unreadable=True)
    assert [path.name for path in read.unreadable] == ["x.tiff", "broken.png"]
    assert read.pixels.shape == (6, 16, 16, 3)
    assert read.readable.tolist() == [0, 1, 2, 4, 5, 6]


def test_twelve_bits_in_sixteen_are_not_black(tmp_path):
    ramp = np.tile(np.linspace(0, 4095, 16).astype("uint16"), (16, 1))
    files = [tmp_path / f"{i}.png" for i in range(2)]
    for file, levels in zip(files, (ramp, ramp // 2), strict=True):  # all by the brightest
        Image.fromarray(levels).save(file)
    read = read_all(files, Reading(16))
    assert read.bits == 12
    expected = np.linspace(0, 255, 16)
    for pixels, factor in zip(read.pixels, (1, 0.5), strict=True):
        np.testing.assert_allclose(pixels[0, :, 1], factor * expected, atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_hidden_colours_are_not_seen(tmp_path, mode):
    image = Image.new("RGBA", (16, 16), (0, 255, 0, 0))
    image.paste((9, 9, 9, 255), (0, 0, 8, 16))
    image.convert(mode).save(tmp_path / "x.png")
    pixels = read_image(tmp_path / "x.png", Reading(16, background=(255, 0, 255))).pixels
    np.testing.assert_array_equal(pixels[:, :7], 9)
    np.testing.assert_array_equal(pixels[:, 9:], np.broadcast_to([255, 0, 255], (16, 7, 3)))


@pytest.mark.parametrize("size", [(64, 48), (500, 700)])
def test_pixels_are_those_of_a_centre_crop(tmp_path, size):
    x, y = np.meshgrid(*(np.linspace(0, 1, side) for side in size))
    colours = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(9 * x * y)], -1).astype("uint8")
    image = Image.fromarray(colours)
    expected = np.asarray(ImageOps.fit(image, (32, 32), Image.Resampling.BILINEAR), "int")
    for name in ("x.png", "x.jpg"):  # JPEG is decoded at a fraction of its size
        image.save(tmp_path / name, quality=95)
        picture = read_image(tmp_path / name, Reading(32))
        assert (picture.width, picture.height) == size
        assert abs(picture.pixels - expected).mean() <= 1.5


def test_the_limit_of_pixels_is_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(pillow(), "MAX_IMAGE_PIXELS", 100)  # where Pillow would warn
    Image.new("RGB", (30, 20)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", Reading(8)).pixels.shape == (8, 8, 3)
    with pytest.raises(ImageFolderError, match="30 × 20 are 600 pixels, more than max_pixels=599"):
        read_image(tmp_path / "x.png", Reading(8, max_pixels=599))
    assert pillow().MAX_IMAGE_PIXELS == 100


def test_images_at_any_depth_and_a_reason_for_each_other_file(tmp_path):
    folder = make_folder(tmp_path / "zip" / "photos", {"a": 3, "b": 1})
    (folder / "b" / "2024" / "May").mkdir(parents=True)
    Image.new("RGB", (9, 9), 7).save(folder / "b" / "2024" / "May" / "1.PNG")
    (folder / "b" / "again").symlink_to(folder / "b", target_is_directory=True)  # a circle
    os.symlink(tmp_path / "gone.png", folder / "a" / "link.png")
    for name in ("a/x.jxl", "a/x.nef", "a/notes.txt", "loose.png"):
        (folder / name).write_bytes(b"x")
    images = list_folder(tmp_path / "zip")
    assert images.class_names == ["a", "b"]
    assert images.labels.tolist() == [0, 0, 0, 1, 1]
    assert {path.name: why for path, why in images.passed_over.items()} == {
        "link.png": "a link to a file that isn't there",
        "x.jxl": ".jxl needs a plug-in: pip install pillow-jxl-plugin",
        "x.nef": ".nef is a camera's raw file: make a JPEG or PNG of it",
        "notes.txt": ".txt is no image",
        "loose.png": "in no class's folder",
    }
    for file in (folder / "b").rglob("*.[pP][nN][gG]"):
        file.rename(file.with_suffix(".jxl"))
    with pytest.raises(ImageFolderError, match=r"none of 'b'; .*\.jxl needs a plug-in"):
        list_folder(folder)


def test_folders_of_train_and_test_are_parts(tmp_path):
    make_folder(tmp_path / "train", {"a": 8, "b": 8})
    make_folder(tmp_path / "Test", {"a": 2, "b": 1})  # copies of three that are in train
    images = list_folder(tmp_path)
    assert images.class_names == ["a", "b"]
    assert np.unique(images.parts, return_counts=True)[1].tolist() == [3, 16]
    *parts, _ = image_folder.load_data(tmp_path, image_size=8)
    assert [len(y) for _, y in parts] == [11, 2, 3]
    colours = [{tuple(image[0, 0]) for image in x} for x, _ in parts]
    assert not colours[0] & colours[1] | colours[0] & colours[2] | colours[1] & colours[2]
    (tmp_path / "Test" / "c").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "Test" / "c" / "0.png")
    with pytest.raises(ImageFolderError, match="training images of each class; it has none of 'c'"):
        list_folder(tmp_path)


def test_copies_are_on_one_side(tmp_path):
    folder = make_folder(tmp_path, {"a": 10, "b": 10})
    for i in range(10):
        Image.open(folder / "a" / f"{i}.png").save(folder / "a" / f"copy{i}.bmp")
    Image.open(folder / "a" / "0.png").save(folder / "b" / "0.png")  # of two classes
    *parts, _ = image_folder.load_data(folder, image_size=8)
    assert [len(y) for _, y in parts] == [18, 4, 4]
    colours = [{tuple(image[0, 0]) for image in x} for x, _ in parts]
    assert not colours[0] & colours[1] | colours[0] & colours[2] | colours[1] & colours[2]
    assert (0, 0, 0) in colours[0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f / "none", "none is not a folder"),
        (lambda f: f / "a" / "0.png", "0.png is not a folder"),
        (lambda f: f / "a", "a needs a subfolder for each of two or more classes; it has 0"),
        (
            lambda f: (f / "a" / "0.png").unlink() or f,
            "a needs at least 3 images, .*different ones; it has 2",
        ),
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
