"""The untruncated normals that the initializers draw from, anew at every call."""

import math
import random

import keras
import numpy as np

from keras_dcnn._checks import arguments_of, as_axes
from keras_dcnn._random.draws import as_seed
from keras_dcnn._structure.kernels import check_kernel_shape, incoming_axes, outgoing_axes


class Normal(keras.initializers.Initializer):
    """Base of the initializers: a subclass gives `stddev_for(shape)`.

    Keras's initializers of one seed give the same weights to all layers of one shape; a shared
    instance of these draws anew for each.
    """

    def __init__(self, seed=None):
        self.seed = seed = as_seed(seed)
        # Python's generator is the one that keras.utils.set_random_seed and Keras's own use.
        self._seeds = np.random.SeedSequence(random.getrandbits(64) if seed is None else seed)

    def __call__(self, shape, dtype=None):
        dtype = keras.backend.standardize_dtype(dtype)
        if "float" not in dtype:
            name = type(self).__name__
            raise ValueError(f"{name} draws real numbers, for weights of floats; got {dtype!r}.")
        stddev = self.stddev_for(tuple(shape))
        (child,) = self._seeds.spawn(1)
        seed = int(child.generate_state(1)[0]) >> 1
        # JAX's own draws in half precision lack the tails, those in float8 all beyond 2σ.
        precise = dtype if dtype == "float64" else "float32"
        drawn = keras.random.normal(shape, stddev=stddev, dtype=precise, seed=seed)
        return drawn if dtype == precise else keras.ops.cast(drawn, dtype)

    def get_config(self):
        return arguments_of(self)


class FanNormal(Normal, keras.initializers.VarianceScaling):
    """Base of those whose variance is a number over a fan; the number is VarianceScaling's `scale`.

    It is one of those for EinsumDense, which gives a copy of such an initializer, and of no other,
    the `input_axes` and `output_axes` of its kernel.
    """

    def __init__(self, scale, mode, kernel, groups, seed, input_axes, output_axes):
        for name, axes in (("input_axes", input_axes), ("output_axes", output_axes)):
            as_axes(name, axes)
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                "`input_axes` and `output_axes` go together; got "
                f"input_axes={input_axes!r} and output_axes={output_axes!r}: give both or neither."
            )
        keras.initializers.VarianceScaling.__init__(
            self, scale, mode, "untruncated_normal", 0, input_axes, output_axes
        )
        super().__init__(seed)
        self.kernel = kernel
        self.groups = groups

    def stddev_of(self, fan):
        """The standard deviation for a fan-in or, with the mode fan-out, a fan-out."""
        return math.sqrt(self.scale / fan)

    def stddev_for(self, shape):
        return self.stddev_of(self._fan(shape))

    def _fan(self, shape):
        """By the given axes, or those of the kind of kernel."""
        name, is_in = type(self).__name__, self.mode == "fan_in"
        if self.input_axes is None:
            check_kernel_shape(name, self.kernel, shape)
            axes = (incoming_axes if is_in else outgoing_axes)(self.kernel, shape)
            outputs = shape[-2 if self.kernel == "transpose" else -1]
        else:
            axes = as_axes("axes", self.input_axes if is_in else self.output_axes)
            outputs = math.prod(shape[axis] for axis in as_axes("axes", self.output_axes))
        if outputs % self.groups:
            raise ValueError(
                f"A kernel of shape {shape} has {outputs} outputs, which are not to be divided "
                f"into groups={self.groups}."
            )
        return math.prod(shape[axis] for axis in axes) / (1 if is_in else self.groups)
