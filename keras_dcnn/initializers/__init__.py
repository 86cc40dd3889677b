"""Weight initialisation (§3)."""

from keras_dcnn.initializers.calibrated_normal import CalibratedNormal
from keras_dcnn.initializers.he_normal import HeNormal
from keras_dcnn.initializers.lsuv import lsuv
from keras_dcnn.initializers.small_normal import SmallNormal

__all__ = ["CalibratedNormal", "HeNormal", "SmallNormal", "lsuv"]
