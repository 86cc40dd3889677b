"""Running averages of lists of tensors: all of them, exponential, or of the latest."""

import functools
from collections import deque

import keras
import numpy as np

from keras_dcnn._keras.compiling import compile_function

ops = keras.ops
compiled_once = functools.cache(compile_function)  # or TensorFlow warns of many tracings


def wide(dtype):
    """The dtype in which values of `dtype` are averaged: float32 at least."""
    dtype = keras.backend.standardize_dtype(dtype)
    return "float64" if dtype == "float64" else "float32"


def copy(values):
    """Copies that no training step can overwrite or donate."""
    return [ops.cast(ops.copy(value), wide(value.dtype)) for value in values]


def blend(averages, values, share):
    """a + share·(v − a)."""
    return [
        a + ops.cast(share, a.dtype) * (ops.cast(v, a.dtype) - a)
        for a, v in zip(averages, values, strict=True)
    ]


class RunningMean:
    """The mean of all values: aₙ = aₙ₋₁ + (v − aₙ₋₁)/n."""

    def __init__(self):
        self.number = 0
        self._average = None
        self._copy, self._blend = compiled_once(copy), compiled_once(blend)

    def add(self, values):
        self.number += 1
        if self._average is None:
            self._average = self._copy(values)
        else:
            share = ops.convert_to_tensor(self.share(), "float32")
            self._average = self._blend(self._average, values, share)

    def share(self):
        """The weight of the newest value."""
        return 1 / self.number

    def value(self):
        return self._average

    def get_state(self):
        return {"number": self.number, "values": _arrays(self._average)}

    def set_state(self, state):
        self.number = state["number"]
        self._average = _tensors(state["values"])


class ExponentialMean(RunningMean):
    """The exponential moving average: a ← decay·a + (1 − decay)·v, from the first value on."""

    def __init__(self, decay):
        super().__init__()
        self._decay = decay

    def share(self):
        return 1 - self._decay


class LatestMean:
    """The mean of the latest values."""

    def __init__(self, window):
        self.number = 0
        self._latest = deque(maxlen=window)
        self._copy = compiled_once(copy)

    def add(self, values):
        self.number += 1
        self._latest.append(self._copy(values))

    def value(self):
        number = len(self._latest)
        return [sum(parts[1:], parts[0]) / number for parts in zip(*self._latest, strict=True)]

    def get_state(self):
        return {"number": self.number, "latest": [_arrays(values) for values in self._latest]}

    def set_state(self, state):
        self.number = state["number"]
        self._latest.clear()
        self._latest.extend(_tensors(values) for values in state["latest"])


def _arrays(tensors):
    return None if tensors is None else [np.array(ops.convert_to_numpy(x)) for x in tensors]


def _tensors(arrays):
    return None if arrays is None else [ops.convert_to_tensor(x, x.dtype.name) for x in arrays]
