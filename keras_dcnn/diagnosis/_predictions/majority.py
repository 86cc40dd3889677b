"""The rule of an accuracy that always naming the largest class would have as well."""

from keras_dcnn.diagnosis._shares import mean_interval, percent, sign_test
from keras_dcnn.diagnosis.finding import Finding

_EQUAL = 0.9  # least and most samples of a class, where one speaks of chance
_NEARLY_ALL = 0.99
_REMEDY = (
    "try `imbalance.BalancedDataset` or `imbalance.class_weights` in the training, or "
    "`imbalance.adjust_logits` after it; `imbalance.compare_remedies` shows which helps"
)
_LEARNS_NOTHING = (
    "check that labels and images belong together and inputs are scaled, then the learning rate "
    "with `diagnosis.find_learning_rate`"
)


def find_no_better(answers):
    """The finding, in a list, where the accuracy is not surely above the largest class's share."""
    evidence = _measure(answers)
    present = answers.samples[answers.samples > 0]
    if len(present) == 1 or evidence["accuracy"] == 1 or _is_better(evidence):
        return []
    above_chance = evidence["balanced_accuracy_low"] > evidence["chance"]
    equal = present.min() >= _EQUAL * present.max()
    if equal and above_chance:
        return []
    rule = "chance" if equal else "majority_class"
    than = "chance" if equal else f"always {answers.name(answers.samples.argmax())}"
    share = evidence["chance" if equal else "majority_share"]
    surely = "not surely" if evidence["accuracy"] > share else "no"
    balanced = "" if equal else f"; balanced accuracy {percent(evidence['balanced_accuracy'], 1)}"
    message = (
        f"accuracy {percent(evidence['accuracy'], 1)} of {evidence['samples']} samples is {surely} "
        f"better than {than} ({percent(share, 1)}){balanced}"
    )
    is_error = not above_chance and _is_sure(evidence)
    return [
        Finding(
            rule,
            message,
            _advice(is_error, above_chance, equal),
            severity="error" if is_error else "warning",
            evidence=evidence,
        )
    ]


def _measure(answers):
    """What the rule reads, as plain numbers."""
    largest, present = answers.samples.argmax(), answers.samples > 0
    samples, right = answers.samples[present], answers.right[present]
    low, high = mean_interval(right, samples)
    total = int(samples.sum())
    better = int(right.sum() - answers.right[largest])
    worse = int(answers.samples[largest] - answers.right[largest])
    return {
        "accuracy": float(right.sum() / total),
        "majority_share": float(answers.samples[largest] / total),
        "samples": total,
        "right_where_majority_is_wrong": better,
        "wrong_where_majority_is_right": worse,
        "p_value": sign_test(better, worse),
        "balanced_accuracy": float((right / samples).mean()),
        "balanced_accuracy_low": low,
        "balanced_accuracy_high": high,
        "chance": 1 / len(samples),
        "most_predicted_share": float(answers.called.max() / total),
    }


def _is_better(evidence):
    """Whether the accuracy is above the majority's share, and surely."""
    return evidence["accuracy"] > evidence["majority_share"] and evidence["p_value"] <= 0.05


def _is_sure(evidence):
    """Whether it is bad for sure, not merely a test of few samples."""
    halfway = (1 + evidence["chance"]) / 2
    return (
        evidence["most_predicted_share"] >= _NEARLY_ALL
        or evidence["balanced_accuracy_high"] < halfway
    )


def _advice(is_error, above_chance, equal):
    if is_error:
        return _LEARNS_NOTHING if equal else _REMEDY
    if above_chance:
        return "judge it by the balanced accuracy instead"
    return "test on more samples before you trust it"
