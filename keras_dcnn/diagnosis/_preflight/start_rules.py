"""Kernels that are drawn far too large or too small for their number of inputs."""

import math

import keras
import numpy as np

from keras_dcnn._structure.kernels import known_kernels
from keras_dcnn.diagnosis._preflight.activation_kinds import NORMALIZATIONS
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis.finding import Finding

_initializers = keras.initializers
# Of σ·√fan_in, by which a layer changes the scale of its inputs; √2 after He et al. for ReLU, 1
# after Glorot and Bengio. Small starts as the tutorial's 0.01 are within, of any kernel above 1×1.
_HIGH, _LOW = 10, 0.01
_SAME = 0.2  # relative difference up to which a kernel is as it was drawn


def find_odd_starts(subject):
    """Kernels as drawn by a standard deviation of the user's, with no normalization behind."""
    gains, network = {}, subject.network
    for step in network.steps if network else ():
        normed = any(isinstance(one.operation, NORMALIZATIONS) for one in network.after(step))
        gain = None if normed else _gain(step.operation)
        if gain is not None and (gain > _HIGH or gain < _LOW):
            gains[step.path] = gain
    found = []
    for rule, fits, what in (
        ("large_start", lambda gain: gain > _HIGH, "larger"),
        ("small_start", lambda gain: gain < _LOW, "smaller"),
    ):
        odd = {path: gain for path, gain in gains.items() if fits(gain)}
        if odd:
            factor = max(odd.values()) if rule == "large_start" else 1 / min(odd.values())
            message = (
                f"the kernels of {listed([*odd])} start up to {factor:.3g} times {what} than 1/√n "
                "of n inputs"
            )
            advice = 'take a standard deviation by the inputs, as "he_normal" does'
            found.append(
                Finding(rule, message, advice, evidence={"gains": odd}, confidence="likely")
            )
    return found


def _gain(operation):
    """σ·√fan_in of the first kernel of a layer whose σ its initializer gives, or None."""
    kernels = known_kernels(operation) if isinstance(operation, keras.Layer) else []
    if not kernels or kernels[0].variable is None or not kernels[0].variable.trainable:
        return None
    sigma = _sigma(getattr(operation, f"{kernels[0].prefix}_initializer", None))
    if not sigma:
        return None
    gain = sigma * math.sqrt(kernels[0].fan_in)
    if _LOW <= gain <= _HIGH:
        return None
    drawn = float(np.std(keras.ops.convert_to_numpy(kernels[0].variable)))
    return gain if math.isclose(drawn, sigma, rel_tol=_SAME) else None


def _sigma(initializer):
    if isinstance(initializer, _initializers.RandomUniform):
        return (initializer.maxval - initializer.minval) / math.sqrt(12)
    if isinstance(initializer, (_initializers.RandomNormal, _initializers.TruncatedNormal)):
        return initializer.stddev
    return None
