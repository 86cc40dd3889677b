"""Layers: augmentation (§1) and activations (§5)."""

from keras_dcnn.layers.activations.prelu import PReLU
from keras_dcnn.layers.activations.rrelu import RReLU
from keras_dcnn.layers.augmentation.fancy_pca import FancyPCA
from keras_dcnn.layers.augmentation.random_affine import RandomAffine
from keras_dcnn.layers.augmentation.random_hsv import RandomHSV
from keras_dcnn.layers.augmentation.random_padded_crop import RandomPaddedCrop

__all__ = ["FancyPCA", "PReLU", "RReLU", "RandomAffine", "RandomHSV", "RandomPaddedCrop"]
