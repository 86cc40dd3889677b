"""Networks that the papers and the demo use, and one that is trained already."""

from keras_dcnn.models.efficientnet_lite import efficientnet_lite
from keras_dcnn.models.small_cnn import small_cnn

__all__ = ["efficientnet_lite", "small_cnn"]
