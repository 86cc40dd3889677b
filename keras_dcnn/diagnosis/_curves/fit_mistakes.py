"""Rules of training beside validation: learned by heart, too little, or better than possible."""

import numpy as np

from keras_dcnn.diagnosis._curves import limits
from keras_dcnn.diagnosis._curves.levels import (
    final,
    has_one_accuracy,
    is_high,
    is_slow,
    learns,
    result_of,
)
from keras_dcnn.diagnosis._curves.trend import noise_of, shortened, smoothed, tail_of, trend_score
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding


def find_no_validation(curves):
    """Nothing was validated, so that nobody can see overfitting."""
    if curves.validated is False:
        yield Finding(
            "no_validation",
            "there is no validation data, so that overfitting cannot be told",
            "pass `validation_data` to `fit`, or `validation_split=0.2` of shuffled arrays",
        )


def find_overfitting(curves):
    """Validation gets worse while training gets better, or is far behind."""
    trend = curves.trend
    if trend is None or trend.tail_score > limits.SURE:
        return
    rise, best, score = _rise(curves.val_loss.finite())
    rises = rise > limits.SLIGHT_RISE and score > limits.SURE and trend.jumps < limits.JUMPS
    gap = _gap(curves)
    above, narrow = limits.GAP_ABOVE
    wide = gap is not None and gap >= (narrow if final(curves.accuracy) > above else limits.GAP)
    if not rises and not wide:
        return
    parts = []
    if rises:
        above = f"ends {percent(rise)} above it"
        parts = [f"its validation loss was least in {curves.where(best)}, and {above}"]
    if wide:
        parts += [f"its validation accuracy is {percent(gap, 1)} behind training"]
    is_clear = wide or rise > limits.RISE_OF_VALIDATION
    yield Finding(
        "overfitting",
        f"the network overfits{'' if is_clear else ' a little'}, since {', and '.join(parts)}",
        "augment or regularise more, or collect more images; keep the weights of the best epoch "
        "(`EarlyStopping(restore_best_weights=True)`)",
        severity="warning" if is_clear else "info",
        evidence={"best_epoch": best, "rise": rise, "score": score, "gap": gap},
        confidence="likely",
    )


def _rise(curve):
    """By which part of its least value a curve ends above it, the epoch of that, and the score.

    The least of medians of three; the score of what comes after it; 0 where this is within noise.
    """
    if len(curve) < limits.FEWEST:
        return 0.0, None, 0.0
    values = smoothed(curve.values)
    least = int(values.argmin())
    rise = float(np.median(curve.values[-3:]) - values[least])
    is_clear = values[least] > 0 and rise > limits.SURE * noise_of(curve.values)
    relative = rise / float(values[least]) if is_clear else 0.0
    return relative, int(curve.epochs[least]), trend_score(shortened(curve.values[least + 1 :]))


def find_underfitting(curves):
    """Training itself stays bad, and validation is no worse."""
    trend, loss = curves.trend, curves.loss
    is_other = is_slow(curves) or has_one_accuracy(curves)  # other findings say so
    if is_other or not learns(curves) or not is_high(curves):
        return
    if len(loss) < limits.ENOUGH or abs(trend.tail_fall) > limits.FLAT * trend.last:
        return
    gap, ends = _gap(curves), curves.ends(loss, curves.val_loss)
    is_behind = ends is None or ends[1] > ends[0] + limits.NO_GAP * trend.last
    if is_behind and (gap is None or gap > limits.NO_GAP):
        return
    what, accuracy = result_of(curves)
    yield Finding(
        "underfitting",
        f"the network underfits, since training stays at {what}, and validation is no worse",
        "take a larger network, less dropout or decay, or images that are changed less; first try "
        "a third of the learning rate, since one too high stalls as well",
        severity="info"
        if accuracy is None
        else "warning",  # the least that noise leaves is unknown
        evidence={"accuracy": accuracy, "loss": trend.last, "gap": gap},
        confidence="possible",
    )


def find_validation_better(curves):
    """Validation ahead of training, at the same weights and in every epoch of the last third."""
    _, train, validation = curves.pairs(curves.loss, curves.val_loss)
    if len(train) < limits.FEWEST:
        return
    train, validation = tail_of(train), tail_of(validation)
    if train.min() <= 0 or (validation >= train).any():
        return
    ahead, gap = float(1 - np.median(validation) / np.median(train)), _gap(curves)
    if ahead < limits.BETTER_LOSS or (gap is not None and gap > 0):
        return
    yield Finding(
        "validation_better",
        f"validation is better than training, with a loss that is {percent(ahead)} lower",
        "with dropout, augmentation or a penalty that is so, since they work in training only; "
        "without, look for images that are in both, and for easier ones in validation",
        severity="info",
        evidence={"ahead": ahead, "gap": gap},
    )


def _gap(curves):
    """How far the validation accuracy ends behind that of training; None without the two."""
    ends = curves.ends(curves.accuracy, curves.val_accuracy)
    return None if ends is None else ends[0] - ends[1]
