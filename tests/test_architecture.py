"""Which models may share one compiled graph: equal for equal mathematics, never for other."""

import keras
import pytest

from keras_dcnn._architecture import architecture

layers = keras.layers


def chain(*inside):
    return keras.Sequential([keras.Input((6, 6, 3)), *inside, layers.Flatten(), layers.Dense(2)])


def named_after_its_activation(activation):
    x = keras.Input((4,))
    y = layers.Dense(3)(x)
    z = layers.Activation(activation, name=activation)(y)
    return keras.Model(x, layers.Dense(2)(y) + keras.ops.sum(z, -1, keepdims=True))


def difference(swapped):
    x = keras.Input((4,))
    one = layers.Dense(4)(x)
    other = layers.Dense(4)(one)
    return keras.Model(x, layers.Subtract()([one, other] if swapped else [other, one]))


def nested():
    inner = chain(layers.Conv2D(2, 3))
    return keras.Sequential([keras.Input((6, 6, 3)), inner, layers.Dense(2, activation="softmax")])


SAME = [
    lambda: chain(layers.Conv2D(4, 3), layers.ReLU(), layers.BatchNormalization()),
    lambda: named_after_its_activation("tanh"),
    lambda: difference(True),
    nested,
]


@pytest.mark.parametrize("build", SAME)
def test_made_twice_is_one_architecture(build):
    assert architecture(build()) == architecture(build()) is not None


def test_other_initial_values_are_the_same_architecture():
    one = chain(layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(1)))
    other = chain(layers.Conv2D(4, 3, kernel_initializer="zeros"))
    assert architecture(one) == architecture(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: chain(layers.ReLU()), lambda: chain(layers.ELU())),
        (lambda: chain(layers.LeakyReLU(0.1)), lambda: chain(layers.LeakyReLU(0.2))),
        (lambda: chain(layers.Conv2D(4, 3)), lambda: chain(layers.Conv2D(5, 3))),
        (
            lambda: chain(layers.Conv2D(4, 3)),
            lambda: chain(layers.Conv2D(4, 3, kernel_regularizer="l2")),
        ),
        (
            lambda: chain(layers.Conv2D(4, 3)),
            lambda: chain(layers.Conv2D(4, 3, trainable=False)),
        ),
        (
            lambda: named_after_its_activation("tanh"),
            lambda: named_after_its_activation("sigmoid"),
        ),
        (lambda: difference(True), lambda: difference(False)),
    ],
)
def test_other_mathematics_is_another_architecture(one, other):
    assert None is not architecture(one()) != architecture(other()) is not None


def test_functions_and_vocabularies_are_not_told_apart_so_not_shared():
    def scaled_by(factor):
        def scale(x):
            return factor * x

        return chain(layers.Conv2D(2, 3, activation=scale))

    assert architecture(scaled_by(2)) is None
    words = layers.StringLookup(vocabulary=["a", "b"], output_mode="count")
    model = keras.Sequential([keras.Input((1,), dtype="string"), words])
    assert architecture(model) is None
