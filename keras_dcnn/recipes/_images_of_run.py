"""The images of a run: read, kept or streamed, and split; and what the data card says of them."""

import csv
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_dcnn._checks import as_path
from keras_dcnn._files.atomic import atomic_write
from keras_dcnn._images.batches import ImageBatches, ShuffledImages
from keras_dcnn._images.card import data_card
from keras_dcnn._images.errors import ImageFolderError, some_of
from keras_dcnn._images.label_file import list_labels
from keras_dcnn._images.listing import PARTS, list_folder
from keras_dcnn._images.memory import fits, in_words
from keras_dcnn._images.pixels import Reading
from keras_dcnn._images.reading import read_all
from keras_dcnn._images.splitting import split
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn.statistics import PixelMoments

SOME = 256  # images to look at


class RunImages(NamedTuple):
    """`parts` are the data of PARTS as `fit` takes them, `labels` theirs; `card` and `files` are
    None for arrays; `files` has the files of each part, `prints` their fingerprints. `said` is how
    they are held."""

    parts: dict
    labels: dict
    class_names: list
    reading: Reading
    card: Any
    files: dict | None
    said: str
    digest: str
    prints: dict | None = None

    @property
    def counts(self):
        """Training images of each class."""
        return np.bincount(self.labels["train"], minlength=len(self.class_names))

    def some(self, part="train", count=SOME):
        """A few images, evenly spread, and their labels."""
        data, y = self.parts[part], self.labels[part]
        places = np.unique(np.linspace(0, len(y) - 1, min(count, len(y))).astype(int))
        if isinstance(data, tuple):
            return data[0][places], y[places]
        files = [self.files[part][place] for place in places]
        return read_all(files, self.reading, find_bits=False).pixels, y[places]

    def moments(self):
        """Mean and covariance of the colours of the training images."""
        data, found = self.parts["train"], PixelMoments()
        if isinstance(data, tuple):
            return found.update(data[0])
        return found.update(self.some(count=8 * SOME)[0])


def list_images(source, labels):
    """The `ImageList` of a folder, or of a CSV file of labels."""
    if labels is None:
        return list_folder(source)
    return list_labels(as_path("labels", labels), source)


def read_images(source, listed, settings, size, track):
    """The `RunImages` of files."""
    reading = Reading(size, tuple(settings.background), 16, settings.max_pixels)
    needed = len(listed.files) * size * size * 3
    keep = fits(needed)
    try:
        read = read_all(listed.files, reading, keep, track, settings.skip_unreadable)
    except ImageFolderError as error:
        raise ImageFolderError(f"{error} Or go on without them: skip_unreadable=True.") from error
    reading = reading._replace(bits=min(read.bits or 16, 16))
    labels, names = listed.labels[read.readable], listed.class_names
    given = None if listed.parts is None else listed.parts[read.readable]
    _check_classes(labels if given is None else labels[given == PARTS[0]], names)
    places = dict(
        zip(PARTS, split(labels, read.fingerprints, names, settings.seed, given), strict=True)
    )
    all_files = [listed.files[place] for place in read.readable]
    files = {part: [all_files[place] for place in of] for part, of in places.items()}
    y = {part: labels[of] for part, of in places.items()}
    if keep:
        parts = {part: (read.pixels[of], y[part]) for part, of in places.items()}
        said = f"the images are held in memory, {in_words(needed)}"
    else:
        given = {part: (files[part], y[part], reading, settings.batch_size) for part in PARTS}
        parts = {part: ImageBatches(*of_part) for part, of_part in given.items()}
        parts["train"] = ShuffledImages(*given["train"], settings.seed)
        said = f"the images would take {in_words(needed)}, too much: they are read again and again"
    card = data_card(source, listed, read, [*places.values()])
    digest = _digest(read.fingerprints, labels)
    prints = {part: read.fingerprints[of].tolist() for part, of in places.items()}
    return RunImages(parts, y, names, reading, card, files, f"{said}.", digest, prints)


def array_images(data, settings):
    """The `RunImages` of arrays, as `image_folder.load_data` returns them."""
    if len(data) not in (3, 4):
        raise ValueError(
            "`data` must be a folder, or (training, validation, test) of (images, labels), and "
            f"maybe the names of the classes; got {len(data)} parts."
        )
    pairs = {
        part: (np.asarray(x), np.asarray(y)) for part, (x, y) in zip(PARTS, data[:3], strict=True)
    }
    for part, (x, y) in pairs.items():
        square = x.ndim == 4 and x.shape[1] == x.shape[2] and x.shape[3] == 3
        if not square or x.dtype != np.uint8 or y.shape != x.shape[:1] or y.dtype.kind not in "iu":
            raise ValueError(
                f"the {part} data must be uint8 images (images, size, size, 3) and whole numbers "
                f"(images,); got {x.dtype} {x.shape} and {y.dtype} {y.shape}."
            )
    count = 1 + max(int(y.max()) for _, y in pairs.values())
    names = [str(name) for name in (data[3] if len(data) == 4 else range(count))]
    _check_classes(pairs["train"][1], names)
    labels = {part: y.astype("int64") for part, (_, y) in pairs.items()}
    size = pairs["train"][0].shape[1]
    reading = Reading(size, tuple(settings.background), 16, settings.max_pixels)
    parts = {part: (x, labels[part]) for part, (x, _) in pairs.items()}
    prints = np.concatenate([fingerprints(x) for x, _ in pairs.values()])
    digest = _digest(prints, np.concatenate([*labels.values()]))
    shown = ", ".join(f"{len(labels[part]):,} {part}" for part in PARTS)
    said = f"images of {len(names)} classes at {size} pixels: {shown}."
    return RunImages(parts, labels, names, reading, None, None, said, digest)


def _check_classes(trained, names):
    """A class never disappears in silence."""
    counts = np.bincount(trained, minlength=len(names))
    gone = [repr(name) for name, count in zip(names, counts, strict=True) if not count]
    if gone:
        raise ImageFolderError(f"there is no image to train on that can be read: {some_of(gone)}.")


def _digest(prints, labels):
    """A text that differs where images or labels do, in any order."""
    rows = np.stack([prints, labels.astype("uint64")])
    return hashlib.blake2b(rows[:, np.lexsort(rows)].tobytes(), digest_size=8).hexdigest()


def write_image_list(path, images):
    """Class, part and fingerprint of each file, in the form that `labels` takes."""
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(["file", "label", "part", "fingerprint"])
        for part, files in images.files.items():
            rows = zip(files, images.labels[part].tolist(), images.prints[part], strict=True)
            for file, label, one in rows:
                name = images.class_names[label]
                writer.writerow([Path(file).resolve(), name, part, f"{one:016x}"])


def read_fingerprints(path):
    """By fingerprint the part that an image of a run was in; empty without a list of them."""
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {int(row["fingerprint"], 16): row["part"] for row in csv.DictReader(file)}
