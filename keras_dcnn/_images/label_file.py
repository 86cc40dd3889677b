"""A CSV file of images and labels → an `ImageList`."""

import csv
from collections import Counter

from keras_dcnn._images.errors import ImageFolderError, some_of
from keras_dcnn._images.formats import why_no_image
from keras_dcnn._images.listing import ImageList, part_of, untrained

_WORDS = (
    ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "id"),
    ("label", "class", "class_name", "category", "target", "y"),
    ("part", "split", "subset", "set"),
)


def list_labels(path, directory=None):
    """The images that a CSV file names, a row each: the file, its label and, if given, its part.

    A header has the usual words for these; without one these are the columns. Files lie in
    `directory`, by default that of the CSV file, and may be named without their suffix. Raises
    ImageFolderError with the rows that can't be used, all at once.
    """
    directory = path.parent if directory is None else directory
    (header, *columns), rows = _read(path)
    found, passed_over, wrong = {}, {}, []
    for line, cells in rows[header:]:
        name, label, *part = [cells[k].strip() if k < len(cells) else "" for k in columns]
        part = part_of(part[0]) if part else None
        file = _found(directory / name)
        if not name or not label:
            wrong.append(f"line {line} has no {'label' if name else 'file'}")
        elif len(columns) > 2 and part is None:
            wrong.append(f"line {line} has no part, which is train, validation or test")
        elif not file.exists():
            wrong.append(f"line {line}: there is no {file}")
        elif why := why_no_image(file):
            passed_over[file] = why
        elif found.setdefault(file, (label, part)) != (label, part):
            wrong.append(f"line {line}: {file} had another label or part before")
    if wrong:
        raise ImageFolderError(f"{path} can't be used: {some_of(wrong)}.")
    return _listed(path, [(file, *rest) for file, rest in found.items()], passed_over)


def _read(path):
    """((rows of header, columns of file, label and maybe part), rows with their lines)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImageFolderError(f"{path} must be UTF-8: save it as that ({error}).") from error
    except OSError as error:
        raise ImageFolderError(f"{path} can't be read ({error.strerror}).") from error
    first = text.partition("\n")[0]
    delimiter = Counter(sign for sign in first if sign in ",;\t").most_common(1)
    lines = csv.reader(text.splitlines(), delimiter=delimiter[0][0] if delimiter else ",")
    rows = [(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    if not rows or len(rows[0][1]) < 2:
        raise ImageFolderError(f"{path} must have columns of files and labels, such as file,label.")
    words = [cell.strip().lower() for cell in rows[0][1]]
    named_columns = [next((k for k, word in enumerate(words) if word in of), None) for of in _WORDS]
    if named_columns[0] is not None and named_columns[1] is not None:
        return (1, *(k for k in named_columns if k is not None)), rows
    if len(words) > 3:
        raise ImageFolderError(
            f"{path} must have columns 'file' and 'label'; it has {some_of(map(repr, words))}."
        )
    return (0, *range(len(words))), rows


def _found(file):
    """The file, or the image of this name with a suffix, which lists of competitions leave out."""
    if file.exists() or not file.parent.is_dir():
        return file
    others = (file.with_name(other.name) for other in file.parent.glob(f"{_literal(file.name)}.*"))
    return next((other for other in sorted(others) if why_no_image(other) is None), file)


def _literal(name):
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _listed(path, found, passed_over):
    names = {name for _, name, _ in found}
    if len(names) < 2:
        raise ImageFolderError(
            f"{path} must name images of two or more classes; it has {len(names)}."
        )
    names = sorted(names, key=int if all(name.isdecimal() for name in names) else str)
    without = untrained(names, found)
    if without:
        raise ImageFolderError(
            f"{path} must name training images of each class; not of {some_of(map(repr, without))}."
        )
    return ImageList.of(found, names, passed_over)
