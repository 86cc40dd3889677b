"""plot_remedies: what each remedy against class imbalance adds to the balanced accuracy."""

from typing import Any

from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._style import COLOURS

# By the shape too, as for print without colours.
_LOOKS = {
    "better": {"marker": "^", "color": COLOURS["train"]},
    "no difference seen": {"marker": "o", "color": COLOURS["note"], "markerfacecolor": "white"},
    "worse": {"marker": "v", "color": COLOURS["validation"]},
}


def plot_remedies(
    comparison: Any, ax: Any = None, title: str = "Remedies against class imbalance"
) -> Any:
    """Plot the gain in balanced accuracy of each remedy over none, with its interval.

    Of each remedy the mean over the seeds of the paired difference, in points, the best at the top.
    What is left of the line does harm; where the interval crosses it, nothing is shown.

    Args:
        comparison: What `imbalance.compare_remedies` returned, of "none" and one more at least.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        TypeError: for what is no such comparison.
        ValueError: for a comparison of "none" alone.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    keras_dcnn.visualization.plot_remedies(keras_dcnn.imbalance.RemedyComparison(
        scores={
            "none": {"balanced_accuracy": (0.5, 0.55)}, "over": {"balanced_accuracy": (0.6, 0.66)},
        },
        seeds=(0, 1), groups={"many": (0,), "few": (1,)}, num_test=200, taus=(), notes=(),
    ))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 9.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    if not hasattr(comparison, "difference") or not hasattr(comparison, "scores"):
        raise TypeError(
            f"`comparison` must be what compare_remedies returned; got {type(comparison).__name__}."
        )
    gains = {name: comparison.difference(name) for name in comparison.scores if name != "none"}
    if not gains:
        raise ValueError('`comparison` must have a remedy beside "none"; got none: compare more.')
    names = sorted(gains, key=lambda name: gains[name][0])
    ax = axes(ax, title, "")
    ax.axvline(0, color="black", linewidth=0.8, linestyle="--")
    for verdict, look in _LOOKS.items():
        rows = [i for i, name in enumerate(names) if comparison.verdict(name) == verdict]
        means, low, high = ([100 * gains[names[i]][part] for i in rows] for part in range(3))
        spread = [
            [mean - end for mean, end in zip(means, low, strict=True)],
            [end - mean for mean, end in zip(means, high, strict=True)],
        ]
        if rows:
            ax.errorbar(means, rows, xerr=spread, linestyle="", capsize=2, label=verdict, **look)
    ax.set(xlabel='balanced accuracy less that of "none", points, 95 % interval')
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_title(title, pad=24)
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3}
    ax.legend(frameon=False, fontsize=8, **place)
    return ax
