"""What a training that has learned nothing would have: the loss and the accuracy of chance."""

import math
from typing import NamedTuple

import numpy as np

from keras_dcnn.diagnosis._curves import limits
from keras_dcnn.diagnosis._curves.trend import tail_of
from keras_dcnn.diagnosis._shares import percent

_MOST = math.log(100_000)  # the loss of chance of more classes than anybody has


class Chance(NamedTuple):
    """The level of guessing among `classes`; `told` where these were given, not inferred."""

    classes: int
    told: bool

    @property
    def loss(self):
        """The cross-entropy of equal probabilities, ln C."""
        return math.log(self.classes)

    def most(self, times=1):
        """The accuracy up to which one can't speak of more than chance."""
        return (1 + times * limits.LEVEL_OF_CHANCE * (1 - 1 / self.classes)) / self.classes

    def has(self, accuracy, times=1):
        """Whether an accuracy is at this level; far below it is of more classes than inferred."""
        return (self.told or accuracy >= 0.5 / self.classes) and accuracy <= self.most(times)

    def off(self, loss):
        """By which part of it a loss differs from that of chance."""
        return abs(loss / self.loss - 1)


def final(curve):
    """The median of the last third of the finite values, or NaN where there are none."""
    values = curve.finite().values
    return float(np.median(tail_of(values))) if len(values) else math.nan


def result_of(curves):
    """What the training came to, in words, and its accuracy, or None where none was logged."""
    accuracy = final(curves.accuracy)
    if math.isnan(accuracy):
        return f"a loss of {final(curves.loss):.3g}", None
    return f"an accuracy of {percent(accuracy, 1)}", accuracy


def chance_of(curves):
    """The `Chance` at whose level the training ends, or None where it is above, or unknown.

    Where nobody says how many classes there are, loss and accuracy together do: ln C and 1/C.
    """
    accuracy, loss = final(curves.accuracy), final(curves.loss)
    chance = _guess(curves, loss)
    if chance is None:
        return None
    fits = chance.off(loss) <= limits.LOSS_OF_CHANCE
    if math.isnan(accuracy):
        return chance if fits and chance.told else None
    is_at = chance.has(accuracy) and (fits or chance.told)
    return (
        chance
        if is_at or (chance.off(loss) <= limits.CLOSELY and chance.has(accuracy, 2))
        else None
    )


def chance_of_validation(curves):
    """The same of validation, whose loss may be higher, also where training is above chance."""
    losses = curves.val_loss.finite().values
    chance = _guess(curves, losses.min()) if len(losses) else None
    return chance if chance and chance.has(final(curves.val_accuracy)) else None


def _guess(curves, loss):
    """The chance of the number of classes that was given, or that the loss would be of."""
    if curves.num_classes is not None:
        return Chance(curves.num_classes, told=True)
    return Chance(max(round(math.exp(loss)), 2), told=False) if 0 < loss < _MOST else None


def is_high(curves):
    """Whether the training ends with a low accuracy, or, where none is known, half the loss."""
    accuracy = final(curves.accuracy)
    if not math.isnan(accuracy):
        return accuracy < limits.LOW_ACCURACY
    return curves.trend is not None and curves.trend.progress < limits.MUCH


def constant_since(curves):
    """The place, near the beginning, from which on the loss is the same to the end, or None.

    Not where it has fallen by half: a training may be at its least, without any noise.
    """
    values = curves.loss.finite().values
    if not len(values) or values[-1] <= limits.CONSTANT or values[-1] < limits.MUCH * values[0]:
        return None
    (moves,) = np.nonzero(abs(values - values[-1]) > limits.CONSTANT * values[-1])
    start = int(moves[-1]) + 1 if len(moves) else 0
    is_early = start <= max(limits.FIRST_EPOCHS, limits.FIRST_PART * len(values))
    return start if is_early and len(values) - start >= limits.CONSTANT_EPOCHS else None


def certain_mistakes(curves):
    """The loss and the share of mistakes, where the one is −ln 1e-7 times the other; or None."""
    accuracy, loss = curves.accuracy.finite(), curves.loss.finite()
    if len(accuracy) < 2 or len(accuracy) != len(loss):
        return None
    wrong, last = 1 - float(np.median(accuracy.values[-3:])), float(np.median(loss.values[-3:]))
    if wrong < limits.NO_GAP or abs(last / wrong / limits.CERTAIN_MISTAKE - 1) > limits.SATURATED:
        return None
    return last, wrong


def has_one_accuracy(curves):
    """Whether validation has one accuracy in all epochs, as where one class is always named."""
    values = curves.val_accuracy.finite().values
    return len(values) >= limits.FEWEST and bool(np.ptp(values) == 0) and values[0] < 1


def falls(curves):
    """Whether the loss falls surely, and by more than noise."""
    trend = curves.trend
    return trend.score < -limits.SURE and trend.fall > limits.CLEAR * trend.noise


def is_slow(curves):
    """Whether the loss falls surely, little and nearly straight."""
    trend = curves.trend
    little = min(limits.LITTLE, limits.LITTLE_AN_EPOCH * len(curves.loss))
    low, high = limits.STRAIGHT
    return (
        trend is not None
        and falls(curves)
        and trend.progress < little
        and low <= trend.straightness <= high
    )


def learns(curves):
    """Whether there is a trend to read, of a loss that is no sign of a broken training."""
    trend = curves.trend
    return (
        trend is not None
        and trend.first > 0
        and 0 < trend.last <= (1 + limits.RISEN) * trend.first
        and constant_since(curves) is None
        and certain_mistakes(curves) is None
        and chance_of(curves) is None
    )
