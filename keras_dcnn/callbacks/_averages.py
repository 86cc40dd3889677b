"""Running averages of lists of tensors: of all, exponential, or of the latest."""

import functools
import math
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


def blend(averages, values, updates, new, settings):
    """a + share·(v − a), in which each `every`-th update has the same part.

    Updates between two values have the later one. Returns the number of updates too.
    """
    before, updates = updates // settings["every"], updates + new
    number = updates // settings["every"]
    mixed = []
    for a, value in zip(averages, values, strict=True):
        v, taken = ops.cast(value, a.dtype), ops.cast(number - before, a.dtype)
        if "log_decay" in settings:
            share = -ops.expm1(taken * ops.cast(settings["log_decay"], a.dtype))
        else:
            share = taken / ops.cast(ops.maximum(number, 1), a.dtype)
        mixed.append(ops.where(before == 0, v, a + share * (v - a)))
    return mixed, updates


def as_int(number):
    """A whole number of Python's, of a tensor too."""
    return int(ops.convert_to_numpy(number))


class Average:
    """`"swa"`: the mean of all values; `"ema"`: a ← decay·a + (1 − decay)·v, from the first value
    on; `"lawa"`: the mean of the latest `window`. Values count after each `every`-th update."""

    def __init__(self, kind, decay, window, every=1):
        self._arguments = kind, decay, window, every
        self._kind, self._every = kind, every
        self._updates = 0
        self._held = deque(maxlen=window if kind == "lawa" else 1)  # the average, or the latest
        self._next = None  # of "lawa", with the updates until then: held if there was one

    @property
    def updates(self):
        return as_int(self._updates)

    @property
    def number(self):
        """How many values count."""
        return self.updates // self._every

    def add(self, values, new=1):
        """The values after so many `new` updates, which may be a tensor and 0."""
        if self._kind == "lawa":
            self._hold_next()
            self._next = self._updates, self._updates + new, compiled_once(copy)(values)
            self._updates = self._next[1]
            return
        if not self._held:
            self._held.append(compiled_once(copy)(values))
        updates, new = (ops.convert_to_tensor(one, "int32") for one in (self._updates, new))
        mixed, self._updates = compiled_once(blend)(
            self._held[0], values, updates, new, self._settings(values)
        )
        self._held.append(mixed)

    def _settings(self, values):
        settings = {"every": ops.convert_to_tensor(self._every, "int32")}
        if self._kind == "ema":
            is_double = any(wide(value.dtype) == "float64" for value in values)
            log_decay = math.log(self._arguments[1])
            dtype = "float64" if is_double else "float32"
            settings["log_decay"] = ops.convert_to_tensor(log_decay, dtype)
        return settings

    def _hold_next(self):
        """Now that the training is a batch further, so that nothing waits for the numbers."""
        if self._next is not None:
            before, updates, values = self._next
            if as_int(updates) // self._every > as_int(before) // self._every:
                self._held.append(values)
        self._next = None

    def value(self):
        """The average as new tensors, since JAX's steps take over what a variable holds."""
        self._hold_next()
        number = len(self._held)
        return [sum(parts[1:], parts[0]) / number for parts in zip(*self._held, strict=True)]

    def get_state(self):
        self._hold_next()
        held = [[np.array(ops.convert_to_numpy(x)) for x in values] for values in self._held]
        return {"number": self.updates, "latest": held}

    def set_state(self, state, kind):
        """Go on from a state of averages of this kind."""
        if kind != self._kind:
            raise ValueError(
                f"a training goes on with the averages that it began; they are {kind!r}, got "
                f"kind={self._kind!r}: set it back, or train from the beginning."
            )
        # An earlier version wrote the one list of "swa" and "ema" by itself, None before there was.
        held = state["latest"] if "latest" in state else filter(None, [state["values"]])
        self._updates = state["number"]
        self._held.clear()
        self._held.extend(
            [ops.convert_to_tensor(x, x.dtype.name) for x in values] for values in held
        )

    def __getstate__(self):
        return {"arguments": self._arguments, "held": self.get_state()}

    def __setstate__(self, state):
        self.__init__(*state["arguments"])
        self.set_state(state["held"], self._kind)
