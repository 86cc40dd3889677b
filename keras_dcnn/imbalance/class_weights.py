"""class_weights: what an image of each class counts in the loss."""

import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_choice, check_count, check_number
from keras_dcnn._reading.labels import check_each_class, class_numbers


def class_weights(
    y: ArrayLike,
    method: str = "balanced",
    *,
    beta: float = 0.999,
    num_classes: int | None = None,
) -> dict[int, float]:
    """Weights of the classes for `fit(class_weight=…)`, higher for those with few images.

    The least change to a training: nothing but the loss knows of it. Many images of one class then
    don't outvote the few of another. Large weights make the training restless:
    "balanced" can end below no weights at all (Zhang et al.: 67.7 % errors for 61.7 % on CIFAR-100
    at 1 : 100); the other methods are milder.

    With n images of C classes, n_c of class c:

    | `method` | w_c ∝ | 1,000 : 10 images |
    |---|---|---|
    | `"balanced"` | 1 / n_c, so w_c = n / (C·n_c) as scikit-learn's | 1 : 100 |
    | `"effective"` | (1 − β) / (1 − β^n_c), the effective number of images | 1 : 64 |
    | `"sqrt"` | 1 / √n_c | 1 : 10 |

    All are scaled so that the mean weight of an image is 1, as it is without weights, and the
    learning rate stays right. (Cui et al. scale to a mean of 1 over the classes instead.)

    Keras takes them for arrays, tf.data and PyDataset, and gives none to validation data, which
    `weights_of` does.

    Args:
        y: Labels of the training data, classes from 0, (samples,) or (samples, 1), or one-hot rows.
        method: `"balanced"`, `"effective"` or `"sqrt"`.
        beta: β of "effective", above 0 and below 1; towards 1 it becomes "balanced", towards 0 no
            weights.
        num_classes: Number of classes; None for the highest label and one, or the columns.

    Returns:
        `{class: weight}`, which add up to n over the images.

    Raises:
        ValueError: for one class, a class without images, labels of `num_classes` or above, and
            labels that are no classes, such as NaN, soft labels and several labels an image.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    y = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    print(keras_dcnn.imbalance.class_weights(y))
    # model.fit(x, y, class_weight=keras_dcnn.imbalance.class_weights(y))
    ```

    Reference:
        Cui et al.: Class-Balanced Loss Based on Effective Number of Samples (2019).
        https://arxiv.org/abs/1901.05555
        Zhang et al.: Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional
        Neural Networks (2021). https://github.com/zhangyongshun/BagofTricks-LT
    """
    check_choice("method", method, ("balanced", "effective", "sqrt"))
    check_number("beta", beta, above=0, below=1)
    counts = class_counts(y, num_classes)
    weights = by_counts(counts, method, float(beta))
    return {number: float(weight) for number, weight in enumerate(weights)}


def class_counts(y, num_classes=None):
    """Images of each class; ValueError for one class, and for a class without images."""
    y, known = class_numbers(y)
    if num_classes is not None:
        check_count("num_classes", num_classes, minimum=2)
        if known > num_classes:
            raise ValueError(
                f"`y` must be classes from 0 to {num_classes - 1}, num_classes={num_classes}; got "
                f"{known - 1}: number the classes from 0, or raise `num_classes`."
            )
        known = int(num_classes)
    counts = np.bincount(y, minlength=known)
    check_each_class("`y`", counts)
    return counts


def by_counts(counts, method, beta):
    """Weights of classes with so many images, of which the mean over the images is 1."""
    if method == "effective":
        weights = 1 / effective_numbers(counts, beta)
    else:
        weights = counts ** (-1.0 if method == "balanced" else -0.5)
    return weights * (counts.sum() / (counts @ weights))


def effective_numbers(counts, beta):
    """(1 − β^n) / (1 − β); β^n is near 1 for β near 1, so that 1 − β^n would have few digits."""
    return -np.expm1(counts * np.log(beta)) / (1 - beta)
