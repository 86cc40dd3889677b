"""Where in an image a network sees a class: the class activation map."""

from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn._checks import check_built_model
from keras_dcnn._keras.calls import calls_of
from keras_dcnn._reading.labels import check_labels
from keras_dcnn._structure.blocks import model_to
from keras_dcnn._structure.layer_of_classes import keeps_classes

_layers = keras.layers
_linear = keras.activations.linear
_PASSING = (_layers.Activation, _layers.Dropout, _layers.Flatten, _layers.Reshape)


class Head(NamedTuple):
    """What a network pools, and how the classes weigh it."""

    features: keras.Model  # from images to the map that is pooled; layers are shared
    weights: np.ndarray  # (channels of the map, outputs)
    channels_first: bool


def class_activation_map(model, images, classes, *, batch_size=32):
    """Maps of how much each place of an image speaks for the class that is asked for.

    CAM_c(x, y) = Σ_k w_k^c f_k(x, y), f_k the channels that global average pooling takes the mean
    of, w^c the weights of class c: their mean over the places is the logit without its bias. Where
    the channels pooled are the classes, w is the identity. Of a network with one output class 1
    has its weights, class 0 their negative.

    Args:
        model: Network that ends in global average pooling and at most one layer of weights.
        images: (samples, height, width, channels), or with channels first, as the model takes them;
            sliced batch by batch.
        classes: (samples,), for each the class asked for.
        batch_size: Images at a time.

    Returns:
        float32, (samples, height, width) of the model's last map.

    Raises:
        ValueError: for another network, in words, and for classes and images that it does not take.

    Reference:
        Zhou et al.: Learning deep features for discriminative localization (CVPR 2016).
        https://arxiv.org/abs/1512.04150
    """
    maps, classes = ActivationMaps(model), np.asarray(classes)
    maps.check(images.shape, classes)
    batches = (slice(at, at + batch_size) for at in range(0, len(classes), batch_size))
    return np.concatenate([maps(np.asarray(images[one]), classes[one]) for one in batches])


class ActivationMaps:
    """`maps(images, classes)` of a batch: its class activation maps; compiled once.

    Of the model as it is when this is made, as long as it is not trained.
    """

    def __init__(self, model, name="`model`"):
        self._model, self._head, self._largest = model, pooled_head(model, name), 0

    def check(self, shape, classes):
        """Raise ValueError for images of this shape, or classes, that the model does not take."""
        wanted = tuple(self._model.inputs[0].shape)[1:]
        pairs = zip(wanted, shape[1:], strict=False)
        if len(shape) != len(wanted) + 1 or any(a not in (None, b) for a, b in pairs):
            raise ValueError(
                f"images must be of the size that `{self._model.name}` takes, {wanted}; got "
                f"{shape[1:]}: resize them, as by keras.layers.Resizing, or begin the model with "
                "that layer."
            )
        check_labels("y", classes, self._head.weights.shape[1])

    def __call__(self, images, classes):
        count, weights = len(images), self._head.weights.T
        weights = np.concatenate([-weights, weights]) if len(weights) == 1 else weights
        self._largest = max(self._largest, count)  # the last batch is filled up
        images = np.concatenate([images, np.repeat(images[-1:], self._largest - count, axis=0)])
        features = self._head.features.predict_on_batch(images)[:count]
        places = "nkhw" if self._head.channels_first else "nhwk"
        maps = np.einsum(f"{places},nk->nhw", np.asarray(features, "float32"), weights[classes])
        if not np.isfinite(maps).all():
            raise ValueError(
                f"the maps of `{self._model.name}` must be finite; got NaN or infinity: look for "
                "them in the images and in its weights, or use the dtype policy float32."
            )
        return maps


def pooled_head(model, name):
    """The Head of a network; ValueError, in words, for one that has none. `name` begins it."""
    check_built_model(model, name)
    calls = calls_of(model)
    if calls is None or len(model.inputs) != 1 or len(model.outputs) != 1:
        own = f"a `call` of its own, as {type(model).__name__}"
        raise _no_head(model, name, own if calls is None else "several inputs or outputs")
    made = {number: call for call in calls.calls for number in call.outputs}
    value, weights = calls.outputs[0], None
    while value in made:
        call = made[value]
        layer, (value, *_) = call.operation, call.inputs
        if isinstance(layer, _layers.GlobalAveragePooling2D):
            features = model_to(model, [value])
            first = layer.data_format == "channels_first"
            if weights is None:
                weights = np.eye(features.output_shape[1 if first else -1], dtype="float32")
            return Head(features, weights, first)
        if not _may_follow(layer, weights is None):
            raise _no_head(model, name, f"`{layer.name}`, {type(layer).__name__}, instead")
        if isinstance(layer, (_layers.Dense, _layers.Conv2D)):
            kernel = keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32"))
            weights = kernel.reshape(kernel.shape[-2:])
    raise _no_head(model, name, "no such pooling")


def _may_follow(layer, is_output):
    """Whether a layer may stand behind pooling; `is_output` for none with weights behind it."""
    if isinstance(layer, _layers.Conv2D):
        return is_output and {*layer.kernel_size, *layer.strides, layer.groups} == {1}
    if is_output:
        return keeps_classes(layer) and not isinstance(layer, _layers.GlobalMaxPooling2D)
    is_linear = getattr(layer, "activation", _linear) is _linear
    return is_linear and isinstance(layer, _PASSING)


def _no_head(model, name, what):
    return ValueError(
        f"{name} must end in GlobalAveragePooling2D and at most one layer of weights, from which "
        f"its class activation maps come; `{model.name}` has {what}: give a model that does, or "
        "guide=None for crops at random."
    )
