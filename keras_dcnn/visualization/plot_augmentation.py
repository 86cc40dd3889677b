"""plot_augmentation: what an augmentation layer does to one's images."""

from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_count, check_value_range
from keras_dcnn.visualization._axes import pyplot


def plot_augmentation(
    layers: Any, images: Any, draws: int = 6, value_range: tuple[float, float] = (0, 255)
) -> Any:
    """Show images beside several draws of each augmentation layer, one row per image and layer.

    Look before training: an augmentation that makes a class unrecognisable to you does so to the
    network.

    Args:
        layers: One layer, or a list of them; each is called with `training=True`.
        images: A few images of shape `(n, height, width, 3)`, channels last.
        draws: Draws per image, ≥ 1.
        value_range: Lowest and highest value of a pixel.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for images of another shape, and for a range of no width.
        ImportError: without matplotlib.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype="uint8")
    keras_dcnn.visualization.plot_augmentation(keras_dcnn.layers.RandomHSV(), images, draws=3)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 1.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    check_count("draws", draws)
    check_value_range(value_range)
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise ValueError(
            f"`images` must have the shape (n, height, width, 3); got {images.shape}: give at "
            "least one, a single one as image[None], grey ones as np.repeat(images, 3, -1)."
        )
    layers = layers if isinstance(layers, (list, tuple)) else [layers]
    rows = [(layer, image) for layer in layers for image in images]
    figure, grid = pyplot().subplots(
        len(rows),
        draws + 1,
        figsize=(1.1 * (draws + 1), 1.1 * len(rows) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    low, high = value_range
    for (layer, image), line in zip(rows, grid, strict=True):
        drawn = layer(np.repeat(image[None], draws, 0), training=True)
        shown = [image, *keras.ops.convert_to_numpy(drawn)]
        for ax, pixels in zip(line, shown, strict=True):
            ax.imshow(np.clip((pixels.astype("float32") - low) / (high - low), 0, 1))
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(type(layer).__name__, fontsize=8)
    grid[0][0].set_title("original", fontsize=9)
    grid[0][1].set_title("draws", fontsize=9, loc="left")
    return figure
