"""All images of a list, read by threads: pixels, sizes, and which can't be read."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn._images.pixels import read_image
from keras_dcnn._reading.fingerprints import fingerprints

_DEPTHS = (8, 10, 12, 14, 16)  # bits that a sensor has, of 16 in the file
_SHOWN = 5


@dataclass(frozen=True)
class ImagesRead:
    """What was read, in order; `readable` are the places of these files among those given.

    `pixels` is None where they are not kept, `bits` what 16-bit images really have, None without
    such, `unreadable` the reason for each of the others.
    """

    readable: np.ndarray
    pixels: np.ndarray | None
    fingerprints: np.ndarray
    sizes: list
    bits: int | None
    unreadable: dict


class _Read(NamedTuple):
    fingerprint: int
    size: tuple
    highest: int | None


def read_all(files, reading, keep=True, track=iter, skip_unreadable=False, find_bits=True):
    """Read each file; those of 16 bits again where in all of them fewer bits are used.

    Without `find_bits` they have those of the `reading`, as those that a network learnt from.

    Raises ImageFolderError, after all were tried, with the files that can't be read.
    """
    shape = (len(files), reading.size, reading.size, 3)
    pixels = np.empty(shape, "uint8") if keep else None

    def read(places, reading, track=iter):
        def one(place):
            try:
                picture = read_image(files[place], reading)
            except ImageFolderError as error:
                return error
            if keep:
                pixels[place] = picture.pixels
            (fingerprint,) = fingerprints(picture.pixels[None])
            return _Read(fingerprint, (picture.width, picture.height), picture.highest)

        return in_threads(one, places, track)

    found = dict(enumerate(read(range(len(files)), reading, track)))
    unreadable = {
        files[place]: str(error)
        for place, error in found.items()
        if isinstance(error, ImageFolderError)
    }
    if unreadable and not skip_unreadable:
        raise ImageFolderError(_sentence(list(unreadable.values())))
    found = {place: one for place, one in found.items() if isinstance(one, _Read)}
    deep = {place: one.highest for place, one in found.items() if one.highest is not None}
    bits = next((n for n in _DEPTHS if max(deep.values()) < 2**n), 16) if deep else None
    if deep and find_bits and bits < reading.bits:
        found |= zip(deep, read(list(deep), reading._replace(bits=bits)), strict=True)
    readable = np.array(list(found), "int64")
    if keep and unreadable:
        pixels = pixels[readable]
    prints = np.array([one.fingerprint for one in found.values()], "uint64")
    sizes = [one.size for one in found.values()]
    return ImagesRead(readable, pixels, prints, sizes, bits, unreadable)


def in_threads(function, items, track=iter):
    """The results of a function that reads a file, in order; the rest is dropped after an error."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return [done for _, done in zip(track(items), pool.map(function, items), strict=True)]
    finally:
        pool.shutdown(cancel_futures=True)


def _sentence(errors):
    more = f" And {len(errors) - _SHOWN:,} more." if len(errors) > _SHOWN else ""
    return f"{' '.join(errors[:_SHOWN])}{more} Repair or remove them."
