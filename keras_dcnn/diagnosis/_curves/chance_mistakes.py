"""Rules of a training that has learned nothing, or nothing that holds for validation."""

from keras_dcnn.diagnosis._curves import limits
from keras_dcnn.diagnosis._curves.levels import (
    chance_of,
    chance_of_validation,
    falls,
    final,
    has_one_accuracy,
    learns,
    result_of,
)
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding

_NOTHING_LEARNED = (
    "check that labels belong to their images, that inputs are scaled, and that layers don't start "
    "with zeros; then the rate with `diagnosis.find_learning_rate`"
)


def find_chance(curves):
    """An accuracy no better than guessing, or than always naming the largest class."""
    accuracy, share, trend = final(curves.accuracy), curves.majority_share, curves.trend
    if trend is None or trend.first <= 0:
        return
    chance = chance_of(curves)
    if share is not None and accuracy <= share + limits.OF_MAJORITY:
        rule, than = "majority_class", f"always naming the largest class ({percent(share, 1)})"
    elif chance:
        share_of_one = percent(1 / chance.classes, 1)
        rule, than = "chance", f"guessing among {chance.classes} classes ({share_of_one})"
    else:
        return
    is_falling = falls(curves)
    is_error = not is_falling and len(curves.loss) >= limits.ENOUGH
    what, accuracy = result_of(curves)
    yield Finding(
        rule,
        f"the training is at the level of {than}, with {what}"
        + (", though its loss still falls" if is_falling else ""),
        "train on, with a higher rate where it falls slowly" if is_falling else _NOTHING_LEARNED,
        severity="error" if is_error else "warning",
        evidence={
            "accuracy": accuracy,
            "loss": trend.last,
            "num_classes": chance.classes if chance else curves.num_classes,
            "majority_share": share,
        },
        confidence="likely" if is_error else "possible",
    )


def find_one_accuracy(curves):
    """One validation accuracy in all epochs, as of a network that always names one class."""
    if not has_one_accuracy(curves) or not learns(curves):
        return
    values = curves.val_accuracy.finite().values
    is_long = len(values) >= limits.ENOUGH
    yield Finding(
        "constant_accuracy",
        f"the validation accuracy is {percent(values[0], 1)} in every epoch, as if one class were "
        "always the answer",
        "look at the predictions with `diagnosis.examine_predictions`",
        severity="warning" if is_long else "info",
        evidence={"accuracy": float(values[0]), "epochs": len(values)},
        confidence="likely" if is_long else "possible",
    )


def find_validation_at_chance(curves):
    """Training learns, and validation does not."""
    chance = chance_of_validation(curves)
    ends = curves.ends(curves.accuracy, curves.val_accuracy)
    if chance is None or ends is None or ends[0] < limits.LEARNED * chance.most():
        return
    is_much = ends[0] >= limits.LEARNED_MUCH * chance.most()
    is_sure = is_much and len(curves.val_accuracy) >= limits.ENOUGH
    yield Finding(
        "validation_at_chance",
        f"training learns (accuracy {percent(ends[0], 1)}), and validation stays at chance "
        f"({percent(ends[1], 1)}, of {chance.classes} classes)",
        "check that validation is read and scaled as the training is, and that labels belong to "
        "their images: shuffled ones are learned by heart; in a first few epochs BatchNorm does it",
        severity="error" if is_sure else "warning",
        evidence={"accuracy": ends[0], "val_accuracy": ends[1], "num_classes": chance.classes},
        confidence="likely" if is_sure else "possible",
    )
