"""Labels against the outputs and the loss, one output at a time."""

import dataclasses

import numpy as np

from keras_dcnn.diagnosis._preflight.subject import heads_with
from keras_dcnn.diagnosis.finding import Finding

_SUM = 0.01  # by which a row of probabilities may miss 1
_EXPECTED = {
    "softmax": (0, 1),
    "sigmoid": (0, 1),
    "relu": (0, np.inf),
    "positive": (0, np.inf),
    "tanh": (-1, 1),
}
_NUMBER = "number the classes, as `np.unique(y, return_inverse=True)[1]` does"


def find_wrong_labels(subject):
    """What of the labels an output, or its loss, can't take or takes for something else."""
    return [finding for head in subject.heads for finding in labels_of(head)]


def find_wrong_validation_labels(subject):
    """What of the validation's labels can't be taken, where it isn't said of the training's."""
    pair = subject.validation_data
    if not isinstance(pair, (tuple, list)) or len(pair) < 2:
        return []
    said = {finding.rule for finding in find_wrong_labels(subject)}
    return [
        dataclasses.replace(finding, message=f"of the validation data, {finding.message}")
        for head in heads_with(subject, pair[1])
        for finding in labels_of(head)
        if finding.severity == "error" and finding.rule not in said
    ]


def labels_of(head):
    """The finding about the labels of one output, in a list: the first rule that fits."""
    y = head.y
    if y is None or head.loss is None:
        return []
    if y.dtype.kind not in "biuf":
        message = f"`y` holds no numbers but {y.dtype}"
        return [_error("labels_not_numbers", head, message, _NUMBER, dtype=str(y.dtype))]
    bad = int(y.size - np.isfinite(y).sum())
    if bad:
        message = f"{bad} of {y.size} numbers of `y` are NaN or infinite, and so will the loss be"
        return [_error("labels_not_finite", head, message, "leave these samples out", count=bad)]
    rules = {
        "sparse": (_places, _numbers),
        "categorical": (_places, _columns, _rows),
        "binary": (_places, _columns, _two_classes),
        "regression": (_places, _columns, _range),
    }
    found = (rule(head, y) for rule in rules.get(head.loss.family, ()))
    return [finding for finding in found if finding is not None][:1]


def _error(rule, head, message, advice, **evidence):
    return Finding(rule, message, advice, head.where, "error", evidence)


def _warning(rule, head, message, advice, **evidence):
    return Finding(rule, message, advice, head.where, "warning", evidence, "possible")


def is_one_hot(y):
    """Whether all rows are 0 but for one 1."""
    known = y.ndim > 1 and y.shape[-1] > 1
    return bool(known and np.isin(y, (0, 1)).all() and (y.sum(-1) == 1).all())


def _places(head, y):
    """Outputs for each place of an image or step of a text, and labels for each sample."""
    places = head.shape[1:-1] if head.shape else ()
    given = y.shape[1 : 1 + len(places)]
    pairs = zip(places, given, strict=False)
    if len(given) == len(places) and all(size is None or size == one for size, one in pairs):
        return None
    message = f"the outputs for a sample have shape {head.shape[1:]}, and its labels {y.shape[1:]}"
    fix = "give a label for each place"
    if y.ndim <= 2:
        fix = (
            "put keras.layers.Flatten or a global pooling in front of the last layer; a recurrent "
            "one gives its last step alone with return_sequences=False"
        )
    return _error("labels_of_other_shape", head, message, fix, shape=y.shape, outputs=head.shape)


def _numbers(head, y):
    """Class numbers, for a sparse cross-entropy."""
    name, units = head.loss.name, head.units
    ranks = len(head.shape) == y.ndim if head.shape else is_one_hot(y) and y.shape[-1] > 2
    if ranks and y.ndim > 1 and y.shape[-1] > 1:
        what = "one-hot rows" if is_one_hot(y) else "rows"
        message = f"{name} takes class numbers, and `y` has {what}, shape {y.shape}"
        fix = "take CategoricalCrossentropy, or `y.argmax(-1)`"
        return _error("one_hot_for_class_numbers", head, message, fix, shape=y.shape)
    ignored = getattr(head.loss.given, "ignore_class", None)
    y = y if ignored is None else y[y != ignored]
    if not y.size:
        return None
    if not (y == np.floor(y)).all():
        message = (
            f"{name} takes class numbers, and `y` has others, such as {y[y != np.floor(y)][0]:g}"
        )
        fix = f"for a regression take MeanSquaredError and one unit; else {_NUMBER}"
        return _error("labels_no_classes", head, message, fix)
    low, high = int(y.min()), int(y.max())
    if not units:
        return None
    if low < 0 or high >= units:
        return _outside(head, low, high, units)
    if low == 1 and high == units - 1 and units > 2:
        message = f"no sample is of class 0: the labels are 1…{high}, for {units} units"
        fix = f"if they count from 1, take `y - 1` and {high} units"
        evidence = {"highest": high}
        return Finding("labels_from_1", message, fix, head.where, "info", evidence, "possible")
    return _too_many(head, np.unique(y), units)


def _outside(head, low, high, units):
    message = f"`y` has classes {low}…{high}, and the {units} outputs are for 0…{units - 1}"
    fix = f"give the last layer a unit for each class, or {_NUMBER}"
    if (low, high) == (1, units):
        fix = "count the classes from 0: `y - 1`"
    return _error("class_outside", head, message, fix, lowest=low, highest=high, units=units)


