"""Weight initialisation (§3)."""

from keras_dcnn.initializers.he_normal import HeNormal

__all__ = ["HeNormal"]
