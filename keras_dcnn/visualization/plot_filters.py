"""plot_filters: the filters of the first convolution, as pictures."""

from importlib import import_module
from typing import Any

import keras
import numpy as np

from keras_dcnn._keras.graph import all_layers
from keras_dcnn.visualization._axes import axes
from keras_dcnn.visualization._style import COLOURS, SMALL

_PIXELS = 8  # that a filter is high at least
_NUMBERED = 20  # rows at most
_WEAKEST = 0.1  # of the strongest weight: no filter's own contrast goes below


def plot_filters(model: Any, ax: Any = None, title: str = "First filters") -> Any:
    """Show the filters of the first convolution as pictures, in grey or in colours.

    Edges, blobs and colours that are smooth say that the network has learned; noise says that it
    was trained too short, on too little, or with too little regularisation; filters all in grey are
    dead, and equal ones are wasted. The numbers at the left are those of the first filter in a row.

    Mid-grey is 0. Each filter has the contrast that its greatest weight fills; those a tenth as
    strong as the strongest, and weaker, are left pale. The three channels are shown as red, green
    and blue, in the order in which the layer takes them.

    Args:
        model: A built Keras model, of which the first two-dimensional convolution is shown, at any
            depth; or a convolution, of 1 or 3 channels.
        ax: Matplotlib axes to draw on, or None for a new figure.
        title: Title of the axes.

    Returns:
        The matplotlib axes.

    Raises:
        TypeError: for what is no layer and no model.
        ValueError: for a model without a convolution, one that is not built, other numbers of
            channels, and weights that are not finite.
        ImportError: without matplotlib.

    Example:

    ```python
    import keras
    import keras_dcnn

    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(16, 5)])
    keras_dcnn.visualization.plot_filters(model)
    ```

    Reference:
        Karpathy et al.: CS231n, Neural Networks Part 3, first-layer visualizations.
        https://cs231n.github.io/neural-networks-3/
    """
    kernel = _kernel(_first_convolution(model))
    greatest = np.abs(kernel).max(axis=(0, 1, 2))
    scale = np.maximum(np.maximum(greatest, _WEAKEST * greatest.max()), np.finfo("float32").tiny)
    filters = np.moveaxis(0.5 + kernel / (2 * scale), -1, 0)
    columns = min(int(np.ceil(np.sqrt(1.6 * len(filters)))), len(filters))
    sheet, corners = _sheet(filters, columns)
    ax = axes(ax, title, "", "", (6, 6 * sheet.shape[0] / sheet.shape[1] + 0.4))
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    frames = import_module("matplotlib.collections").PolyCollection
    ax.add_collection(
        frames(corners, facecolors="none", edgecolors=COLOURS["note"], linewidths=0.5)
    )
    rows = range(0, len(filters), columns * -(-len(filters) // columns // _NUMBERED))
    ax.set_yticks([corners[row, :, 1].mean() for row in rows], rows, fontsize=SMALL)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    return ax


def _sheet(filters, columns):
    """The filters side by side on white, a pixel apart; and of each the corners of its frame."""
    times = -(-_PIXELS // filters.shape[1])  # small ones are enlarged
    filters = filters.repeat(times, 1).repeat(times, 2)
    count, height, width, channels = filters.shape
    rows = -(-count // columns)
    sheet, corners = np.ones((rows * (height + 1), columns * (width + 1), channels)), []
    for number, one in enumerate(filters):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = one
        right, bottom = left + width, top + height
        corners.append([(left, top), (right, top), (right, bottom), (left, bottom)])
    return sheet[..., 0] if channels == 1 else sheet, np.array(corners) - 0.5


def _first_convolution(model):
    if not isinstance(model, keras.Layer):
        raise TypeError(f"`model` must be a Keras model or layer; got {type(model).__name__}.")
    layers = all_layers(model)
    found = next((layer for layer in layers if isinstance(layer, keras.layers.Conv2D)), None)
    if found is None:
        raise ValueError(
            f"`model` must have a Conv2D; `{model.name}` has none: give the convolution itself, "
            "or a network for images."
        )
    if not found.built:
        raise ValueError(
            f"`model` must be built; its `{found.name}` is not: call it once, or begin it with "
            "keras.Input."
        )
    return found


def _kernel(layer):
    kernel = keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32"))
    if kernel.shape[2] not in (1, 3):
        raise ValueError(
            "the first convolution must take 1 channel, or 3, to be a picture; "
            f"`{layer.name}` takes {kernel.shape[2]}."
        )
    if not np.isfinite(kernel).all():
        raise ValueError(f"the weights of `{layer.name}` must be finite; got NaN or infinity.")
    return kernel
