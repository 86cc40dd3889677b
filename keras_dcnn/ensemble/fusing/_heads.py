"""Heads: what answers on top of the features or predictions of several networks."""

import keras

from keras_dcnn._checks import check_count
from keras_dcnn._keras.fitting import compile_arguments


def output_layer_for(classes):
    """A softmax over the classes; for one, a sigmoid. In float32, also in mixed precision."""
    activation = "sigmoid" if classes == 1 else "softmax"
    return keras.layers.Dense(classes, activation, dtype="float32", name="head")


def keras_head(head, num_features, layer_for):
    """The Keras layer that is given or, for a number, `layer_for` it, built for these features."""
    if not isinstance(head, keras.layers.Layer):
        check_count("head", head)
        head = layer_for(head)
    if not head.built:
        head.build((None, num_features))
    head.compute_output_spec(keras.KerasTensor((None, num_features)))  # or Keras says why not
    return head


def train_head(model, features, y, fit_arguments):
    """Train the head of a compiled model on features; returns the History, as `fit`."""
    if not model.compiled or model.optimizer is None:
        raise ValueError(
            f"a Keras head needs a loss and an optimizer to be trained; `{model.name}` has none: "
            'call `compile`, as in `compile("adam", "sparse_categorical_crossentropy")`.'
        )
    alone = keras.Sequential([keras.Input((features.shape[1],)), model.head])
    alone.compile(**compile_arguments(model))
    model.history = alone.fit(features, y, **fit_arguments)
    return model.history
