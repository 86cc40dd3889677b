"""plot_depth: how much linear classifiers on the features of each depth know of the classes."""

import re
from typing import Any

from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._style import COLOURS

# The names that `linear_probe` gives to the features of several depths.
_TOGETHER = re.compile(r"(all \d+(,|$))|(last \d+ of \d+$)")


def plot_depth(result: Any, ax: Any = None, title: str = "Accuracy by depth") -> Any:
    """Plot the accuracy of linear classifiers on the features of each layer, from input to output.

    A curve that rises to the end means that the network was made for such a task; one that is flat
    or falls in the second half means that it was made for another, and that features from before
    are as good or better.

    Args:
        result: What `fine_tuning.measure_similarity` or `fine_tuning.linear_probe` returned: names
            of layers and an accuracy for each, with intervals where there are any. The best is
            marked, or the one that the probe has taken.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        TypeError: for what has no names and accuracies.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    keras_dcnn.visualization.plot_depth(keras_dcnn.fine_tuning.Similarity(
        verdict="cannot tell", reason="there are but 20 samples", logme=-0.4, h_score=0.6,
        names=("conv1", "conv2"), accuracies=(0.6, 0.75), intervals=((0.39, 0.78), (0.53, 0.89)),
        num_samples=20, num_classes=2,
    ))
    ```

    Reference:
        Alain and Bengio: Understanding Intermediate Layers Using Linear Classifier Probes (2016).
        https://arxiv.org/abs/1610.01644
    """
    names, accuracies = (list(getattr(result, one, ())) for one in ("names", "accuracies"))
    if not names or len(names) != len(accuracies):
        raise TypeError(
            "`result` must be what measure_similarity or linear_probe returned, with names and "
            f"accuracies; got {type(result).__name__}."
        )
    ax = axes(ax, title, "accuracy on samples held out")
    if getattr(result, "intervals", None):
        low, high = zip(*result.intervals, strict=True)
        style = {"color": COLOURS["train"], "alpha": 0.15, "linewidth": 0}
        ax.fill_between(range(len(names)), low, high, label="95 % interval", **style)
    num_depths = sum(not _TOGETHER.match(name) for name in names)
    ax.plot(accuracies[:num_depths], "o-", color=COLOURS["train"], markersize=4, label="of a depth")
    if num_depths < len(names):
        together = range(num_depths, len(names))
        ax.plot(together, accuracies[num_depths:], "s", color=COLOURS["note"], label="of several")
    taken = getattr(result, "layer", None)
    best = names.index(taken) if taken in names else accuracies.index(max(accuracies))
    label = f"{'taken' if taken in names else 'best'}, {accuracies[best]:.3f}"
    ax.plot([best], [accuracies[best]], "D", color=COLOURS["validation"], zorder=3, label=label)
    ax.set(xlabel="layer, from the input to the output", xticks=range(len(names)))
    ax.set_xticklabels(names, rotation=45, ha="right", rotation_mode="anchor", fontsize=7)
    ax.legend(frameon=False, loc="lower right")
    return ax
