"""The folds of a cross-validation, by scikit-learn, and what can be wrong with them."""

import numpy as np

from keras_dcnn._checks import check_count
from keras_dcnn.ensemble.judging._task import Task, task_of_labels


def make_folds(folds, stratified, seed, y, groups=None):
    """The (training, held-out) rows of each fold: scikit-learn's, for a number or a splitter."""
    selection = model_selection()
    if hasattr(folds, "split"):
        splitter, targets = folds, _classes(y) if _classes(y) is not None else y
    else:
        if groups is not None:
            raise ValueError(
                "`groups` need a splitter that keeps each together, such as "
                f"folds=sklearn.model_selection.GroupKFold({folds}); got folds={folds}."
            )
        targets = _checked_classes(y, folds) if stratified else y
        if len(y) < folds:
            raise ValueError(
                f"no fold may be empty; got {len(y)} samples for folds={folds}: use fewer folds."
            )
        kind = selection.StratifiedKFold if stratified else selection.KFold
        splitter = kind(folds, shuffle=True, random_state=seed)
    made = list(splitter.split(np.zeros((len(y), 1)), targets, groups))
    _check_folds(made, len(y))
    return made


def model_selection():
    """scikit-learn's module, or ImportError that says how to get it."""
    try:
        from sklearn import model_selection
    except ImportError as error:
        raise ImportError(
            'folds and grids need scikit-learn: pip install "keras_dcnn[ensemble]".'
        ) from error
    return model_selection


def check_splitter(folds):
    """Raise ValueError unless `folds` is a number of at least 2 or splits as scikit-learn's do."""
    if hasattr(folds, "__index__"):
        check_count("folds", folds, minimum=2)
    elif not callable(getattr(folds, "split", None)) or isinstance(folds, (str, type)):
        raise ValueError(
            "`folds` must be a whole number of at least 2, or a splitter of scikit-learn's, such "
            f"as GroupKFold(5); got {folds!r}."
        )


def fold_of_each(folds, count):
    """The number of the fold that holds each sample out."""
    numbers = np.empty(count, "int64")
    for number, (_, held_out) in enumerate(folds):
        numbers[held_out] = number
    return numbers


def _task(y):
    """What the targets are: one class, two, several labels or numbers."""
    return task_of_labels(y, (len(y), y.shape[1] if y.ndim == 2 else 2))


def _classes(y):
    """Whole-number classes of labels or of one-hot rows; None for other targets."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim > 2 or _task(y) is not Task.ONE_CLASS:
        return None
    return y.argmax(axis=1) if y.ndim == 2 else y.astype("int64")


def _checked_classes(y, folds):
    classes = _classes(y)
    if classes is None and y.ndim == 2 and _task(y) is Task.SEVERAL_LABELS:
        raise ValueError(
            "`stratified=True` gives each fold its share of each class, and rows of several labels "
            "(multi-label) or of none are of no one class: use stratified=False, or a splitter of "
            "your own."
        )
    if classes is None:
        raise ValueError(
            "`stratified=True` needs whole-number labels or one-hot rows; got targets of shape "
            f"{y.shape} and dtype {y.dtype} that are neither: use stratified=False."
        )
    for name, count in zip(*np.unique(classes, return_counts=True), strict=True):
        if count < folds:
            fewer = f"folds={count}, " if count > 1 else ""
            raise ValueError(
                "every class must have at least as many samples as there are folds; class "
                f"{name} has {count}, folds={folds}: use {fewer}stratified=False, or more samples."
            )
    return classes


def _check_folds(folds, count):
    """Each sample is held out once, and never by a fold that trains on it."""
    times = np.zeros(count, "int64")
    for number, (train, held_out) in enumerate(folds):
        if any(np.asarray(part).dtype.kind not in "iu" for part in (train, held_out) if len(part)):
            raise ValueError(
                f"a splitter must give the numbers of samples; fold {number + 1} has others, such "
                "as a mask of True and False: give np.flatnonzero of it."
            )
        if len(train) == 0 or len(held_out) == 0:
            part = "held-out" if len(train) else "training"
            raise ValueError(
                f"no fold may be empty; the {part} part of fold {number + 1} of {len(folds)} is: "
                "use fewer folds."
            )
        both = np.intersect1d(train, held_out)
        if len(both):
            raise ValueError(
                f"no fold may train on what it holds out; fold {number + 1} does with sample "
                f"{both[0]}: correct the splitter."
            )
        np.add.at(times, held_out, 1)
    if len(folds) < 2 or (times != 1).any():
        first = np.flatnonzero(times != 1)[:1]
        got = f"sample {first[0]} is held out {times[first[0]]} times" if len(first) else "one fold"
        raise ValueError(
            "there must be two folds or more, and each sample held out by exactly one of them; "
            f"got {len(folds)} folds, and {got}: use KFold, GroupKFold or their like, not repeated "
            "or random splits, nor those of time series."
        )
