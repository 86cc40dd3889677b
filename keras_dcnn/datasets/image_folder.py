"""image_folder: the user's own images, one subfolder per class, as arrays."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from keras_dcnn._checks import as_path, check_count
from keras_dcnn._images.errors import ImageFolderError as ImageFolderError
from keras_dcnn._images.label_file import list_labels
from keras_dcnn._images.listing import list_folder
from keras_dcnn._images.pixels import Reading
from keras_dcnn._images.reading import read_all
from keras_dcnn._images.splitting import split


def load_data(
    directory: str | os.PathLike[str],
    image_size: int = 64,
    seed: int = 0,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    labels: str | os.PathLike[str] | None = None,
) -> Any:
    """Load a folder of images with one subfolder per class, split per class at random.

    Of each class about one fifth validates and one fifth tests, at least one image each; copies of
    an image are on one side, where it counts once if it is held out. Folders `train`, `validation`
    (or `val`) and `test` of such subfolders are taken as the split; copies of what is held out are
    left out of the training.

    Images are turned as their camera says, cropped in the centre to a square and resized. What is
    transparent becomes white. Grey images of 16 bits are scaled by as many bits as all of them
    use. All are held in memory (12 kB each at 64×64, 147 kB at 224×224).

    Args:
        directory: Folder with a subfolder per class, which has its images at any depth: of all
            formats that Pillow opens, HEIC too where `pillow-heif` is installed. Hidden files, and
            those whose suffix is not an image's, are passed over.
        image_size: Height and width to resize to, in pixels, ≥ 8.
        seed: Integer ≥ 0 that fixes the split.
        track: Wrapper of the list of files that shows progress, such as `tqdm.tqdm`.
        labels: CSV file with the columns `file`, a path from `directory`, `label`, and maybe `part`
            (train, validation, test), in place of subfolders.

    Returns:
        `(x_train, y_train), (x_val, y_val), (x_test, y_test), class_names`: images uint8 of shape
        `(n, image_size, image_size, 3)`, RGB in 0…255; labels int64, positions in `class_names`,
        which is in alphabetical order, that of numbers where all names in `labels` are such.

    Raises:
        ImageFolderError: (a ValueError) for a missing folder, fewer than two classes, a class of
            fewer than three different images, rows of `labels` that can't be used, and files that
            can't be read as images: all are tried, and named.
        ImportError: without pillow; `pip install "keras_dcnn[demo]"` brings it.

    Example:

    ```python
    import pathlib
    import tempfile
    import keras
    import numpy as np
    from keras_dcnn.datasets import image_folder

    folder = pathlib.Path(tempfile.mkdtemp())
    for grey, name in enumerate(("cats", "dogs")):
        (folder / name).mkdir()
        for i in range(3):
            pixels = np.full((40, 30, 3), 40 * i + grey)
            keras.utils.save_img(folder / name / f"{i}.png", pixels, scale=False)
    (x_train, y_train), _, _, class_names = image_folder.load_data(folder, image_size=32)
    print(x_train.shape, class_names)
    ```

    Reference:
        The layout is that of `keras.utils.image_dataset_from_directory`.
        https://keras.io/api/data_loading/image/
    """
    check_count("image_size", image_size, minimum=8)
    check_count("seed", seed, minimum=0)
    directory = as_path("directory", directory)
    if labels is None:
        images = list_folder(directory)
    else:
        images = list_labels(as_path("labels", labels), directory)
    read = read_all(images.files, Reading(image_size), track=track)
    parts = split(images.labels, read.fingerprints, images.class_names, seed, images.parts)
    return *((read.pixels[part], images.labels[part]) for part in parts), images.class_names
