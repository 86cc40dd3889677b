"""Samples by their rows: of arrays, memory maps and files, read when they are asked for."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from keras_dcnn._checks import as_path
from keras_dcnn._images.formats import are_files
from keras_dcnn._images.listing import list_folder
from keras_dcnn._images.pixels import Reading, read_pixels
from keras_dcnn._reading.rows import as_arrays


def source_of(x, y, load, image_size):
    """What holds the samples, their labels, and the names of the classes, None where not known."""
    if load is not None and not callable(load):
        raise TypeError(f"`load` must be a function of a path; got {type(load).__name__}.")
    load, are_ours = load or functools.partial(read_pixels, Reading(image_size)), load is None
    if isinstance(x, (str, os.PathLike)):
        if y is not None:
            raise ValueError("`y` must be left out for a folder: its subfolders are the classes.")
        images = list_folder(as_path("x", x))
        return Files(images.files, load), images.labels, images.class_names
    if y is None:
        raise ValueError(
            f"`y` must be the labels of the samples; got none: give (x, y), or a folder with a "
            f"subfolder per class; got x={type(x).__name__}."
        )
    if are_files(x):
        files = [as_path("x", one) for one in x]
        missing = next((one for one in files if are_ours and not one.is_file()), None)
        if missing is not None:
            raise ValueError(
                f"`x` must be files that are there; {missing} is not: give full paths, or such as "
                f"can be found from {Path.cwd()}."
            )
        return Files(files, load), y, None
    if hasattr(x, "num_batches") or hasattr(x, "element_spec") or hasattr(x, "batch_sampler"):
        raise TypeError(
            f"`x` must be arrays, files or a folder, of which each sample can be had; got "
            f"{type(x).__name__}: for a tf.data set use balance_dataset."
        )
    return Arrays(x), y, None


class Arrays:
    """Arrays, or a list or dict of them, of which only the rows of a batch are copied."""

    def __init__(self, x):
        (x,) = as_arrays((x,))
        self.x = tuple(x) if isinstance(x, list) else x  # a list would be one array in tf.data

    def rows(self, rows, threads):
        return keras.tree.map_structure(lambda leaf: _rows(leaf, rows), self.x)


def _rows(leaf, rows):
    if not isinstance(leaf, np.memmap):
        return leaf[rows]
    plain = np.asarray(leaf)  # the same memory; each row of a memmap would be a memmap
    taken = np.empty((len(rows), *leaf.shape[1:]), leaf.dtype)
    for row, place in sorted(zip(rows.tolist(), range(len(rows)), strict=True)):
        taken[place] = plain[row]  # as they lie on the disk
    return taken


class Files:
    """Files that `load` reads, by so many threads."""

    def __init__(self, files, load):
        self.x, self.load = np.array(files, object), load

    def rows(self, rows, threads):
        files = self.x[rows]
        if threads == 1:
            images = [np.asarray(self.load(file)) for file in files]
        else:
            with ThreadPoolExecutor(threads) as pool:
                images = list(map(np.asarray, pool.map(self.load, files)))
        for file, image in zip(files, images, strict=True):
            if image.dtype.kind not in "biuf":
                raise ValueError(
                    f"`load` must return an array of numbers; got dtype {image.dtype} for {file}."
                )
            if image.shape != images[0].shape:
                raise ValueError(
                    f"`load` must return arrays of one shape; got {images[0].shape} for "
                    f"{files[0]} and {image.shape} for {file}: resize or crop them in it."
                )
        return np.stack(images)
