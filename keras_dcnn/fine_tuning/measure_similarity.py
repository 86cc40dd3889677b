"""measure_similarity: is your task like what the network was trained on?"""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_dcnn._reading.labels import check_two_classes, class_numbers
from keras_dcnn.diagnosis._shares import wilson
from keras_dcnn.fine_tuning._depth_verdict import verdict_of
from keras_dcnn.fine_tuning._features import extract, pooled_network
from keras_dcnn.fine_tuning._linear_models import one_thread
from keras_dcnn.fine_tuning._ridge_probe import ridge_probe
from keras_dcnn.fine_tuning._transferability import h_score, logme, moments
from keras_dcnn.fine_tuning._trunk import trunk_of
from keras_dcnn.fine_tuning.similarity import Similarity


def measure_similarity(
    network: keras.Model,
    data: Any,
    layers: str | Sequence[str] = "all",
    *,
    directory: str | os.PathLike[str] | None = None,
    max_bytes: int | None = None,
    batch_size: int = 32,
    verbose: int = 1,
) -> Similarity:
    """Measure whether your task is similar to what a pretrained network was trained on.

    The tutorial's table for fine-tuning asks whether the data are "very similar" or "very
    different". Here that is measured. The later layers of a network are made for the task that it
    was trained on. Where they help yours, the two are similar; where a linear classifier on
    features from half way does nearly as well, or better, they are different.

    One pass over the data gives the features of up to 13 depths, each the mean over the places. To
    each a ridge classifier is fitted, in closed form, and judged on every sample by the fit to all
    others. With e the share that it gets wrong, of the last depth and of the best one in the first
    half, G = 1 − e_last / e_half is the share of errors that the second half of the network saves:

    - "similar": with 95 % confidence G > 1/10;
    - "different": with 95 % confidence G < 1/3;
    - "cannot tell": neither, as with few samples; both, which is in between; or where no features
      are surely better than to name the largest class each time.

    The two bounds are ours. This was seen with EfficientNet-Lite0 of ImageNet, at 160 pixels, in 12
    draws of 5 and of 20 images a class (similar / different / cannot tell) and once with all:

    | task (images) | 5 a class | 20 a class | all |
    |---|---|---|---|
    | 9 classes of cut-out photographs: animals, fruit … (230) | 2 / 0 / 10 | 7 / 0 / 5 | similar |
    | 10 others: tools, hats, planets … (168) | 1 / 1 / 10 | 4 / 0 / 8 | similar |
    | Fashion-MNIST (2,000) | 0 / 4 / 8 | 0 / 8 / 4 | different |
    | handwritten digits on photographs (1,500) | 0 / 10 / 2 | 0 / 12 / 0 | different |
    | handwritten digits (800) | 0 / 8 / 4 | 0 / 12 / 0 | different |
    | printed letters, 4 a class (104) | | | different |
    | which way the cut-out photographs are turned (230) | 0 / 2 / 10 | 0 / 8 / 4 | different |

    and a small CNN trained on the digits 0 to 4 on photographs is similar to the task of 5 to 9,
    with 5, 20 and 60 images a class. The network must be trained: deeper features see more of an
    image, and a small CNN with random weights was "similar" to digits too.

    LogME and the H-score are of the last features, and choose between networks: measure each on the
    same images and take the highest.

        LogME = mean over classes k of max_{α, β} log p(y_k | F, α, β) / n

    is the evidence of a Bayesian linear regression to the one-hot columns y_k, and the H-score is
    tr(cov(f)⁻¹ cov(E[f|y])), of a covariance that is shrunk as Ledoit and Wolf do: with as many
    channels as samples the plain one is the number of classes − 1 for any features. Over the first
    six tasks, the rank correlation of the scores of 13 depths, on 5 images a class, with the
    accuracy on all images was .76 on the mean for the shrunk one, .43 for the plain one and .73 for
    LogME.

    Args:
        network: A built Keras model that takes images; its layer of classes is left out.
        data: `(x, y)` or `(x, y, sample_weight)` of arrays, or a tf.data set, PyDataset or torch
            DataLoader of such batches; images as the network takes them. Labels are classes or
            one-hot rows. Samples of weight 0 are left out; all others count alike.
        layers: "all", or a list of at least two names of layers, as `linear_probe` takes them.
        directory: Where features lie on the disk, to be found again; None for memory.
        max_bytes: That features on the disk must not take more than; None for what is free there.
        batch_size: Images at a time, of arrays.
        verbose: 0 for silence; 1 shows a bar.

    Returns:
        A `Similarity`.

    Raises:
        ValueError: for labels of one class only, fewer than two depths, and what `linear_probe`
            refuses.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    network = keras_dcnn.models.small_cnn((16, 16, 3), 4)
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype("float32")
    print(keras_dcnn.fine_tuning.measure_similarity(network, (images, np.arange(12) % 3)))
    ```

    Reference:
        Yosinski et al.: How Transferable Are Features in Deep Neural Networks? (2014), for features
        that go from general to specific. https://arxiv.org/abs/1411.1792
        You et al.: LogME (2021). https://arxiv.org/abs/2102.11005
        Bao et al.: An Information-Theoretic Approach to Transferability in Task Transfer Learning
        (2019), for the H-score. https://doi.org/10.1109/ICIP.2019.8803726
        Ibrahim et al.: Newer Is Not Always Better (2021), for its shrinkage.
        https://arxiv.org/abs/2110.06893
    """
    trunk = trunk_of(network)
    _check_depths(pooled_network(trunk, layers)[0])
    if isinstance(data, (tuple, list)) and len(data) > 1:
        check_two_classes("`data`", np.bincount(class_numbers(data[1])[0]))
    options = {"directory": directory, "max_bytes": max_bytes, "batch_size": batch_size}
    return similarity_of(extract(trunk, data, layers, **options, verbose=verbose))


@one_thread()
def similarity_of(features):
    """The `Similarity` of `Features`."""
    names, rows, y = features.names, features.rows, features.y
    check_two_classes("the data", np.bincount(y))
    of = [moments(one, y) for one in rows]
    right = [ridge_probe(*pair, y) for pair in zip(rows, of, strict=True)]
    counts, of_last = [int(one.sum()) for one in right], of[-1]
    verdict, reason = verdict_of(names, right, of_last.counts.max() / len(y))
    return Similarity(
        verdict,
        reason,
        logme(of_last),
        h_score(of_last),
        names,
        tuple(count / len(y) for count in counts),
        tuple(tuple(map(float, wilson(count, len(y)))) for count in counts),
        len(y),
        len(of_last.counts),
    )


def _check_depths(names):
    if len(names) < 2:
        raise ValueError(
            f"similarity is measured between depths of a network, at least two; got {names[0]!r} "
            'alone: use layers="all", or a network of more than one block.'
        )
