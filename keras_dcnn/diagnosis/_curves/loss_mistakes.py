"""Rules of losses that are no use: not finite, negative, constant, all wrong and certain."""

import numpy as np

from keras_dcnn.diagnosis._curves import limits
from keras_dcnn.diagnosis._curves.levels import certain_mistakes, constant_since
from keras_dcnn.diagnosis.finding import Finding


def find_not_finite(curves):
    """NaN and ∞: to the end, in single epochs, or in validation alone."""
    yield from _not_finite("loss", curves.loss, curves)
    if not len(curves.loss) or np.isfinite(curves.loss.values[-1]):
        yield from _not_finite("val_loss", curves.val_loss, curves)


def _not_finite(name, curve, curves):
    (bad,) = np.nonzero(~np.isfinite(curve.values))
    if not len(bad):
        return
    lasts = bad[-1] == len(curve) - 1
    of_training = name == "loss"
    if not lasts:
        if np.isnan(curve.values[bad]).all() and not of_training:
            return  # rows of epochs that were not validated
        first = bad[0]
        message = f"'{name}' is {curve.values[first]} in {curves.span(len(bad))}, and finite after"
        advice = "look at these epochs: numbers overflow in some batches, or rows are missing"
    else:
        (good,) = np.nonzero(np.isfinite(curve.values))
        first = good[-1] + 1 if len(good) else 0
        message = f"'{name}' is {curve.values[-1]} from {curves.where(curve.epochs[first])} on"
        advice = _advice(of_training, begins=not len(good))
    yield Finding(
        "not_finite",
        message,
        advice,
        severity="error" if lasts and of_training else "warning",
        evidence={"curve": name, "first": int(curve.epochs[first]), "epochs": len(bad)},
        confidence="certain",
    )


def _advice(of_training, begins):
    if not of_training:
        return "look for NaN and ∞ in the validation data"
    if begins:
        return "look for NaN and ∞ in inputs and labels, scale the inputs, then lower the rate"
    return (
        "try a tenth of the learning rate, or clip gradients (`clipnorm=1`); if it stays, look for "
        "NaN in the inputs, and for logarithms and divisions by 0 in a loss of your own"
    )


def find_negative(curves):
    """A loss below 0, which a cross-entropy of right labels can't be."""
    values = curves.loss.finite().values
    if not len(values) or values.min() >= 0:
        return
    classifies = len(curves.accuracy) > 0 or curves.num_classes is not None
    is_error = classifies and values.min() < -1  # −Dice and −cosine go as far as −1
    yield Finding(
        "negative_loss",
        f"the loss goes down to {values.min():.3g}, which no cross-entropy or squared error can be",
        "look at the sign of your loss, and whether labels are what it expects: 0 and 1 for "
        "`binary_crossentropy`, class numbers for `sparse_categorical_crossentropy`",
        severity="error" if is_error else "warning" if classifies else "info",
        evidence={"lowest": float(values.min())},
        confidence="likely" if is_error else "possible",
    )


def find_constant(curves):
    """A loss that is the same in every epoch, or from an early one on: no gradient gets through."""
    start = constant_since(curves)
    if start is None or certain_mistakes(curves) or _is_cut(curves) or _is_learned(curves):
        return
    values = curves.loss.finite().values
    since = "in every epoch" if not start else f"from {curves.where(start + 1)} on"
    yield Finding(
        "constant_loss",
        f"the loss is the same, {values[-1]:.5g}, {since}, so that the weights don't change, or "
        "the outputs don't depend on them",
        "look whether layers are trainable, whether all ReLUs are dead or all outputs saturated "
        "(inputs not scaled, rate too high), and for a softmax on a single unit",
        severity="error",
        evidence={"loss": float(values[-1]), "since": start + 1, "epochs": len(values) - start},
        confidence="certain",
    )


def _is_cut(curves):
    """Whether the rate has become so low that nothing needs to change."""
    rates = curves.learning_rate.finite().values
    return len(rates) > 0 and rates[-1] < 1e-3 * rates.max()


def _is_learned(curves):
    accuracies = curves.accuracy.finite().values
    return len(accuracies) > 0 and accuracies[-1] > 1 - limits.NO_GAP


def find_saturated(curves):
    """All mistakes made with certainty: the loss is 16.1 times their share."""
    mistakes = certain_mistakes(curves)
    if mistakes is None:
        return
    last, wrong = mistakes
    yield Finding(
        "saturated_outputs",
        f"the loss, {last:.3g}, is 16.1 times the share of mistakes, {wrong:.2f}, as of "
        "answers that are all given with full certainty, where no gradient is left",
        "scale the inputs (`Rescaling`), and try a tenth or a hundredth of the learning rate; of "
        "one output unit the activation must be a sigmoid, not a softmax",
        severity="error",
        evidence={"loss": last, "mistakes": wrong},
        confidence="likely",
    )
