"""image_folder: the user's own images, one subfolder per class, as arrays."""

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import numpy as np

from keras_dcnn._checks import as_path, check_count

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ImageFolderError(ValueError):
    """A folder that can't be used as a data set; the message names the file or folder."""


def load_data(
    directory: str | os.PathLike[str],
    image_size: int = 64,
    seed: int = 0,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Any:
    """Load a folder of images with one subfolder per class, split per class at random.

    Of each class about one fifth validates and one fifth tests, at least one image each. Images
    are turned as their camera says, cropped in the centre to a square and resized; all are held
    in memory (12 kB each at 64×64, 147 kB at 224×224).

    Args:
        directory: Folder with a subfolder per class. Hidden files, and those whose suffix is not an
            image's, are passed over.
        image_size: Height and width to resize to, in pixels, ≥ 8.
        seed: Integer ≥ 0 that fixes the split.
        track: Wrapper of the list of files that shows progress, such as `tqdm.tqdm`.

    Returns:
        `(x_train, y_train), (x_val, y_val), (x_test, y_test), class_names`: images uint8 of shape
        `(n, image_size, image_size, 3)`, RGB in 0…255; labels int64, positions in `class_names`,
        which is in alphabetical order.

    Raises:
        ImageFolderError: (a ValueError) for a missing folder, fewer than two classes, a class of
            fewer than three images, and a file that can't be read as an image: it is named.
        ImportError: without pillow; `pip install "keras_dcnn[demo]"` brings it.

    Example:

    ```python
    import pathlib
    import tempfile
    import keras
    import numpy as np
    from keras_dcnn.datasets import image_folder

    folder = pathlib.Path(tempfile.mkdtemp())
    for name in ("cats", "dogs"):
        (folder / name).mkdir()
        for i in range(3):
            keras.utils.save_img(folder / name / f"{i}.png", np.full((40, 30, 3), 40 * i))
    (x_train, y_train), _, _, class_names = image_folder.load_data(folder, image_size=32)
    print(x_train.shape, class_names)
    ```

    Reference:
        The layout is that of `keras.utils.image_dataset_from_directory`.
        https://keras.io/api/data_loading/image/
    """
    check_count("image_size", image_size, minimum=8)
    check_count("seed", seed, minimum=0)
    class_names, files, labels = _list_files(as_path("directory", directory))
    images = np.stack([_read(path, image_size) for path in track(files)])
    parts = _split(labels, np.random.default_rng(seed))
    return *((images[part], labels[part]) for part in parts), class_names


def _list_files(directory, at_least=3):
    if not directory.is_dir():
        raise ImageFolderError(f"{directory} is not a folder: give one with a subfolder per class.")
    folders = sorted(p for p in directory.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(folders) < 2:
        raise ImageFolderError(
            f"{directory} needs a subfolder for each of two or more classes; it has {len(folders)}."
        )
    files, labels = [], []
    for label, folder in enumerate(folders):
        found = sorted(p for p in folder.iterdir() if _is_image(p))
        if len(found) < at_least:
            number = "3 images, to train, validate and test on" if at_least > 1 else "one image"
            raise ImageFolderError(f"{folder} needs at least {number}; it has {len(found)}.")
        files += found
        labels += [label] * len(found)
    return [folder.name for folder in folders], files, np.array(labels, "int64")


def _is_image(path):
    # macOS leaves ._name.jpg beside name.jpg on foreign disks.
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _read(path, size):
    try:
        image, ops = import_module("PIL.Image"), import_module("PIL.ImageOps")
    except ImportError as error:
        raise ImportError(
            f'image_folder needs pillow: pip install "keras_dcnn[demo]" ({error}).'
        ) from error
    try:
        with image.open(path) as opened:
            upright = ops.exif_transpose(opened)
        if upright.mode in ("I", "F"):
            raise ValueError("its pixels are 32-bit numbers of unknown range, not colours")
        if upright.mode.startswith("I;16"):  # grey in 0…65535, which convert("RGB") would clip
            upright = image.fromarray((np.asarray(upright) // 257).astype("uint8"))
        rgb = upright.convert("RGB")
        return np.asarray(ops.fit(rgb, (size, size), image.Resampling.BILINEAR))
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        raise ImageFolderError(
            f"{path} can't be read as an image ({error}): repair or remove it."
        ) from error


def _split(labels, rng):
    """Positions to train, validate and test on, shuffled, each class shared out by itself."""
    parts = [], [], []
    for label in np.unique(labels):
        positions = rng.permutation(np.flatnonzero(labels == label))
        held_out = max(1, round(len(positions) / 5))
        cuts = np.split(positions, [held_out, 2 * held_out])
        for part, cut in zip(parts, (cuts[2], cuts[0], cuts[1]), strict=True):
            part.append(cut)
    return [rng.permutation(np.concatenate(part)) for part in parts]
