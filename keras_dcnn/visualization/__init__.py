"""Figures and the report (§7): pip install "keras_dcnn[report]" has what they need."""

from keras_dcnn.visualization.plot_accuracy_gap import plot_accuracy_gap
from keras_dcnn.visualization.plot_activations import plot_activations
from keras_dcnn.visualization.plot_augmentation import plot_augmentation
from keras_dcnn.visualization.plot_batch_loss import plot_batch_loss
from keras_dcnn.visualization.plot_class_balance import plot_class_balance
from keras_dcnn.visualization.plot_confusion import plot_confusion
from keras_dcnn.visualization.plot_dead_units import plot_dead_units
from keras_dcnn.visualization.plot_depth import plot_depth
from keras_dcnn.visualization.plot_ensemble import plot_ensemble
from keras_dcnn.visualization.plot_filters import plot_filters
from keras_dcnn.visualization.plot_learning_rate import plot_learning_rate
from keras_dcnn.visualization.plot_loss import plot_loss
from keras_dcnn.visualization.plot_remedies import plot_remedies
from keras_dcnn.visualization.plot_worst_images import plot_worst_images
from keras_dcnn.visualization.report import report

__all__ = [
    "plot_accuracy_gap",
    "plot_activations",
    "plot_augmentation",
    "plot_batch_loss",
    "plot_class_balance",
    "plot_confusion",
    "plot_dead_units",
    "plot_depth",
    "plot_ensemble",
    "plot_filters",
    "plot_learning_rate",
    "plot_loss",
    "plot_remedies",
    "plot_worst_images",
    "report",
]
