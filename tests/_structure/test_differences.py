"""What of two models of equal weights counts as another architecture, and what does not."""

import keras
import numpy as np
import pytest

from keras_dcnn._structure.differences import code_difference, config_difference, config_of

layers = keras.layers


def chain(*inside, size=6):
    head = layers.Dense(2)
    return keras.Sequential([keras.Input((size, size, 3)), *inside, layers.Flatten(), head])


def graph(*inside, noise=None):
    x = y = keras.Input((6, 6, 3))
    for layer in inside:
        y = layer(y)
        y = noise()(y) if noise else y
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))


def difference(swapped):
    x = keras.Input((4,))
    one = layers.Dense(4)(x)
    other = layers.Dense(4)(one)
    return keras.Model(x, layers.Subtract()([one, other] if swapped else [other, one]))


def found(one, other):
    by_configuration = config_difference(config_of(one), config_of(other))
    return by_configuration or code_difference(one, other)


def conv(*args, **options):
    return layers.Conv2D(4, 3, *args, **options)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            lambda: chain(conv(activation="tanh")),
            lambda: chain(conv(activation="relu")),
            "`activation` of layer 0 is 'tanh' there, 'relu' in the model",
        ),
        (lambda: chain(conv(strides=2)), lambda: chain(conv(dilation_rate=2)), "`strides` of"),
        (
            lambda: graph(layers.BatchNormalization(epsilon=0.1)),
            lambda: graph(layers.BatchNormalization()),
            "`epsilon` of layer 0 is 0.1 there",
        ),
        (
            lambda: chain(layers.ReLU(), layers.BatchNormalization()),
            lambda: chain(layers.BatchNormalization(), layers.ReLU()),
            "`class_name` of layer 0 is 'ReLU' there",
        ),
        (lambda: chain(layers.ReLU()), lambda: chain(), "number of layers is 3 there, 2"),
        (
            lambda: chain(conv(data_format="channels_last")),
            lambda: chain(conv(data_format="channels_first"), size=3),
            "`data_format` of layer 0",
        ),
        (lambda: difference(True), lambda: difference(False), "from"),
        (
            lambda: chain(layers.Dense(3, activation=layers.LeakyReLU(0.1))),
            lambda: chain(layers.Dense(3, activation=layers.LeakyReLU(0.2))),
            "`negative_slope` of `activation` of layer 0",
        ),
    ],
)
def test_other_mathematics_is_told_in_words(one, other, words):
    assert words in found(one(), other())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: chain(conv()), lambda: graph(conv())),
        (lambda: chain(conv()), lambda: chain(conv(), layers.Dropout(0.5))),
        (
            lambda: graph(conv(), conv()),
            lambda: graph(conv(), conv(), noise=lambda: layers.Dropout(0.1)),
        ),
        (lambda: chain(layers.Dropout(0.1)), lambda: chain(layers.Dropout(0.2, seed=3))),
        (lambda: chain(layers.RandomFlip()), lambda: chain()),
        (lambda: chain(conv(kernel_regularizer="l2")), lambda: chain(conv(trainable=False))),
        (lambda: chain(conv(dtype="mixed_float16")), lambda: chain(conv(dtype="bfloat16"))),
        (
            lambda: chain(layers.BatchNormalization(momentum=0.9)),
            lambda: chain(layers.BatchNormalization(momentum=0.1)),
        ),
        (
            lambda: chain(layers.Conv2D(2, 6, name="a")),
            lambda: chain(layers.Conv2D(2, 6, name="b")),
        ),
        (
            lambda: chain(layers.GlobalAveragePooling2D(), size=6),
            lambda: chain(layers.GlobalAveragePooling2D(), size=9),
        ),
    ],
)
def test_what_training_alone_asks_for_is_no_difference(one, other):
    assert found(one(), other()) is None


def test_what_an_older_version_did_not_note_is_no_difference():
    config = config_of(chain(conv()))
    older = config_of(chain(conv()))
    del older["config"]["layers"][1]["config"]["dilation_rate"]
    assert config_difference(older, config) is None


class Scale(layers.Layer):
    """Of what it scales by its configuration says nothing."""

    def __init__(self, factor, drop_rate=0.0):
        super().__init__()
        self.factor, self.drop_rate = factor, drop_rate

    def call(self, x):
        return self.factor * x

    def get_config(self):
        return {}


def subclassed(activation):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return activation(self.dense(x))

    model = Net()
    model(np.zeros((1, 4)))
    return model


def scaled(factor):
    return chain(layers.Lambda(lambda x: factor * x))


@pytest.mark.parametrize(
    ("build", "one", "other", "words"),
    [
        (lambda f: chain(Scale(f)), 1, 2, "`factor` of `scale"),
        (subclassed, keras.ops.relu, keras.ops.tanh, "`call` of `net"),
        (scaled, 2, 3, ""),
    ],
)
def test_code_that_is_ones_own(build, one, other, words):
    assert words in found(build(one), build(other))
    assert found(build(one), build(one)) is None


def test_a_rate_of_ones_own_layer_is_no_difference():
    assert found(chain(Scale(1, drop_rate=0.1)), chain(Scale(1, drop_rate=0.2))) is None
