"""How many samples each class of the labels has."""

import numpy as np

from keras_dcnn.diagnosis._preflight.label_rules import is_one_hot, labels_of
from keras_dcnn.diagnosis.finding import Finding

_UNEQUAL = 10  # times as many samples in the largest class as in the smallest: a warning
_NOTED = 3
_REMEDY = (
    "judge it by the balanced accuracy, and try `imbalance.BalancedDataset` or "
    "`imbalance.class_weights`; `imbalance.compare_remedies` shows which helps"
)


def find_unbalanced_classes(subject):
    """Labels of one class alone, and classes with far fewer samples than others."""
    return [finding for head in subject.heads for finding in _of_head(head)]


def _of_head(head):
    classes = _classes(head)
    if classes is None or len(classes) < 2:
        return []
    names, counts = np.unique(classes, return_counts=True)
    if len(names) == 1:
        message = f"all {len(classes)} labels are of class {names[0]:g}"
        advice = "train on samples of every class"
        evidence = {"samples": len(classes), "class": int(names[0])}
        return [Finding("one_class", message, advice, head.where, "warning", evidence)]
    few, many = int(counts.min()), int(counts.max())
    if few * _NOTED >= many:
        return []
    message = (
        f"{many} samples of class {names[counts.argmax()]:g} and {few} of class "
        f"{names[counts.argmin()]:g}"
    )
    severity = "warning" if few * _UNEQUAL <= many else "info"
    evidence = {"most": many, "fewest": few}
    return [Finding("unbalanced_classes", message, _REMEDY, head.where, severity, evidence)]


def _classes(head):
    """The class of each sample, where each has one and the labels are not wrong otherwise."""
    y, family = head.y, head.loss.family if head.loss else None
    if y is None or not y.size or any(one.severity == "error" for one in labels_of(head)):
        return None
    if family in ("categorical", "adjusted", "binary") and y.ndim == 2 and is_one_hot(y):
        return y.argmax(1)
    single = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if family not in ("sparse", "binary", "adjusted") or not single:
        return None
    y = y.reshape(-1)
    return y if y.dtype.kind in "biuf" and (y == np.floor(y)).all() else None
