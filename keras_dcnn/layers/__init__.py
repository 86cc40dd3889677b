"""Layers: augmentation (§1), pre-processing (§2) and activations (§5)."""

from keras_dcnn.layers.activations.prelu import PReLU
from keras_dcnn.layers.activations.rrelu import RReLU
from keras_dcnn.layers.augmentation.fancy_pca import FancyPCA
from keras_dcnn.layers.augmentation.random_affine import RandomAffine
from keras_dcnn.layers.augmentation.random_hsv import RandomHSV
from keras_dcnn.layers.augmentation.random_padded_crop import RandomPaddedCrop
from keras_dcnn.layers.augmentation.standard_augmentation import standard_augmentation
from keras_dcnn.layers.preprocessing.min_max_scaling import MinMaxScaling
from keras_dcnn.layers.preprocessing.pca_whitening import PCAWhitening
from keras_dcnn.layers.preprocessing.zca_whitening import ZCAWhitening
from keras_dcnn.layers.preprocessing.zero_center import ZeroCenter

__all__ = [
    "FancyPCA",
    "MinMaxScaling",
    "PCAWhitening",
    "PReLU",
    "RReLU",
    "RandomAffine",
    "RandomHSV",
    "RandomPaddedCrop",
    "ZCAWhitening",
    "ZeroCenter",
    "standard_augmentation",
]
