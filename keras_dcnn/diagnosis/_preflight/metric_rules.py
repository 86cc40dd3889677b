"""Metrics that measure something else than one thinks, given the loss and the outputs."""

import keras

from keras_dcnn.diagnosis._preflight.activation_kinds import PROBABILITIES
from keras_dcnn.diagnosis.finding import Finding

_metrics = keras.metrics
_ACCURACIES = {
    "binary": _metrics.BinaryAccuracy,
    "categorical": (_metrics.CategoricalAccuracy, _metrics.TopKCategoricalAccuracy),
    "sparse": (_metrics.SparseCategoricalAccuracy, _metrics.SparseTopKCategoricalAccuracy),
}
_STRINGS = {
    "accuracy": "auto",
    "acc": "auto",
    "binary_accuracy": "binary",
    "categorical_accuracy": "categorical",
    "top_k_categorical_accuracy": "categorical",
    "sparse_categorical_accuracy": "sparse",
    "sparse_top_k_categorical_accuracy": "sparse",
}
_THRESHOLDED = (_metrics.Precision, _metrics.Recall)


def find_unfit_metrics(subject):
    """Accuracies of a regression, of the wrong kind of labels, and of logits cut at one half."""
    found = []
    for head in subject.heads:
        if head.loss is not None:
            findings = (_of_metric(head, metric) for metric in head.metrics)
            found += [finding for finding in findings if finding is not None][:1]
    return found


def _of_metric(head, metric):
    kind, family = _kind(metric), head.loss.family
    if kind and family == "regression":
        return _accuracy_of_regression(head, metric)
    if _cuts_logits(head, kind, metric):
        return Finding(
            "threshold_of_logits",
            f"{_name(metric)} takes an output above {_threshold(metric)} for a yes, and the "
            "outputs are logits, whose middle is 0",
            "give keras.metrics.BinaryAccuracy(threshold=0) and the like",
            head.where,
            evidence={"threshold": _threshold(metric)},
        )
    if _takes_logits_for_probabilities(head, metric):
        return Finding(
            "threshold_of_logits",
            f"{_name(metric)} takes outputs for probabilities, and they are logits",
            "give keras.metrics.AUC(from_logits=True)",
            head.where,
        )
    wrong = {"categorical": ("sparse", "binary"), "sparse": ("categorical", "binary")}
    if head.units and head.units > 1 and kind in wrong.get(family, ()):
        return _unfit(head, metric)
    if family == "binary" and head.units == 1 and kind in ("categorical", "sparse"):
        return _unfit(head, metric)
    return None


def _accuracy_of_regression(head, metric):
    if head.ends_in in PROBABILITIES:
        advice = "for classes take a cross-entropy as the loss"
    else:
        advice = "watch keras.metrics.MeanAbsoluteError or R2Score; for classes take another loss"
    return Finding(
        "accuracy_of_regression",
        f"{_name(metric)} counts outputs that are right, and {head.loss.name} is for numbers",
        advice,
        head.where,
        evidence={"loss": head.loss.name},
    )


def _unfit(head, metric):
    return Finding(
        "unfit_metric",
        f"{_name(metric)} is not for the labels of {head.loss.name} on {head.units} outputs",
        'take "accuracy", of which Keras finds the kind itself',
        head.where,
        evidence={"loss": head.loss.name, "units": head.units},
    )


def _gives_logits(head):
    return head.loss.family == "binary" and head.loss.from_logits and head.ends_in == "linear"


def _takes_logits_for_probabilities(head, metric):
    is_area = isinstance(metric, _metrics.AUC)
    return is_area and _gives_logits(head) and not metric.get_config().get("from_logits")


def _cuts_logits(head, kind, metric):
    binary = kind in ("auto", "binary") or isinstance(metric, _THRESHOLDED)
    return _gives_logits(head) and binary and _threshold(metric) == 0.5


def _threshold(metric):
    given = getattr(metric, "threshold", getattr(metric, "thresholds", None))
    given = given[0] if isinstance(given, (list, tuple)) and len(given) == 1 else given
    return 0.5 if given is None else given


def _kind(metric):
    """Which accuracy a metric is, "auto" where Keras chooses, or None."""
    if isinstance(metric, str):
        return _STRINGS.get(metric.lower())
    for kind, classes in _ACCURACIES.items():
        if isinstance(metric, classes) or metric is getattr(_metrics, f"{kind}_accuracy", None):
            return kind
    return None


def _name(metric):
    return (
        repr(metric)
        if isinstance(metric, str)
        else getattr(metric, "__name__", type(metric).__name__)
    )
