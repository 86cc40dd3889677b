"""plot_activations: activations and their derivatives, RReLU with the slopes of training."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_range
from keras_dcnn.layers.activations.prelu import PReLU
from keras_dcnn.layers.activations.rrelu import RReLU
from keras_dcnn.visualization._axes import axes, pyplot
from keras_dcnn.visualization._style import COLOURS, HATCHED, SMALL, text

_PIECES = 400  # of the range; even, so that 0 is an end of one where the range is symmetric


def plot_activations(
    activations: Mapping[str, Any] | None = None, input_range: tuple[float, float] = (-4, 4)
) -> Any:
    """Plot activations and their derivatives, a panel each.

    What to see: sigmoid and tanh are flat at both ends, where no gradient passes; ReLU is flat
    below 0, so that a unit which is always there is dead; the leaky ones are not. RReLU has the
    slope of inference as a line, and the slopes that training draws as a hatched band. Outputs
    from −1.2 to 2.2 are shown.

    Args:
        activations: By their titles, what a layer takes as `activation`: names of Keras's,
            functions, layers. A layer has one input channel here. None for those of the tutorial:
            sigmoid, tanh, ReLU, Leaky ReLU, PReLU at the start, RReLU.
        input_range: Lowest and highest input.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for a range of no width, and for no activations or unknown ones.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras_dcnn

    keras_dcnn.visualization.plot_activations()
    keras_dcnn.visualization.plot_activations({"SiLU": "silu", "RReLU": keras_dcnn.layers.RReLU()})
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 5.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    low, high = _checked(input_range)
    shown = _named(_of_the_tutorial() if activations is None else activations)
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    size = {"figsize": (2.5 * columns, 2.4 * rows + 0.4)}
    shared = {"sharex": True, "sharey": True, "squeeze": False, "layout": "constrained"}
    figure, grid = pyplot().subplots(rows, columns, **size, **shared)
    x = np.linspace(low, high, _PIECES + 1, dtype="float32")
    for ax, (name, activation) in zip(grid.flat, shown.items(), strict=False):
        _draw(axes(ax, text(name), "", ""), x, activation)
    for ax in list(grid.flat)[len(shown) :]:
        ax.remove()
    looks = {}
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        looks |= dict(zip(labels, handles, strict=True))
    style = {"loc": "outside lower center", "frameon": False, "fontsize": SMALL}
    figure.legend(looks.values(), looks, ncols=max(columns, 2), **style)
    return figure


def _of_the_tutorial():
    return {
        "Sigmoid": "sigmoid",
        "Tanh": "tanh",
        "ReLU": "relu",
        "Leaky ReLU, 0.01": keras.layers.LeakyReLU(negative_slope=0.01),
        "PReLU at 0.25": PReLU(),
        "RReLU": RReLU(),
    }


def _checked(input_range):
    check_range("input_range", input_range)
    if input_range[0] == input_range[1]:
        raise ValueError(f"`input_range` must have low < high; got {tuple(input_range)!r}.")
    return input_range


def _named(activations):
    if not isinstance(activations, Mapping) or not activations:
        raise ValueError(
            "`activations` must be a dict of one or more, by their titles, such as "
            f"{{'SiLU': 'silu'}}; got {activations!r:.60}."
        )
    return {name: keras.activations.get(one) for name, one in activations.items()}


def _draw(ax, x, activation):
    """The function, its slope from each x to the next, and for RReLU the band."""
    y = _outputs(activation, x)
    slope, middles = np.diff(y) / np.diff(x), (x[1:] + x[:-1]) / 2
    ax.axhline(0, color=COLOURS["note"], linewidth=0.6)
    ax.axvline(0, color=COLOURS["note"], linewidth=0.6)
    if isinstance(activation, RReLU):
        ends = [
            RReLU(end, end, activation.sampling) for end in (activation.lower, activation.upper)
        ]
        label = "slopes of training"
        ax.fill_between(x, *(_outputs(end, x) for end in ends), label=label, **HATCHED)
        slopes = [np.diff(_outputs(end, x)) / np.diff(x) for end in ends]
        ax.fill_between(middles, *slopes, **HATCHED)
    ax.plot(x, y, color=COLOURS["train"], linewidth=2, label="activation")
    style = {"color": COLOURS["validation"], "linestyle": "--"}
    ax.plot(middles, slope, label="derivative", **style)
    ax.set_title(ax.get_title(), fontsize=10)
    ax.xaxis.get_major_locator().set_params(min_n_ticks=3)
    ax.set_ylim(-1.2, 2.2)


def _outputs(activation, x):
    """What it makes of numbers, in float32 as at inference."""
    y = activation(keras.ops.convert_to_tensor(x[:, None]))
    return keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))[:, 0]
