"""Figures (§7). They need matplotlib: pip install "keras_dcnn[plot]"."""

from keras_dcnn.visualization.plot_accuracy_gap import plot_accuracy_gap
from keras_dcnn.visualization.plot_augmentation import plot_augmentation
from keras_dcnn.visualization.plot_depth import plot_depth
from keras_dcnn.visualization.plot_learning_rate import plot_learning_rate
from keras_dcnn.visualization.plot_loss import plot_loss
from keras_dcnn.visualization.plot_remedies import plot_remedies

__all__ = [
    "plot_accuracy_gap",
    "plot_augmentation",
    "plot_depth",
    "plot_learning_rate",
    "plot_loss",
    "plot_remedies",
]
