"""Layers that answer samples with zeros, with the ends of their range, or always alike."""

import keras
import numpy as np

from keras_dcnn._keras.graph import all_layers
from keras_dcnn._structure.kernels import known_kernels
from keras_dcnn.diagnosis._preflight.activation_kinds import NORMALIZATIONS
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding

_DEAD = 0.4  # of the units; the share of which the tutorial tells
_NEARLY_ALL = 0.9
_ENDED = 0.95  # of a layer's outputs
_ENOUGH = 32  # samples; of fewer, units may not fire by chance
_LEAST = 8  # samples, below which nothing is said of how they differ
# Of the deviation over the samples, as part of the size of the features: of a deep network of
# ReLUs, fresh, it is some percent, and of inputs that differ at all above the second.
_ALIKE, _DIFFERENT = 1e-4, 1e-2
# From the first kernel to the last; 16 layers as Glorot's, with ReLU, make it 0.004.
_VANISHED, _GROWN = 1e-4, 1e3


def find_dead_units(model, samples, activity):
    """Layers of which more than 40 % of the rectified units fire for no sample."""
    firing = [(one.path or one.layer.name, one.fires) for one in activity if one.fires is not None]
    shares = {path: float(np.mean(~fires)) for path, fires in firing}
    dead = {path: share for path, share in shares.items() if share > _DEAD}
    if not dead:
        return []
    most, of_all = max(dead.values()), np.mean(~np.concatenate([fires for _, fires in firing]))
    few, averaged = samples.count < _ENOUGH, _has_averages(model)
    severity = "warning" if of_all > _DEAD or most > _NEARLY_ALL else "info"
    if most == 1 and not averaged and _answers_alike(samples, activity):
        severity = "error"
    return [
        Finding(
            "dead_units",
            f"of {listed(_worst_first(dead))} up to {percent(most)} of the rectified units fire "
            f"for none of {samples.count} samples, of all {percent(of_all)}",
            "lower the learning rate, begin with He's initialisation (HeNormal), or take leaky "
            f"rectifiers (RReLU, PReLU){_caution(few, averaged)}",
            severity="info" if few else severity,
            evidence={"dead": shares, "samples": samples.count},
            confidence="likely" if severity == "error" and not few else "possible",
        )
    ]


def find_saturated_units(model, samples, activity):
    """Hidden sigmoids and the like of whose outputs more than 95 % lie at an end of the range."""
    shares = {one.path: one.ended for one in activity if one.ended is not None}
    ended = {path: share for path, share in shares.items() if share > _ENDED}
    if not ended:
        return []
    return [
        Finding(
            "saturated_units",
            f"of the outputs of {listed(_worst_first(ended))} up to {percent(max(ended.values()))} "
            "lie in the last percent of the range of their activation, where next to no gradient "
            "passes",
            "scale the inputs, start from smaller weights (Glorot's), lower the learning rate, or "
            "take ReLU",
            evidence={"saturated": shares, "samples": samples.count},
            confidence="likely",
        )
    ]


def find_variance_by_depth(model, samples, activity):
    """Differences between samples that are lost on the way, or grow by orders of magnitude."""
    kernels = [one for one in activity if one.layer is not None and known_kernels(one.layer)]
    if samples.count < _LEAST or len(kernels) < 2:
        return []
    evidence = {"deviation": {one.path: one.deviation for one in kernels}}
    last = kernels[-1]
    if _answers_alike(samples, activity):
        averaged = _has_averages(model)
        message = (
            f"all {samples.count} samples give the same answer: what reaches the last kernel, that "
            f"of `{last.path}`, differs by less than {_ALIKE:g} of its size"
        )
        advice = "start from HeNormal and take ReLU, lower the rate, and look for layers that died"
        return [_by_depth(message, advice + _caution(False, averaged), evidence, averaged)]
    if any(isinstance(layer, NORMALIZATIONS) for layer in all_layers(model)):
        return []
    return list(_change(kernels[0].deviation, last, evidence))


def _change(first, last, evidence):
    """What the way from the first kernel to the last does to the differences between samples."""
    change = last.taken_deviation / first if first else 1.0
    if change > _GROWN:
        message, advice = "grow", "start from smaller weights (HeNormal), or add BatchNormalization"
    elif change < _VANISHED:
        message = "vanish"
        advice = "start from HeNormal, take ReLU for sigmoids, or add BatchNormalization"
    else:
        return
    message = (
        f"the differences between samples {message} with depth: what reaches the last kernel, that "
        f"of `{last.path}`, has {change:.2g} times the standard deviation of the first's outputs"
    )
    yield _by_depth(message, advice, evidence, averaged=True)


def _by_depth(message, advice, evidence, averaged):
    severity, confidence = ("warning", "possible") if averaged else ("error", "likely")
    return Finding(
        "variance_by_depth",
        message,
        advice,
        severity=severity,
        evidence=evidence,
        confidence=confidence,
    )


def _answers_alike(samples, activity):
    """Whether samples that differ are the same before the last kernel, and in all outputs.

    Not by the outputs alone, as an output layer may start from zeros.
    """
    kernels = [one for one in activity if one.layer is not None and known_kernels(one.layer)]
    if samples.count < _LEAST or not kernels or not _differ(samples.x):
        return False
    last, outputs = kernels[-1], activity[-1]
    return (
        last.taken_deviation <= _ALIKE * last.taken_size
        and outputs.deviation <= _ALIKE * outputs.size
    )


def _differ(x):
    """Whether the samples of an input do, by more than a share of their size."""
    for leaf in keras.tree.flatten(x):
        leaf = np.asarray(leaf, "float64")
        if leaf.std(axis=0).max() > _DIFFERENT * np.abs(leaf).max():
            return True
    return False


def _has_averages(model):
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in all_layers(model))


def _caution(few, averaged):
    caution = "; more samples may find fewer" if few else ""
    if averaged:
        caution += "; soon after the start it may be that BatchNormalization's averages lag behind"
    return caution


def _worst_first(shares):
    return sorted(shares, key=shares.get, reverse=True)
