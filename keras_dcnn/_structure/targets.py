"""Labels that a model is to be trained on, against its loss and its outputs."""

import keras
import numpy as np

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._reading.batches import as_array, counting
from keras_dcnn._reading.labels import as_numbers, check_labels

_SPARSE = "sparse_categorical_crossentropy"
_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")


def check_targets(models, y=None, sample_weight=None):
    """Raise ValueError for labels that the losses of compiled models know nothing of.

    Before any training, as JAX takes every number for a class. Those of samples of weight 0, and
    the `ignore_class` of a loss, may be anything. Of models of one output.
    """
    if not hasattr(y, "dtype"):  # none, or a list or dict of them for several outputs
        return
    y = as_array(y)
    if sample_weight is not None and np.shape(sample_weight)[:1] == y.shape[:1]:
        y = y[counting(sample_weight)]
    for model in models:
        shape = getattr(model, "output_shape", None)  # subclassed models may not say
        if isinstance(shape, (tuple, list)) and isinstance(shape[-1], int):
            check_for_loss(y, compile_arguments(model)["loss"], shape[-1])


def check_for_loss(y, loss, columns):
    """Raise ValueError for labels that a loss knows nothing of, on so many outputs."""
    name = _name(loss)
    if name == _SPARSE:
        ignored = getattr(loss, "ignore_class", None)
        check_labels("y", y if ignored is None else y[y != ignored], columns)
    elif name in _BINARY:
        y = as_numbers("y", y)
        wrong = y[~((y >= 0) & (y <= 1))]
        if len(wrong):
            fix = "number the two classes, or those of each label, 0 and 1"
            if np.isnan(wrong[0]):
                fix = "leave out samples without a label, or give them the weight 0"
            raise ValueError(
                f"`y` must lie between 0 and 1 for the loss {name}; got {wrong[0]}: {fix}."
            )


def _name(loss):
    """The name of the function by which Keras knows a loss; "" for none and for a user's own."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return ""
    for name in (_SPARSE, *_BINARY):
        kind = getattr(keras.losses, "".join(map(str.capitalize, name.split("_"))))
        if loss is getattr(keras.losses, name) or isinstance(loss, kind):
            return name
    return ""
