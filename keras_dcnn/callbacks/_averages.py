"""Running averages of lists of tensors: of all, exponential, or of the latest."""

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


class Average:
    """`"swa"`: the mean of all values; `"ema"`: a ← decay·a + (1 − decay)·v, from the first value
    on; `"lawa"`: the mean of the latest `window`."""

    def __init__(self, kind, decay, window):
        self.number = 0
        self._kind, self._decay = kind, decay
        self._held = deque(maxlen=window if kind == "lawa" else 1)  # the average, or the latest

    def add(self, values):
        self.number += 1
        if self._kind == "lawa" or not self._held:
            self._held.append(compiled_once(copy)(values))
        else:
            share = 1 / self.number if self._kind == "swa" else 1 - self._decay
            share = ops.convert_to_tensor(share, "float32")
            self._held.append(compiled_once(blend)(self._held[0], values, share))

    def value(self):
        """The average as new tensors, since JAX's steps take over what a variable holds."""
        number = len(self._held)
        return [sum(parts[1:], parts[0]) / number for parts in zip(*self._held, strict=True)]

    def get_state(self):
        held = [[np.array(ops.convert_to_numpy(x)) for x in values] for values in self._held]
        return {"number": self.number, "latest": held}

    def set_state(self, state):
        # An earlier version wrote the one list of "swa" and "ema" by itself, None before there was.
        held = state["latest"] if "latest" in state else filter(None, [state["values"]])
        self.number = state["number"]
        self._held.clear()
        self._held.extend(
            [ops.convert_to_tensor(x, x.dtype.name) for x in values] for values in held
        )

    def __getstate__(self):
        held = self.get_state()
        return {"arguments": (self._kind, self._decay, self._held.maxlen), "held": held}

    def __setstate__(self, state):
        self.__init__(*state["arguments"])
        self.set_state(state["held"])
