"""plot_accuracy_gap: training and validation accuracy, and the gap between them."""

from typing import Any

import numpy as np

from keras_dcnn.visualization._axes import axes, curve
from keras_dcnn.visualization._style import HATCHED, draw_curve, keep_apart, legend_above


def plot_accuracy_gap(
    history: Any, metric: str = "accuracy", ax: Any = None, title: str = "Accuracy"
) -> Any:
    """Plot training and validation accuracy by epoch with the gap between them hatched.

    A wide gap means overfitting: regularise or augment more. No gap and a low accuracy means too
    little capacity. With augmentation in the model the training curve is measured on augmented
    images and may lie below.

    Args:
        history: `keras.callbacks.History`, or a dict of lists.
        metric: Name of the metric; the history must hold it and its `val_` twin.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: for a history without the metric or its `val_` twin.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    history = {"accuracy": [0.5, 0.8, 0.9], "val_accuracy": [0.5, 0.7, 0.75]}
    keras_dcnn.visualization.plot_accuracy_gap(history)
    ```

    Reference:
        Karpathy et al.: CS231n, Neural Networks Part 3. https://cs231n.github.io/neural-networks-3/
    """
    epochs, train = curve(history, metric)
    validated, validation = curve(history, f"val_{metric}")
    ax = axes(ax, title, metric)
    draw_curve(ax, epochs, train, "training")
    draw_curve(ax, validated, validation, "validation")
    beside = train[np.asarray(validated) - 1]
    gaps = (beside - validation)[np.isfinite(beside - validation)]
    label = f"gap, last {gaps[-1]:+.3f}" if len(gaps) else "gap"
    ax.fill_between(validated, beside, validation, label=label, zorder=1, **HATCHED)
    keep_apart(ax, 0.05)
    legend_above(ax)
    return ax
