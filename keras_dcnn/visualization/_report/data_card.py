"""What the data are: counts, sizes, values, exact copies, files that were passed over."""

import os
from collections import Counter
from collections.abc import Mapping

import numpy as np

from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.visualization._report.table import Table

_LISTED = 5
_MANY = 0.01  # of the images: a warning


def card_of(reads):
    """A column for each of the data that were read."""
    rows = [
        ("images", [f"{len(read.y):,}" for read in reads]),
        ("classes with images", [f"{len(np.unique(read.y)):,}" for read in reads]),
        ("sizes", [_sizes(read.sizes) for read in reads]),
        ("numbers", [", ".join(sorted(read.dtypes)) or "–" for read in reads]),
        ("lowest and highest value", [_values(read) for read in reads]),
        ("exact copies of another", [f"{_copies(read.fingerprints):,}" for read in reads]),
    ]
    header = ("", *(_WORDS[read.name] for read in reads))
    return Table(header, [(what, *texts) for what, texts in rows])


_WORDS = {"data": "held-out data", "training_data": "training data"}


def counts_of(reads, names):
    """The images of each class."""
    columns = [np.bincount(read.y, minlength=len(names)).tolist() for read in reads]
    return Table(
        ("class", *(_WORDS[read.name] for read in reads)),
        [*zip(names, *columns, strict=True)],
    )


def find_copies(reads, names):
    """Findings, as of `preflight`: the same image on both sides, and with two classes."""
    by_name = {read.name: read for read in reads}
    if len(by_name) == 2:
        yield from _find_leaks(by_name["data"], by_name["training_data"])
    for read in reads:
        yield from _find_contradictions(read, names)


def _find_leaks(held_out, training):
    (leaked,) = np.nonzero(np.isin(held_out.fingerprints, training.fingerprints))
    if len(leaked):
        share = len(leaked) / len(held_out.y)
        yield Finding(
            "duplicates",
            f"{len(leaked):,} of {len(held_out.y):,} held-out images ({percent(share, 1)}) are in "
            f"the training data as well, number {_some(leaked)}, so that the scores are too good",
            "leave them out of one of the two, and split by person, place or recording",
            severity="warning" if share >= _MANY else "info",
            evidence={"count": len(leaked), "samples": len(held_out.y)},
        )


def _find_contradictions(read, names):
    pairs = np.unique(np.stack([read.fingerprints, read.y.astype("uint64")]), axis=1)
    prints, times = np.unique(pairs[0], return_counts=True)
    several = np.isin(read.fingerprints, prints[times > 1])
    if several.any():
        (first,) = np.nonzero(read.fingerprints == read.fingerprints[several.argmax()])
        said = " and ".join(repr(names[k]) for k in dict.fromkeys(read.y[first].tolist()))
        count, share = int(several.sum()), several.mean()
        yield Finding(
            "same_image_other_label",
            f"{count:,} images of the {_WORDS[read.name]} ({percent(share, 1)}) are equal to "
            f"others of another class, such as number {_some(first)} ({said})",
            "look at them, and keep one label or leave them out",
            severity="warning" if share >= _MANY else "info",
            evidence={"count": count, "samples": len(read.y)},
        )


def passed_over_files(passed_over):
    """The files with the reason, as a Table; None for none."""
    if not passed_over:
        return None
    if isinstance(passed_over, Mapping):
        return Table(("file", "why"), [(_text(file), why) for file, why in passed_over.items()])
    return Table(("file",), [(_text(file),) for file in passed_over])


def _text(file):
    return os.fspath(file) if isinstance(file, os.PathLike) else str(file)


def _some(numbers):
    listed = ", ".join(map(str, numbers[:_LISTED].tolist()))
    return f"{listed} and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else listed


def _sizes(sizes):
    listed = [
        f"{height} × {width} × {channels}{f' ({count:,})' if len(sizes) > 1 else ''}"
        for (height, width, channels), count in Counter(sizes).most_common(_LISTED)
    ]
    more = [f"{len(sizes) - _LISTED} more"] if len(sizes) > _LISTED else []
    return ", ".join(listed + more) or "no images of 1 or 3 channels, channels last"


def _values(read):
    return f"{read.low:.4g} to {read.high:.4g}" if read.sizes else "–"


def _copies(fingerprints):
    return len(fingerprints) - len(np.unique(fingerprints))
