"""Which images a folder holds, of which class and part; and what in it was passed over."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_dcnn._images.errors import ImageFolderError, some_of
from keras_dcnn._images.formats import is_hidden, why_no_image

PARTS = ("train", "validation", "test")
_PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class ImageList:
    """Files with their classes; `parts` has one of PARTS for each, or is None.

    `passed_over` has the reason for each file that is no image.
    """

    files: list
    labels: np.ndarray
    class_names: list
    parts: np.ndarray | None = None
    passed_over: dict = field(default_factory=dict)

    @classmethod
    def of(cls, found, class_names, passed_over):
        """Of (file, class's name, part or None) of each image."""
        files, classes, parts = map(list, zip(*found, strict=True))
        places = {name: place for place, name in enumerate(class_names)}
        labels = np.array([places[name] for name in classes], "int64")
        return cls(files, labels, class_names, np.array(parts) if any(parts) else None, passed_over)


def part_of(text):
    """Which of PARTS a word means, or None."""
    return _PART_NAMES.get(text.strip().lower())


def untrained(class_names, found):
    """The classes without an image to train on, of (file, class's name, part or None) of each."""
    trained = {name for _, name, part in found if part in (None, "train")}
    return [name for name in class_names if name not in trained]


def list_folder(directory):
    """The `ImageList` of a folder with a subfolder per class, or with train/ val/ test/ of those.

    A class has the images at any depth of its folder. A folder that holds nothing but one other is
    looked through.
    """
    if not directory.is_dir():
        raise ImageFolderError(f"{directory} is not a folder: give one with a subfolder per class.")
    passed_over = {}
    root = _unwrapped(directory)
    folders = _folders(root)
    parts = {folder: part_of(folder.name) for folder in folders}
    if "train" in parts.values() and all(parts.values()) and all(map(_folders, folders)):
        by_part = [(part, _folders(folder)) for folder, part in parts.items()]
    else:
        by_part = [(None, folders)]
    names = sorted({folder.name for _, classes in by_part for folder in classes})
    if len(names) < 2:
        images = [path for path in root.iterdir() if path.is_file() and why_no_image(path) is None]
        hint = ", and images itself: give the folder above, of all classes" if images else ""
        raise ImageFolderError(
            f"{root} needs a subfolder for each of two or more classes; it has {len(names)}{hint}."
        )
    found = [
        (path, folder.name, part)
        for part, classes in by_part
        for folder in classes
        for path in _images(folder, passed_over)
    ]
    for folder in dict.fromkeys([root, *(classes[0].parent for _, classes in by_part)]):
        loose = [path for path in sorted(folder.iterdir()) if not path.is_dir()]
        loose = [path for path in loose if not is_hidden(path.name)]
        passed_over |= {path: why_no_image(path) or "in no class's folder" for path in loose}
    _check_classes(root, names, found, passed_over)
    return ImageList.of(found, names, passed_over)


def _unwrapped(directory):
    """The folder itself, or the one that it holds and nothing else, as archives often unpack."""
    seen = [path for path in directory.iterdir() if not is_hidden(path.name)]
    only = len(seen) == 1 and seen[0].is_dir() and _folders(seen[0])
    return _unwrapped(seen[0]) if only else directory


def _folders(directory):
    found = (path for path in directory.iterdir() if path.is_dir() and not is_hidden(path.name))
    return sorted(found)


def _images(folder, passed_over):
    """The images at any depth, in order; of what isn't one the reason. Links are followed once."""

    def stop(error):
        raise ImageFolderError(f"{error.filename} can't be read ({error.strerror}).") from error

    found, seen = [], set()
    for place, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(name for name in files if not is_hidden(name)):
            path = Path(place, name)
            why = why_no_image(path)
            if why is None:
                found.append(path)
            else:
                passed_over[path] = why
    return found


def _check_classes(root, names, found, passed_over):
    """Refuse a class of which there is nothing to learn from."""
    without = untrained(names, found)
    if not without:
        return
    reasons = [
        f"{path}: {why}"
        for path, why in passed_over.items()
        if without[0] in path.relative_to(root).parts
    ]
    of_training = "training " if any(part for _, _, part in found) else ""
    because = f"; {some_of(reasons, 2)}" if reasons else ""
    raise ImageFolderError(
        f"{root} must have {of_training}images of each class; it has none of "
        f"{some_of(map(repr, without))}{because}."
    )
