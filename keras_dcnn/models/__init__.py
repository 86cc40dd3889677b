"""Networks that the papers and the demo use."""

from keras_dcnn.models.small_cnn import small_cnn

__all__ = ["small_cnn"]
