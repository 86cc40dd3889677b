"""The data card: what a folder of images holds, what was left out of it, and how it is split."""

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from keras_dcnn._images.errors import some_of
from keras_dcnn._images.listing import PARTS

_SHOWN = 3  # files named of each kind
_MANY = 24  # classes up to which each has a line


class DataCard(NamedTuple):
    """What is known of the images before they are trained on; `text` shows it, `as_dict` has all.

    `counts` are images by part and class; `passed_over` and `unreadable` have a reason for each
    file; `copies` lists files that are the same image of one class, `of_two_classes` those of more;
    `left_out` are copies of held-out images, which are neither trained on nor counted twice.
    """

    directory: str
    class_names: list
    counts: dict
    sizes: list
    passed_over: dict
    unreadable: dict
    copies: list
    of_two_classes: list
    left_out: int
    bits: int | None

    def text(self):
        """Lines of at most 60 columns where names and reasons allow."""
        return "\n".join([*self._classes(), *self._files(), *self._images()])

    def text_of_files(self):
        """What was passed over and can't be read, in lines."""
        return "\n".join(self._files())

    def as_dict(self):
        """All of it as plain JSON values."""
        return {
            **self._asdict(),
            "counts": {part: dict(zip(self.class_names, n, strict=True)) for part, n in self._by()},
            "sizes": [f"{width}x{height}" for width, height in sorted(set(self.sizes))],
        }

    def _by(self):
        return [(part, np.asarray(self.counts[part]).tolist()) for part in PARTS]

    def _classes(self):
        total = sum(sum(n) for _, n in self._by())
        yield f"{total:,} images of {len(self.class_names)} classes{self._size()}"
        rows = list(zip(self.class_names, *(n for _, n in self._by()), strict=True))
        if len(rows) > _MANY:
            rows.sort(key=lambda row: -sum(row[1:]))
        middle = len(rows) - _MANY
        wide = min(max(len(name) for name in self.class_names), 24)
        yield f"  {'':<{wide}} {'train':>8} {'validate':>9} {'test':>7}"
        for k, (name, *counts) in enumerate(rows):
            if middle <= 0 or not _MANY // 2 <= k < _MANY // 2 + middle:
                train, validation, test = (f"{count:,}" for count in counts)
                yield f"  {_short(name, wide):<{wide}} {train:>8} {validation:>9} {test:>7}"
            elif k == _MANY // 2:
                yield f"  … {middle:,} more classes, in between"

    def _size(self):
        if not self.sizes:
            return ""
        (w, h), (v, g) = (ends(self.sizes, key=lambda s: s[0] * s[1]) for ends in (min, max))
        return f" of {w} × {h} pixels" if (w, h) == (v, g) else f", {w} × {h} to {v} × {g} pixels"

    def _files(self):
        reasons = defaultdict(list)
        for file, why in self.passed_over.items():
            reasons[why].append(file)
        if reasons:
            yield f"{_count(len(self.passed_over), 'file', 'files')} passed over:"
        for why, files in sorted(reasons.items(), key=lambda one: -len(one[1])):
            yield f"  {some_of(files, _SHOWN)}: {why}"
        if self.unreadable:
            count = _count(len(self.unreadable), "file", "files")
            yield f"{count} skipped, as unreadable:"
            yield from (f"  {why}" for why in list(self.unreadable.values())[:_SHOWN])
            if len(self.unreadable) > _SHOWN:
                yield f"  and {len(self.unreadable) - _SHOWN:,} more"

    def _images(self):
        if self.copies:
            count = sum(len(files) - 1 for files in self.copies)
            yield f"{_count(count, 'copy', 'copies')} of another image, on its side of the split"
        if self.of_two_classes:
            several = _count(len(self.of_two_classes), "image is", "images are")
            yield f"{several} in more than one class, and trained on as each:"
            yield from (f"  {' = '.join(files)}" for files in self.of_two_classes[:_SHOWN])
        if self.left_out:
            count = _count(self.left_out, "copy", "copies")
            yield f"{count} of held-out images left out"
        if self.bits:
            of = f"{self.bits} of their 16 bits" if self.bits < 16 else "all of their 16 bits"
            yield f"grey images of 16 bits use {of}: scaled by that"


def data_card(directory, images, read, parts):
    """The `DataCard` of an `ImageList`, what was read of it, and places by part.

    Files are named from `directory`, where they lie in it.
    """
    names, labels = images.class_names, images.labels[read.readable]
    files = [_from(directory, images.files[place]) for place in read.readable.tolist()]
    counts = {
        part: np.bincount(labels[places], minlength=len(names))
        for part, places in zip(PARTS, parts, strict=True)
    }
    groups: dict[Any, list[int]] = defaultdict(list)
    for place, one in enumerate(read.fingerprints.tolist()):
        groups[one].append(place)
    same = [places for places in groups.values() if len(places) > 1]
    several = [len(set(labels[places].tolist())) > 1 for places in same]
    named = [[files[place] for place in places] for places in same]
    return DataCard(
        str(directory),
        names,
        counts,
        read.sizes,
        {_from(directory, file): why for file, why in images.passed_over.items()},
        {_from(directory, file): why for file, why in read.unreadable.items()},
        [one for one, mixed in zip(named, several, strict=True) if not mixed],
        [one for one, mixed in zip(named, several, strict=True) if mixed],
        len(labels) - sum(map(len, parts)),
        read.bits,
    )


def _from(directory, file):
    return file.relative_to(directory).as_posix() if file.is_relative_to(directory) else str(file)


def _count(number, one, several):
    return f"{number:,} {one if number == 1 else several}"


def _short(name, wide):
    return name if len(name) <= wide else f"{name[: wide - 1]}…"
