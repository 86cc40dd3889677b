"""fine_tune: a pretrained network learns to tell your classes apart."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._keras.fitting import print_message
from keras_dcnn.fine_tuning._record import Record
from keras_dcnn.fine_tuning._tuning import Options, tune
from keras_dcnn.fine_tuning.fine_tuned import FineTuned


def fine_tune(
    network: keras.Model,
    data: Any,
    validation_data: Any = None,
    *,
    num_classes: int | None = None,
    strategy: str = "auto",
    layers: Any = None,
    augmentation: Any = "standard",
    epochs: int = 20,
    learning_rate: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    directory: str | os.PathLike[str] | None = None,
    batch_size: int = 32,
    seed: int = 0,
    verbose: int = 1,
) -> FineTuned:
    """Make a classifier of your images out of a network that was trained on many others.

    The tutorial's table of fine-tuning as one call. How many images there are, and how much of
    what the network knows they ask for, is measured; by that only a linear classifier is put on its
    features, or the network is trained as well, in part or all, at small rates.

    | strategy | what is trained |
    |---|---|
    | `"probe"` | a linear classifier on the features; the network stays as it is |
    | `"few_layers"` | the same, then together with the last third of the blocks |
    | `"all_layers"` | a new layer of classes and all blocks at the same time |
    | `"probe_then_all"` | the linear classifier, then all (LP-FT): no random head spoils features |
    | `"auto"` | what `recommend` says by `measure_similarity` |

    The network is copied and stays as it was; its layer of classes, if it has one, is left out.
    BatchNorm stays frozen, with its statistics of many images. The rates fall from the head to the
    input (`layerwise_optimizer`, with AdamW), are halved when validation stalls, and the weights of
    the last quarter of the epochs are averaged. Of a training that begins with a probe the mean of
    the weights before and after is kept (WiSE-FT), which on the mean knows more than both; the
    beginning or the end only where it is surely better on the validation data, by more than two
    standard errors.

    Args:
        network: A built network for images, such as `models.efficientnet_lite()` or one of
            `keras.applications`, with the scaling of pixels that it needs inside of it, as in
            `keras.Model(x := keras.Input((224, 224, 3)), resnet(preprocess_input(x)))`.
        data: `(x, y)` or `(x, y, sample_weight)` of arrays, or a tf.data set, PyDataset or torch
            DataLoader of such batches. Images 0…255; classes from 0, or one-hot rows.
        validation_data: The same, to choose by; None holds out a fifth of each class, of arrays.
        num_classes: Number of classes, ≥ 2; None takes it from the labels.
        strategy: One of those above.
        layers: "last" or "all": the features of "probe", as in `linear_probe`; None for what is
            recommended, and for "last" where a strategy is given.
        augmentation: "standard" (`standard_augmentation`: it mirrors, so give
            `standard_augmentation(height, width, flip=False)` for digits and letters), a Keras
            layer that takes raw images, or None. Not used by a probe.
        epochs: Epochs of the training, ≥ 1.
        learning_rate: That of the head, above 0; None for the recommended one.
        callbacks: What replaces `DivideLROnPlateau` and `WeightAveraging`.
        directory: Where features and the state of the training are kept, so that a call that was
            killed goes on when it is made again; of this task alone. None keeps nothing.
        batch_size: Images at a time, of arrays, ≥ 1.
        seed: Whole number ≥ 0 for the head, the augmentation and the order of the images.
        verbose: 1 says what is decided, with a bar for each epoch; 0 is silent.

    Returns:
        A `FineTuned`: the `model`, and a `record` of what was decided and why.

    Raises:
        ImportError: without scikit-learn, for strategies with a probe.
        TypeError, ValueError: before any training, for arguments outside the ranges above, a
            network that is not built or does not take images, labels outside the classes, a single
            class, images of another size, and pixels that "standard" is not for.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    network = keras_dcnn.models.efficientnet_lite(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    x, y = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3)), np.arange(12) % 3
    tuned = keras_dcnn.fine_tuning.fine_tune(network, (x, y), strategy="probe", verbose=0)
    print(tuned, tuned.model.predict(x, verbose=0).shape)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        Kumar et al.: Fine-Tuning Can Distort Pretrained Features and Underperform Out-of-
        Distribution (2022), for LP-FT. https://arxiv.org/abs/2202.10054
        Wortsman et al.: Robust Fine-Tuning of Zero-Shot Models (2022), for WiSE-FT.
        https://arxiv.org/abs/2109.01903
    """
    options = Options(
        num_classes=num_classes,
        strategy=strategy,
        layers=layers,
        augmentation=augmentation,
        epochs=epochs,
        learning_rate=learning_rate,
        callbacks=callbacks,
        directory=directory,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
    )
    return tune(network, data, validation_data, options, Record(print_message if verbose else None))
