"""Kernels that start with the standard deviation that belongs to another fan."""

import math

import keras
import numpy as np

from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._structure.kernels import all_kernels, known_kernels, no_kernels
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.initializers import CalibratedNormal, HeNormal

_SAME = 0.01  # relative difference of standard deviations up to which they are one
_SIGMAS = 5  # of the sampling error within which a kernel is as it was drawn


def find_wrong_fans(model):
    """Kernels that HeNormal or CalibratedNormal took for others, and that are still as drawn."""
    return [
        _finding(path, kernel, initializer, right)
        for path, layer in walk_layers(model)
        for kernel in all_kernels(layer) + no_kernels(layer)
        if isinstance(initializer := _initializer(kernel), (CalibratedNormal, HeNormal))
        if not math.isclose(
            given := _given(initializer, kernel),
            right := _right(initializer, kernel),
            rel_tol=_SAME,
        )
        if _is_as_drawn(kernel.variable, given)
    ]


def _initializer(kernel):
    return getattr(kernel.layer, f"{kernel.prefix}_initializer", None)


def _given(initializer, kernel):
    """The standard deviation that it draws this kernel with."""
    shape = kernel.variable.shape
    if kernel.kind == "einsum" and initializer.input_axes is None:  # as EinsumDense does
        others = [axis for axis in range(len(shape)) if axis not in kernel.axes]
        axes = {"input_axes": kernel.axes, "output_axes": others}
        initializer = type(initializer).from_config({**initializer.get_config(), **axes})
    return initializer.stddev_for(tuple(shape))


def _right(initializer, kernel):
    """The standard deviation by what the layer does; 0 for what is no kernel."""
    if kernel.kind is None:
        return 0.0
    return initializer.stddev_of(kernel.fan_in if initializer.mode == "fan_in" else kernel.fan_out)


def _is_as_drawn(variable, stddev):
    """Whether the values have this standard deviation, within the error of sampling."""
    return abs(_rms(variable) / stddev - 1) < _SIGMAS / math.sqrt(2 * math.prod(variable.shape))


def _rms(variable):
    values = keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
    return math.sqrt(np.mean(np.square(values, dtype="float64")))


def _finding(path, kernel, initializer, right):
    name, mode = type(initializer).__name__, initializer.mode.replace("_", "-")
    message = (
        f"{name} gave this {kernel.noun} of shape {kernel.variable.shape} a standard deviation of "
        f"{_rms(kernel.variable):.3g}"
    )
    if kernel.kind is None:
        message, advice = f"{message}, and it is no kernel", "start it from zeros or a constant"
    else:
        fan = kernel.fan_in if initializer.mode == "fan_in" else kernel.fan_out
        message += f", and with its {mode} of {fan} it is {right:.3g}"
        advice = f"make it {name}({_arguments(initializer, kernel)})"
        advice += ", or call initializers.lsuv" if known_kernels(kernel.layer) else ""
    if kernel.kind == "embedding":
        advice = "take SmallNormal, with the standard deviation that you want"
    return Finding("wrong_fan", message, advice, path)


def _arguments(initializer, kernel):
    """What it is to be made with for this kernel."""
    given = {"mode": initializer.mode} if initializer.mode == "fan_out" else {}
    given |= {} if kernel.kind == "einsum" else {"kernel": kernel.kind}
    given |= {"groups": kernel.groups} if given.get("mode") and kernel.groups > 1 else {}
    return ", ".join(f"{name}={value!r}" for name, value in given.items())
