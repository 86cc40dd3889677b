"""An image file → its pixels, as a network takes them: upright, square, RGB in 0…255."""

import contextlib
import math
import threading
from typing import Any, NamedTuple

import numpy as np

from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn._images.formats import pillow

MAX_PIXELS = 178_956_970  # where Pillow stops: half a gigabyte of RGB
_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")


class Reading(NamedTuple):
    """How pixels are made of a file.

    `background` is the colour behind what is transparent, `bits` how many those of 16-bit grey
    images really have.
    """

    size: int
    background: tuple = (255, 255, 255)
    bits: int = 16
    max_pixels: int = MAX_PIXELS


class Picture(NamedTuple):
    """Pixels, uint8 of shape (size, size, 3), the file's width and height, and the highest grey
    level of a 16-bit one, else None."""

    pixels: Any
    width: int
    height: int
    highest: int | None


def read_image(path, reading):
    """The `Picture` of a file: turned as the camera says, cropped to a square, resized.

    Raises ImageFolderError with the file's name and the reason.
    """
    image = pillow()
    with _own_limit(image):
        try:
            with image.open(path) as opened:
                _check_size(opened, reading)
                return _picture(image, opened, reading)
        except (
            OSError,
            SyntaxError,
            ValueError,
            MemoryError,
            image.DecompressionBombError,
        ) as error:
            raise ImageFolderError(
                f"{path} can't be read as an image ({_why(error, path)})."
            ) from error


def _why(error, path):
    """The reason without the path, which is said before."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if path.is_file() and not path.stat().st_size:
        return "the file is empty"
    if "cannot identify image file" in str(error):
        return "its bytes are of no format that Pillow knows"
    return str(error) or type(error).__name__


def read_pixels(reading, path):
    """The pixels of a file alone."""
    return read_image(path, reading).pixels


def _check_size(opened, reading):
    pixels = math.prod(opened.size)
    if pixels > reading.max_pixels:
        raise ValueError(
            f"{opened.width} × {opened.height} are {pixels:,} pixels, more than "
            f"max_pixels={reading.max_pixels:,}: raise that to read it"
        )


def _picture(image, opened, reading):
    width, height = opened.size
    scale = reading.size / min(width, height)
    # JPEG is decoded at a half, a quarter or an eighth where that is enough.
    opened.draft(None, (math.ceil(width * scale), math.ceil(height * scale)))
    pillow("ImageOps").exif_transpose(opened, in_place=True)
    upright, highest = opened, None
    if upright.mode in ("I", "F"):
        raise ValueError("its pixels are 32-bit numbers of unknown range, not colours")
    if upright.mode.startswith("I;16"):
        levels = np.asarray(upright).astype("uint32")
        highest, most = int(levels.max()), 2**reading.bits - 1
        levels = (np.minimum(levels, most) * 255 + most // 2) // most
        upright = image.fromarray(levels.astype("uint8"))
    square = _square(image, _on_background(image, upright, reading.background), reading.size)
    return Picture(square, width, height, highest)


def square_pixels(pixels, reading):
    """The same of pixels, uint8 of shape (height, width, 1, 3 or 4)."""
    image = pillow()
    picture = image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return _square(image, _on_background(image, picture, reading.background), reading.size)


def _square(image, rgb, size):
    """The largest square in the middle, resized."""
    across, down = rgb.size
    side = min(across, down)
    left, top = (across - side) / 2, (down - side) / 2
    square = rgb.resize(
        (size, size),
        image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
        reducing_gap=2.0,
    )
    return np.asarray(square)


def _on_background(image, picture, background):
    """RGB; what is transparent has the colour of the background, not the one that is hidden."""
    if picture.mode not in _ALPHA and "transparency" not in picture.info:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    behind = image.new("RGBA", picture.size, (*background, 255))
    return image.alpha_composite(behind, picture.convert("RGBA")).convert("RGB")


_lock, _inside = threading.Lock(), []


@contextlib.contextmanager
def _own_limit(image):
    """Pillow's limit of pixels is put aside while any thread is in here: ours is by the file."""
    with _lock:
        if not _inside:
            _inside.append(image.MAX_IMAGE_PIXELS)
            image.MAX_IMAGE_PIXELS = None
        _inside.append(None)
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if len(_inside) == 1:
                image.MAX_IMAGE_PIXELS = _inside.pop()