def _too_many(head, classes, units):
    """More units than classes, where the classes are 0, 1, … without a gap."""
    if len(classes) == 1 or len(classes) != classes[-1] + 1 or len(classes) == units:
        return None
    message = f"{units} outputs, and `y` has {len(classes)} classes, 0…{len(classes) - 1}"
    fix = f"give the last layer {len(classes)} units"
    return _warning("too_many_units", head, message, fix, units=units, classes=len(classes))


def _columns(head, y):
    """As many numbers for each sample as there are outputs, in as many dimensions."""
    if not head.shape or head.units is None:
        return None
    units, flat = head.units, y.ndim == len(head.shape) - 1
    columns = 1 if flat else y.shape[-1]
    if columns == units or y.ndim not in (len(head.shape), len(head.shape) - 1):
        return None
    evidence = {"shape": y.shape, "units": units}
    message = f"`y` has shape {y.shape}, and the model's outputs are {units} for each sample"
    if head.loss.family == "categorical" and columns == 1:
        message = f"{head.loss.name} takes one-hot rows, and `y` has class numbers, shape {y.shape}"
        fix = "take SparseCategoricalCrossentropy, or `keras.utils.to_categorical(y)`"
        return _error("class_numbers_for_one_hot", head, message, fix, **evidence)
    fix = f"give the last layer {columns} unit{'' if columns == 1 else 's'}"
    if columns == 1 and not flat and head.loss.family == "regression":
        message += ", which all learn the same"
        return _warning("wrong_number_of_units", head, message, fix, **evidence)
    if columns == 1 and y.dtype.kind in "biu" and head.ends_in in ("softmax", "sigmoid"):
        fix = "for class numbers take SparseCategoricalCrossentropy and softmax"
    return _error("wrong_number_of_units", head, message, fix, **evidence)


def _rows(head, y):
    """Rows of a categorical cross-entropy: probabilities that sum to 1."""
    if y.shape[-1] != head.units:
        return None
    sums = y.sum(-1)
    if y.min() < 0 or y.max() > 1:
        message = f"the rows of `y` reach from {y.min():g} to {y.max():g}, and should be one-hot"
        finding = _error if y.min() < 0 else _warning
        return finding("labels_no_classes", head, message, "use `keras.utils.to_categorical`")
    several = float((sums > 1 + _SUM).mean())
    if several:
        message = f"{100 * several:.0f} % of the rows of `y` have several labels, and a softmax one"
        fix = "give the last layer sigmoid, and take BinaryCrossentropy"
        return _warning("several_labels", head, message, fix, share=several)
    classes = np.flatnonzero(y.reshape(-1, y.shape[-1]).any(0))
    return _too_many(head, classes, head.units)


def _two_classes(head, y):
    """Labels of a binary cross-entropy: 0 and 1."""
    low, high = float(y.min()), float(y.max())
    if low < 0 or high > 1:
        message = f"{head.loss.name} takes labels of 0…1, and `y` has {low:g}…{high:g}"
        fix = "number the two classes 0 and 1"
        values = np.unique(y[:10_000])
        if low == 0 and 2 < len(values) <= 1000 and (values == np.floor(values)).all():
            fix = "for more classes take SparseCategoricalCrossentropy, softmax and a unit each"
        elif high > 2 and not (values == np.floor(values)).all():
            fix = "for a regression take MeanSquaredError and no activation"
        return _error("label_outside_0_1", head, message, fix, lowest=low, highest=high)
    if head.units and head.units > 2 and head.ends_in != "softmax" and is_one_hot(y):
        message = (
            f"each of {len(y)} samples has exactly one of {head.units} labels, and "
            f"{head.loss.name} counts each label alone"
        )
        fix = "if they exclude each other, take softmax and CategoricalCrossentropy"
        return _warning("sigmoid_of_exclusive_classes", head, message, fix, units=head.units)
    return None


def _range(head, y):
    """Targets of a regression that the last activation can't reach, or that are classes."""
    low, high = _EXPECTED.get(head.ends_in, (-np.inf, np.inf))
    if y.min() < low or y.max() > high:
        message = (
            f"`y` reaches from {y.min():g} to {y.max():g}, and {head.ends_in} as the last "
            f"activation gives {low:g}…{high:g} only".replace("…inf", " and more")
        )
        fix = "give the last layer no activation, or scale `y`"
        evidence = {"lowest": float(y.min()), "highest": float(y.max())}
        return _error("targets_out_of_reach", head, message, fix, **evidence)
    if head.ends_in != "softmax" and is_one_hot(y) and y.shape[-1] > 2:
        message = (
            f"`y` is one-hot rows of {y.shape[-1]} classes, and {head.loss.name} is for numbers"
        )
        fix = "take softmax and CategoricalCrossentropy"
        return _warning("regression_loss_of_classes", head, message, fix)
    scale = float(np.sqrt(np.mean(np.square(y, dtype="float64"))))
    if scale > 100 and head.ends_in == "linear":
        message = (
            f"the targets are large, {scale:.3g} in root mean square, and so are the first steps"
        )
        fix = "standardise them, (y − mean) / std, and take it back in what the model answers"
        severity = "warning" if scale > 1000 else "info"
        evidence = {"rms": scale}
        return Finding(
            "targets_not_scaled", message, fix, head.where, severity, evidence, "possible"
        )
    return None
