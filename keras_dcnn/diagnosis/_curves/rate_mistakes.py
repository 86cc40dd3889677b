"""The learning rate, by the shape of the training loss, as in the tutorial's figure of four."""

import math

from keras_dcnn.diagnosis._curves import limits
from keras_dcnn.diagnosis._curves.levels import (
    certain_mistakes,
    chance_of,
    constant_since,
    has_one_accuracy,
    is_high,
    is_slow,
    learns,
)
from keras_dcnn.diagnosis._curves.trend import shortened, trend_score
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding

_FINDER = "`diagnosis.find_learning_rate` measures one"


def find_rate(curves):
    """What the shape says of the rate: too high, high, low or good; nothing where it can't say."""
    trend = curves.trend
    if trend is None or trend.first <= 0 or constant_since(curves) == 0:
        return
    rules = (_too_high, _high, _low, _good)
    if not learns(curves):
        rules = (_too_high, _low) if chance_of(curves) else (_too_high,)
    for rule in rules:
        finding = rule(curves, trend)
        if finding:
            yield finding
            return


def _too_high(curves, trend):
    """Rising, or up and down, or first far above chance and then at it."""
    rises = trend.last > (1 + limits.RISEN) * trend.first and trend.tail_score > -limits.SURE
    turns = trend.lost > limits.LOST and trend.tail_score > limits.SURE
    jumps = trend.jumps >= limits.JUMPS
    if rises or turns:
        why = f"rises, to {trend.last:.3g} from {min(trend.first, trend.lowest):.3g}"
    elif jumps:
        why = f"jumps up by a tenth and more in {percent(trend.jumps)} of the epochs"
    else:
        why = _blown_up(curves, trend)
    if why is None:
        return None
    is_plain = rises or turns or jumps
    is_error = rises and is_high(curves) and len(trend.values) >= limits.ENOUGH
    return Finding(
        "learning_rate_too_high",
        f"the learning rate {'looks' if is_plain else 'may be'} too high, since the loss {why}",
        f"try {_rate_times(curves, 0.1)}, and scale the inputs; {_FINDER}",
        severity="error" if is_error else "warning",
        evidence=_evidence(trend),
        confidence="likely" if is_plain else "possible",
    )


def _blown_up(curves, trend):
    """What is left of a network that was thrown off in the first steps, in words, or None."""
    if certain_mistakes(curves):
        return "is that of answers driven to full certainty"
    chance = chance_of(curves)
    limit = limits.WORSE_THAN_CHANCE * chance.loss if chance else math.inf
    if trend.first > limit >= trend.values[1]:  # a penalty on weights falls for longer
        return f"was {trend.first:.3g} at first, above chance, {chance.loss:.3g}, and stays there"
    return None


def _high(curves, trend):
    """Falls fast, then stalls high."""
    stalls = (
        len(trend.values) >= limits.ENOUGH
        and trend.fallen <= limits.EARLY
        and abs(trend.tail_fall) <= limits.NEARLY_FLAT * trend.last
        and is_high(curves)
    )
    if not stalls or trend.noise <= limits.ROUGH * trend.last:
        return None
    return Finding(
        "learning_rate_high",
        "the learning rate may be high, since the training loss falls fast and then stalls, from "
        f"{trend.first:.3g} at {trend.last:.3g}",
        f"try {_rate_times(curves, 0.3)}, or divide it when the loss stalls "
        "(`callbacks.DivideLROnPlateau`); if the loss stalls as high, the network is too small, "
        "too much regularised, or the labels are noisy",
        evidence=_evidence(trend),
        confidence="possible",
    )


def _low(curves, trend):
    """Slow, and nearly straight; not of what began well, and so goes on from a trained network."""
    accuracies = curves.accuracy.finite().values
    began_well = len(accuracies) > 0 and accuracies[0] >= limits.LOW_ACCURACY
    if not is_slow(curves) or is_validation_worse(curves) or began_well:
        return None
    updates = updates_of_epoch(curves)
    few = updates is not None and updates <= limits.FEW_UPDATES
    batches = f", and smaller batches, for an epoch has {updates} updates only" if few else ""
    is_long = len(trend.values) >= limits.ENOUGH
    unless = "" if len(accuracies) else "unless it goes on from a trained network, "
    return Finding(
        "learning_rate_low",
        "the learning rate looks low, since the training loss falls slowly and nearly straight, by "
        f"{percent(trend.progress)} in {curves.span(len(curves.loss))}",
        f"{unless}try {_rate_times(curves, 10)}{batches}; {_FINDER}",
        severity="warning" if len(accuracies) else "info",
        evidence=_evidence(trend) | {"updates_of_an_epoch": updates},
        confidence="likely" if len(accuracies) and is_long else "possible",
    )


def _good(curves, trend):
    """Falls fast, then smoothly."""
    falls_on = trend.progress >= limits.MUCH and trend.score < -limits.SURE
    is_known = len(curves.accuracy) or trend.fallen * len(trend.values) > 1  # not in one epoch
    is_sure = len(curves.accuracy) > 0 and len(trend.values) >= limits.ENOUGH
    is_smooth = trend.jumps <= limits.JUMPS / 2
    if not (falls_on and is_known and is_smooth) or is_high(curves) or has_one_accuracy(curves):
        return None
    return Finding(
        "learning_rate_good",
        "the learning rate looks good, since the training loss falls by "
        f"{percent(trend.progress)}, fast at first and then smoothly",
        "keep it",
        severity="info",
        evidence=_evidence(trend),
        confidence="likely" if is_sure else "possible",
    )


def is_validation_worse(curves):
    """Whether the validation loss rises for sure, so that more of the same is no help."""
    values = curves.val_loss.finite().values
    return len(values) >= limits.FEWEST and trend_score(shortened(values)) > limits.SURE


def updates_of_epoch(curves):
    """How many updates an epoch has, or None where batches or epochs are not known."""
    if curves.batches is None or curves.step is not None:
        return None
    batches = len(curves.batches.losses) * curves.batches.block
    return max(round(batches / (curves.loss.epochs[-1] + 1 - curves.loss.epochs[0])), 1)


def _rate_times(curves, factor):
    """What rate to try, in numbers where they are known."""
    rates = curves.learning_rate.finite().values
    if len(rates):
        return f"a learning rate of {rates.max() * factor:.2g} in place of {rates.max():.2g}"
    return {0.1: "a tenth of it", 0.3: "a third of it", 10: "ten times as much"}[factor]


def _evidence(trend):
    """The numbers of the shape, by the names that the docstring of `diagnose` has."""
    return {
        "first": trend.first,
        "last": trend.last,
        "lowest": trend.lowest,
        "progress": trend.progress,
        "jumps": trend.jumps,
        "straightness": trend.straightness,
        "noise": trend.noise,
    }
