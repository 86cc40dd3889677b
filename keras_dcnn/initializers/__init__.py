"""Weight initialisation (§3)."""

from keras_dcnn.initializers.he_normal import HeNormal
from keras_dcnn.initializers.lsuv import lsuv

__all__ = ["HeNormal", "lsuv"]
