"""Rules of a training's course: too short to tell, stalled, not at its end, with spikes."""

import numpy as np

from keras_dcnn.diagnosis._curves import limits
from keras_dcnn.diagnosis._curves.levels import is_slow, learns
from keras_dcnn.diagnosis._curves.rate_mistakes import is_validation_worse
from keras_dcnn.diagnosis._curves.trend import smoothed
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding


def find_too_short(curves):
    """Too few epochs to say anything of a trend."""
    count = len(curves.loss.finite())
    if count < limits.FEWEST:
        yield Finding(
            "too_short",
            f"{count} {'epoch has' if count == 1 else 'epochs have'} a finite loss, too few to say "
            "the rate, the fit and the end",
            f"train for {limits.FEWEST} epochs at least"
            + ("" if curves.batches else ", or give `batch_losses` of a CurveRecorder"),
            severity="info",
            evidence={"epochs": count},
        )


def find_plateau(curves):
    """How long the training loss has not got better by one part in a hundred."""
    if not learns(curves) or is_slow(curves):
        return
    values, epochs = smoothed(curves.trend.values), curves.loss.finite().epochs
    best, since = values[0], 0
    for i, value in enumerate(values.tolist()):
        if value < best - limits.STALL * abs(best):
            best, since = value, i
    since = since * len(epochs) // len(values)  # of the epochs, which blocks may stand for
    length = len(epochs) - 1 - since
    if length < max(limits.FEWEST, limits.STALLED * len(epochs)):
        return
    yield Finding(
        "plateau",
        f"the training loss has not got better by 1 % for {curves.span(length)}, at {best:.3g}",
        "divide the learning rate by 5 (`callbacks.DivideLROnPlateau`); if that has been done, "
        "stop: more epochs bring nothing",
        severity="info",
        evidence={"since": int(epochs[since]), "epochs": length},
        confidence="certain",
    )


def find_not_converged(curves):
    """The loss was still falling at the end, and validation did not get worse."""
    trend = curves.trend
    if not learns(curves) or is_validation_worse(curves):
        return
    if trend.score > -limits.SURE or trend.tail_fall < limits.FALLING * trend.fall:
        return
    yield Finding(
        "not_converged",
        f"the training is not at its end, since its last third brought {trend.tail_fall:.3g}, "
        f"{percent(trend.tail_fall / trend.fall)} of the whole fall",
        "train on",
        severity="info",
        evidence={"tail_fall": trend.tail_fall, "fall": trend.fall},
        confidence="likely",
    )


def find_spikes(curves):
    """Single epochs in which the loss leaps up, and is back after."""
    if curves.trend is None or len(curves.loss.finite()) < limits.FEWEST:
        return
    curve, trend = curves.loss.finite(), curves.trend
    heights = curve.values - smoothed(curve.values)
    least = max(limits.SPIKE * trend.fall, limits.SPIKE_NOISE * trend.noise)
    (spikes,) = np.nonzero(heights > least) if trend.fall > 0 else ([],)
    if not len(spikes):
        return
    highest = spikes[heights[spikes].argmax()]
    yield Finding(
        "spikes",
        f"the loss leaps up in {len(spikes)} of {len(curve)} epochs, highest in "
        f"{curves.where(curve.epochs[highest])} to {curve.values[highest]:.3g}",
        "clip gradients (`clipnorm=1`) or lower the rate; look at the worst images of that epoch "
        "and their labels",
        severity="warning" if len(spikes) > 1 else "info",
        evidence={"epochs": curve.epochs[spikes].tolist(), "highest": float(curve.values[highest])},
        confidence="likely",
    )
