"""weights_of: weights of the images by their classes, as for validation data."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_number, is_whole
from keras_dcnn._reading.labels import class_numbers
from keras_dcnn.imbalance.class_weights import class_weights


def weights_of(
    y: ArrayLike,
    method: str | Mapping[int, float] = "balanced",
    *,
    beta: float = 0.999,
    num_classes: int | None = None,
) -> np.ndarray:
    """Weights of the images, by their classes, for `sample_weight` and for validation data.

    Keras's `class_weight` leaves validation data as they are, so that `val_loss` is a loss other
    than that of the training, and says little of rare classes. As the third of `validation_data`
    these weigh `val_loss`, and what is given to `compile` as `weighted_metrics`: with "balanced"
    its accuracy is the balanced accuracy. They are also for where Keras takes no `class_weight`:
    beside a `sample_weight`, by which they can be multiplied, and in a torch DataLoader.

    Args:
        y: Labels, classes from 0, (samples,) or (samples, 1), or one-hot rows.
        method: `"balanced"`, `"effective"` or `"sqrt"` as for `class_weights`, by how many images
            of each class `y` has; or `{class: weight}`, such as the `class_weights` of the training
            data, which make `val_loss` the loss of the training.
        beta: β of "effective".
        num_classes: Number of classes; None for the highest label and one, or the columns.

    Returns:
        float32, (samples,); of a mean of 1, unless they are those of given classes.

    Raises:
        ValueError: as `class_weights`, and for a class that has no weight.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    y = np.array([0, 0, 0, 1])
    print(keras_dcnn.imbalance.weights_of(y))
    # model.fit(…, validation_data=(x, y, keras_dcnn.imbalance.weights_of(y)))
    ```

    Reference:
        Validation data and `class_weight`. https://github.com/tensorflow/tensorflow/issues/42647
    """
    if isinstance(method, Mapping):
        weights = _checked(method)
    else:
        weights = class_weights(y, method, beta=beta, num_classes=num_classes)
    y, _ = class_numbers(y)
    missing = sorted(set(np.unique(y).tolist()) - set(weights))
    if missing:
        raise ValueError(
            f"each class of `y` must have a weight; class {missing[0]} has none: give "
            f"{{{missing[0]}: 1.0}} too."
        )
    known = range(int(y.max(initial=-1)) + 1)
    return np.array([weights.get(number, 0) for number in known], "float32")[y]


def _checked(weights):
    for number, weight in weights.items():
        if not is_whole(number) or number < 0:
            raise ValueError(
                f"the keys of class weights must be classes, whole numbers from 0; got {number!r}."
            )
        check_number(f"class weight of {number}", weight, minimum=0)
    return {int(number): float(weight) for number, weight in weights.items()}
