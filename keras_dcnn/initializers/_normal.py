"""The untruncated normal that the initializers draw from, anew at every call."""

import random

import keras
import numpy as np

from keras_dcnn._checks import arguments_of
from keras_dcnn._random.draws import as_seed


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
        stddev = self.stddev_for(tuple(shape))
        (child,) = self._seeds.spawn(1)
        seed = int(child.generate_state(1)[0]) >> 1
        return keras.random.normal(shape, stddev=stddev, dtype=dtype, seed=seed)

    def get_config(self):
        return arguments_of(self)
