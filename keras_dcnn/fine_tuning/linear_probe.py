"""linear_probe: a linear classifier on what a pretrained network says of your images."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import as_path, check_choice
from keras_dcnn._reading.labelled import LabelledImages
from keras_dcnn._reading.labels import check_each_class, check_labels
from keras_dcnn.fine_tuning._features import extract
from keras_dcnn.fine_tuning._heads import HEADS
from keras_dcnn.fine_tuning._probing import probe_of
from keras_dcnn.fine_tuning._trunk import trunk_of
from keras_dcnn.fine_tuning.probe import Probe


def linear_probe(
    network: keras.Model,
    data: Any,
    validation_data: Any = None,
    layers: str | Sequence[str] = "last",
    head: str = "logistic",
    *,
    directory: str | os.PathLike[str] | None = None,
    max_bytes: int | None = None,
    batch_size: int = 32,
    verbose: int = 1,
) -> Probe:
    """Fit a linear classifier to the features of a pretrained network, which stays as it is.

    The upper and the lower left of the tutorial's table of fine-tuning, for few images: with
    layers="last" the "linear classifier on top features" for a task like that of the network, and
    with layers="all", head="svm" the "SVM on features from somewhere earlier" for another.

    The images are read once, and the network runs once on each. What a layer gives is averaged over
    its places. To each depth a head is fitted, and to several together, where a layer counts by its
    place rather than by its channels: to the last third of the depths, to all, and to the shares of
    their features with the highest relevance to the classes, as Head2Toe selects them. The last
    third is taken unless one of the others has less cross-entropy on the held-out samples by more
    than two standard errors: on photographs it is ahead of the last depth and, other than all
    depths, not much more misled by colours than that.

    Features are standardised, the strength of L2 is chosen by the cross-entropy on the held-out
    samples, and all of it is folded into one Dense layer. The scores are divided by a temperature
    that is fitted to those samples, so that an SVM gives probabilities, too.

    Args:
        network: A built network for images, such as `models.efficientnet_lite()` or one of
            `keras.applications`; its layer of classes, if it has one, is left out.
        data: `(x, y)` or `(x, y, sample_weight)` of arrays, or a tf.data set, PyDataset or torch
            DataLoader of such batches; images as the network takes them. Labels are classes from 0
            or one-hot rows. Samples of weight 0 are left out; those that a `BalancedDataset` draws
            again and again count once, with as much weight, and so are never on both sides.
        validation_data: The same, held out to choose by. None holds out samples of `data` in turn,
            in five stratified folds (of more than 2,000 samples, one fold) and fits to all.
        layers: "last", "all" (up to 13 depths), or a list of names of layers.
        head: "logistic" (scikit-learn's LogisticRegression) or "svm" (its LinearSVC).
        directory: Where features lie as memory maps, to be found again for the same network, layers
            and images, also after a kill. None for memory.
        max_bytes: That the features of `data` must not take more than, nor those of
            `validation_data`; None for what the disk has.
        batch_size: Images at a time, of arrays, ≥ 1.
        verbose: 1 says what is done; 0 is silent.

    Returns:
        A `Probe`: the model, and what each depth is good for.

    Raises:
        ImportError: without scikit-learn.
        TypeError, ValueError: for a network that is not built or not made of connected layers,
            names it has not, labels outside the classes, one class, a class without samples,
            images of another size, features that don't fit on the disk, and NaN.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    network = keras_dcnn.models.small_cnn((16, 16, 3), 4)
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype("float32")
    probe = keras_dcnn.fine_tuning.linear_probe(
        network, (images, np.arange(24) % 3), layers="all", verbose=0
    )
    print(probe, probe.model.predict(images, verbose=0).shape)
    ```

    Reference:
        Evci et al.: Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning
        (2022). https://arxiv.org/abs/2201.03529
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    check_choice("head", head, HEADS)
    trunk = trunk_of(network)
    _check_arrays(data, validation_data, batch_size)
    options = {"max_bytes": max_bytes, "batch_size": batch_size, "verbose": verbose}

    def read(part, given):
        where = None if directory is None else as_path("directory", directory) / part
        return extract(trunk, given, layers, directory=where, **options)

    features = read("training", data)
    held_out = None if validation_data is None else read("validation", validation_data)
    num_classes = features.num_classes
    return probe_of(trunk, features, held_out, layers, head, num_classes, verbose)


def _check_arrays(data, validation_data, batch_size):
    """Raise ValueError for classes of arrays that can't be learnt, before the network runs."""
    images = LabelledImages(data, batch_size)
    if images.classes is None:
        return
    check_each_class("`data`", np.bincount(images.classes, minlength=images.num_classes))
    if validation_data is not None:
        held_out = LabelledImages(validation_data, batch_size).classes
        if held_out is not None:
            check_labels("y of validation_data", held_out, images.num_classes)
