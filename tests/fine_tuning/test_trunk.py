"""The part of a network that goes on: all but the layer of classes, or a sentence."""

import keras
import numpy as np
import pytest

from keras_dcnn.fine_tuning._trunk import cut_trunk, trunk_of

layers = keras.layers


def body(*more, shape=(8, 8, 3)):
    first = layers.Conv2D(4, 3, activation="relu", name="conv")
    return keras.Sequential([keras.Input(shape), first, *more])


GAP = layers.GlobalAveragePooling2D


@pytest.mark.parametrize(
    ("network", "head", "shape"),
    [
        (body, None, (6, 6, 4)),
        (lambda: body(GAP()), None, (4,)),
        (lambda: body(layers.Conv2D(5, 1), layers.BatchNormalization(), GAP()), None, (5,)),
        (lambda: body(GAP(), layers.Dense(5, "relu")), None, (5,)),
        (lambda: body(GAP(), layers.Dense(2, "softmax", name="classes")), "classes", (4,)),
        (
            lambda: body(GAP(), layers.Dropout(0.5), layers.Dense(2, name="classes")),
            "classes",
            (4,),
        ),
        (lambda: body(layers.Flatten(), layers.Dense(2, name="classes")), "classes", (6, 6, 4)),
        (
            lambda: body(GAP(), layers.Dense(2, name="classes"), layers.Activation("softmax")),
            *("classes", (4,)),
        ),
        (
            lambda: body(layers.Conv2D(2, 1, name="classes"), GAP(), layers.Softmax()),
            *("classes", (6, 6, 4)),
        ),
    ],
)
def test_the_layer_of_classes_is_left_behind(network, head, shape):
    trunk = cut_trunk(network())
    assert (trunk.head, trunk.model.output_shape[1:]) == (head, shape)


def test_features_are_those_of_the_network_inside_and_layers_are_shared():
    inner = body(GAP())
    outer = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(0.5), inner, layers.Dense(2)]
    )
    x = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    ours, other = trunk_of(outer)(x), inner(0.5 * x)
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (ours, other)))
    assert trunk_of(outer).variables[0] is inner.variables[0]


def test_a_backbone_is_what_has_the_features():
    class Classifier(keras.Model):  # as those of keras_hub
        def __init__(self):
            backbone = body()
            x = images = keras.Input((8, 8, 3))
            super().__init__(images, layers.Dense(2, "relu")(GAP()(backbone(x))))
            self.backbone = backbone

    assert trunk_of(Classifier()).output_shape == (None, 6, 6, 4)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def own():
    model = Own()
    model(np.ones((1, 8, 8, 3)))
    return model


def rows():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Own, "`network` must be built"),
        (own, r"made of connected layers.*`call` of its own: wrap it"),
        (rows, r"must take images, \(batch, height, width, channels\).*takes \[\(None, 4\)\]"),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)]),
            "must have kernels before its layer of classes",
        ),
    ],
)
def test_refuses(network, message):
    with pytest.raises(ValueError, match=message):
        cut_trunk(network())
