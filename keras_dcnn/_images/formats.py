"""Which files are images: those that Pillow opens here, and why another isn't one."""

import functools
import os
from importlib import import_module

import numpy as np

# What Pillow hands to other programs or only names: maps of weather, films, drawings.
_NO_PIXELS = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "WMF"}
# Module of a plug-in, the function of it that registers (None: its import does), its suffixes.
_PLUGINS = {
    "pillow-heif": ("pillow_heif", "register_heif_opener", (".heic", ".heif", ".hif")),
    "pillow-avif-plugin": ("pillow_avif", None, (".avif", ".avifs")),
    "pillow-jxl-plugin": ("pillow_jxl", None, (".jxl",)),
}
_RAW = {".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"}
_OF_SYSTEMS = {"desktop.ini", "thumbs.db", "__macosx", "@eadir"}


def pillow(module="Image"):
    """A module of Pillow; ImportError with the command that installs it."""
    try:
        return import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError(
            f'images are read by pillow: pip install "keras_dcnn[demo]" ({error}).'
        ) from error


@functools.cache
def suffixes():
    """The suffixes, in lower case, of all formats that Pillow opens, with plug-ins that are there.

    A plug-in is registered for formats that Pillow hasn't itself.
    """
    image = pillow()
    image.init()
    for module, register, own in _PLUGINS.values():
        if not _opened(image) & {*own}:
            _register(module, register)
    return frozenset(_opened(image))


def _opened(image):
    formats = image.registered_extensions().items()
    return {end for end, kind in formats if kind in image.OPEN and kind not in _NO_PIXELS}


def _register(module, register):
    try:
        plugin = import_module(module)
    except ImportError:
        return
    if register:
        getattr(plugin, register)()


def are_files(x):
    """Whether x is a list or array of names of files."""
    if isinstance(x, np.ndarray):
        return x.ndim == 1 and x.dtype.kind in "UO" and are_files(x.tolist())
    listed = isinstance(x, (list, tuple)) and len(x) > 0
    return listed and all(isinstance(one, (str, os.PathLike)) for one in x)


def is_hidden(name):
    """Whether a file or folder is the system's, as ._x.jpg, which macOS leaves beside x.jpg."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def why_no_image(path):
    """Why a file is no image that can be opened, in words; None for one that can."""
    suffix = path.suffix.lower()
    if not path.exists():
        return "a link to a file that isn't there"
    if suffix in suffixes():
        return None if path.is_file() else "not a file"
    for package, (_, _, own) in _PLUGINS.items():
        if suffix in own:
            return f"{suffix} needs a plug-in: pip install {package}"
    if suffix in _RAW:
        return f"{suffix} is a camera's raw file: make a JPEG or PNG of it"
    return f"{suffix} is no image" if suffix else "no image, as it has no suffix"
