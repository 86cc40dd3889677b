"""Statistics of the images: what colour and pixel statistics are measured with."""

from keras_dcnn.statistics.pixel_moments import PixelMoments

__all__ = ["PixelMoments"]
