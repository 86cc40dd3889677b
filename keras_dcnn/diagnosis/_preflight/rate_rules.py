"""Learning rates outside what an optimizer usually gets."""

from typing import NamedTuple

import keras

from keras_dcnn._keras.optimizers import has_fixed_rate, leaf_optimizers, training_optimizers
from keras_dcnn.diagnosis.finding import Finding

_optimizers = keras.optimizers


class _Usual(NamedTuple):
    """Rates below `low` are slow, unless one fine-tunes; above `high` steps are too long."""

    low: float
    high: float


# A hundredth of what the paper or Keras sets, and ten times that: Bengio (2012) has typical values
# below 1 and above 1e-6 for SGD, with 0.01 as the default; Kingma and Ba (2015) 0.001 for Adam;
# Zeiler (2012) 1 for Adadelta, of which Keras's default is a thousandth; Duchi et al. 0.01 for
# Adagrad; Chen et al. (2023) a third to a tenth of AdamW's for Lion. SGD's 1 is Bengio's.
_ADAM = _Usual(1e-5, 1e-2)
_USUAL = {
    _optimizers.SGD: _Usual(1e-4, 1),
    _optimizers.Adadelta: _Usual(0.1, 10),
    _optimizers.Adagrad: _Usual(1e-4, 1),
    _optimizers.Lion: _Usual(1e-6, 1e-3),
    **dict.fromkeys(
        (
            *(_optimizers.Adam, _optimizers.AdamW, _optimizers.Nadam, _optimizers.Adamax),
            *(_optimizers.RMSprop,),
        ),
        _ADAM,
    ),
}
_STEPS = (0, 1, 10, 100, 1000, 10_000)  # at which a schedule is asked
_FAR = 100  # times too high: no use at all
_ADVICE = "take {}, or what `diagnosis.find_learning_rate` finds"


def find_unusual_rates(subject):
    """One finding for each optimizer of a rate that is not between `low` and `high`."""
    found = []
    for held in training_optimizers(subject.model):
        leaves = [one for one in leaf_optimizers(held.optimizer) if hasattr(one, "learning_rate")]
        rates = [(leaf, rate) for leaf in leaves if (rate := _highest_rate(leaf)) is not None]
        if len(rates) > 1:  # a group at 0 is a frozen one
            rates = [(leaf, rate) for leaf, rate in rates if rate]
        found += [finding for leaf, rate in rates if (finding := _of_rate(leaf, rate))]
    return found


def _highest_rate(optimizer):
    """The rate, of a schedule the highest that it comes to; None where nobody knows."""
    if has_fixed_rate(optimizer):
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    config = optimizer.get_config().get("learning_rate")
    if not isinstance(config, dict):
        return None
    try:
        schedule = _optimizers.schedules.deserialize(config)
        return max(float(keras.ops.convert_to_numpy(schedule(step))) for step in _STEPS)
    except (AttributeError, NotImplementedError, TypeError, ValueError):  # one of the user's
        return None


def usual_rates(optimizer):
    """The lowest and highest usual rate of a single optimizer; None of one that isn't known."""
    kinds = _USUAL.items()  # on PyTorch those of Keras are of classes below these
    return next((usual for kind, usual in kinds if isinstance(optimizer, kind)), None)


def _of_rate(optimizer, rate):
    name = type(optimizer).__name__
    usual = usual_rates(optimizer)
    if rate <= 0:
        what = "nothing is learnt" if rate == 0 else "the loss is climbed, not descended"
        message = f"the learning rate of {name} is {rate:g}, at which {what}"
        return _finding("rate_not_positive", message, usual, "error", rate)
    if usual is None:
        return None
    momentum = (
        float(getattr(optimizer, "momentum", 0) or 0)
        if isinstance(optimizer, _optimizers.SGD)
        else 0
    )
    if rate > usual.high or rate / max(1 - momentum, 1e-3) > 10 * usual.high:
        of = f", with momentum {momentum:g}," if momentum else ""
        message = f"the learning rate {rate:.3g} of {name}{of} is very high"
        severity = "error" if rate >= _FAR * usual.high else "warning"
        return _finding("high_rate", message, usual, severity, rate)
    if rate < usual.low * 1.01:
        message = f"the learning rate {rate:.3g} of {name} is very low"
        severity = "warning" if rate < usual.low / 5 else "info"
        if not isinstance(optimizer, _optimizers.Adadelta) and severity == "info":
            message = f"the learning rate {rate:.3g} of {name} is one for fine-tuning"
        return _finding("low_rate", message, usual, severity, rate)
    return None


def _finding(rule, message, usual, severity, rate):
    low, high = (usual.low * 10, usual.high / 10) if usual else (1e-4, 1e-3)
    advice = _ADVICE.format(f"{low:g} to {high:g}" if low < high else f"{low:g}")
    if severity == "info":
        advice = f"from scratch {advice}"
    confidence = "certain" if rate <= 0 else "possible"
    return Finding(rule, message, advice, None, severity, {"rate": rate}, confidence)
