"""Rules about single classes: never the answer, found too seldom, too few to say."""

import numpy as np

from keras_dcnn.diagnosis._shares import arms, wilson
from keras_dcnn.diagnosis.finding import Finding

_FEW = 5  # of 4 that are all found, the recall may still be one half (Wilson)
_LISTED = 5


def find_one_class(answers):
    """Samples of one class, which can't show that any two are told apart."""
    (present,) = np.nonzero(answers.samples)
    if len(present) > 1:
        return []
    message = f"all {answers.samples.sum()} samples are {answers.name(present[0])}"
    evidence = {"samples": int(answers.samples.sum()), "class": int(present[0])}
    return [Finding("one_class", message, "test on samples of every class", evidence=evidence)]


def find_never_predicted(answers):
    """Classes with samples that are never the answer."""
    (never,) = np.nonzero((answers.samples > 0) & (answers.called == 0))
    if not len(never):
        return []
    counts = answers.samples[never]
    return [
        Finding(
            "never_predicted",
            f"never predicted: {_listed(answers, never, [_samples(n) for n in counts])}",
            "if few of its kind were trained on, try `imbalance.BalancedDataset` or "
            "`imbalance.adjust_logits`; if many, look at its labels",
            severity="warning" if counts.max() >= _FEW else "info",
            evidence={"classes": never.tolist(), "samples": counts.tolist()},
        )
    ]


def find_low_recall(answers):
    """Classes found surely less than half as often as the others are on average."""
    (present,) = np.nonzero(answers.samples)
    if len(present) < 2:
        return []
    right, n = answers.right[present], answers.samples[present]
    high, low_of_others = wilson(right, n, len(n))[1], _low_of_others(right, n)
    (low,) = np.nonzero((high < low_of_others / 2) & (answers.called[present] > 0))
    if not len(low):
        return []
    recalls = [f"{right[i]} of {n[i]}" for i in low]
    return [
        Finding(
            "low_recall",
            f"found less than half as often as others: {_listed(answers, present[low], recalls)}",
            "if few of its kind were trained on, try `imbalance.class_weights`, "
            "`imbalance.MinorityCrops` or `imbalance.adjust_logits`; if many, look at its errors",
            evidence={
                "classes": present[low].tolist(),
                "recall": (right[low] / n[low]).tolist(),
                "recall_high": high[low].tolist(),
                "mean_recall_of_others_low": low_of_others[low].tolist(),
            },
        )
    ]


def _low_of_others(right, n):
    """For each class, the lower end of the mean recall of all others, as `mean_interval` has it."""
    recall, squares = right / n, arms(right, n, len(n)) ** 2
    arm = np.sqrt(np.maximum(squares.sum() - squares, 0))
    return (recall.sum() - recall - arm) / (len(n) - 1)


def find_few_samples(answers):
    """Classes about which the test can say little."""
    few = answers.spoken_of[answers.samples[answers.spoken_of] < _FEW]
    if not len(few):
        return []
    counts = answers.samples[few]
    return [
        Finding(
            "few_samples",
            f"too few samples to judge: {_listed(answers, few, [_samples(n) for n in counts])}",
            f"test on {_FEW} or more of each class, better 30",
            severity="info",
            evidence={"classes": few.tolist(), "samples": counts.tolist()},
        )
    ]


def _samples(n):
    return f"{n} sample{'' if n == 1 else 's'}"


def _listed(answers, numbers, texts):
    """The first classes by name with what is said of each, and how many more."""
    pairs = zip(numbers[:_LISTED], texts, strict=False)
    listed = ", ".join(f"{answers.name(number)} ({text})" for number, text in pairs)
    more = len(numbers) - _LISTED
    return f"{listed} and {more} more" if more > 0 else listed
