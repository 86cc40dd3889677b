"""plot_worst_images: the images that a model is most wrong about."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_count, check_value_range
from keras_dcnn._reading.batches import as_array
from keras_dcnn.diagnosis._predictions.answers import read_pairs
from keras_dcnn.visualization._axes import pyplot
from keras_dcnn.visualization._names import class_names_for
from keras_dcnn.visualization._sample_losses import probabilities, sample_losses
from keras_dcnn.visualization._style import percent, text

_COLUMNS = 6


def plot_worst_images(
    x: Any,
    y: ArrayLike,
    predictions: ArrayLike,
    class_names: Sequence[str] | None = None,
    num_images: int = 18,
    value_range: tuple[float, float] = (0, 255),
) -> Any:
    """Show the images with the largest loss, with what each is, what the model said and how sure.

    The quickest way to wrong labels, spoiled images and what the training data lack. Above each
    image is its number in the data, its class with the probability that the model gave to it, and
    the class that the model said with its own.

    The loss is −log p(class). Scores that all lie between 0 and 1 are taken for probabilities,
    others for logits.

    Args:
        x: Images (samples, height, width, channels), channels last, of 1 or 3 channels, or a list
            of images, of any sizes.
        y: True classes from 0, (samples,) or (samples, 1), or one-hot rows.
        predictions: Of the same samples, probabilities or logits (samples, classes), or those of
            one sigmoid, (samples, 1) or (samples,).
        class_names: Names of the classes; None writes numbers.
        num_images: How many to show, ≥ 1; all where there are fewer.
        value_range: Lowest and highest value of a pixel.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: for images, labels and predictions that don't fit each other, NaN, predicted
            classes without probabilities, and a range of no width.
        ImportError: without matplotlib.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    x = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype="uint8")
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.97, 0.03], [0.4, 0.6]])
    keras_dcnn.visualization.plot_worst_images(x, [0, 1, 1, 0], p, ["cat", "dog"], num_images=2)
    ```

    Reference:
        Karpathy: A Recipe for Training Neural Networks (2019).
        https://karpathy.github.io/2019/04/25/recipe/
    """
    check_count("num_images", num_images)
    check_value_range(value_range)
    y, said, _, _ = read_pairs(y, predictions, class_names)
    p = probabilities(predictions)
    names = class_names_for(class_names, p.shape[1])
    if not hasattr(x, "__getitem__") or len(x) != len(y):
        got = len(x) if hasattr(x, "__getitem__") else type(x).__name__
        raise ValueError(
            f"`x` must be an array or a list with an image for each of {len(y)} labels; got {got}."
        )
    losses = sample_losses(y, p)
    worst = np.argsort(-losses, kind="stable")[:num_images]
    images = [_pixels(x[i], value_range) for i in worst.tolist()]
    columns = min(_COLUMNS, len(worst))
    rows = -(-len(worst) // columns)
    size = (1.5 * columns + 0.2, 1.95 * rows)
    style = {"squeeze": False, "layout": "constrained"}
    figure, grid = pyplot().subplots(rows, columns, figsize=size, **style)
    for ax in grid.flat:
        ax.set_axis_off()
    for ax, i, image in zip(grid.flat, worst, images, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(adjustable="datalim", box_aspect=1)  # so that all have the same room
        lines = [
            f"number {i}",
            _answer("is", names, y[i], p[i]),
            _answer("said", names, said[i], p[i]),
        ]
        ax.set_title("\n".join(lines), fontsize=7, loc="left")
    return figure


def _answer(verb, names, number, p):
    return f"{verb} {text(names[number], 15)}, {percent(p[number])}"


def _pixels(image, value_range):
    """An image from 0 to 1, (height, width) or (height, width, 3)."""
    image = as_array(image)
    if image.ndim != 3 or image.shape[-1] not in (1, 3) or 0 in image.shape:
        raise ValueError(
            "`x` must be images (height, width, channels), channels last, of 1 or 3 channels; got "
            f"one of shape {image.shape}."
        )
    low, high = value_range
    image = np.clip((image.astype("float32") - low) / (high - low), 0, 1)
    return image[..., 0] if image.shape[-1] == 1 else image
