"""Which models may share one compiled graph: equal for equal mathematics, never for other."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._reading.fingerprints import fingerprints, remember_training
from keras_dcnn._structure.architecture import architecture

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


def test_models_stay_equal_when_they_are_trained_and_that_is_noted():
    one, other = SAME[0](), SAME[0]()
    x, y = np.zeros((4, 6, 6, 3)), np.zeros((4, 2))
    for model in (one, other):
        model.compile("sgd", "mse", metrics=["mae"], jit_compile=trainings.jit())
    one.fit(x, y, verbose=0)
    remember_training(one, fingerprints(x))
    other.predict(x, verbose=0)
    other.evaluate(x, y, verbose=0)
    assert architecture(one) == architecture(other) is not None


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


def scale_by(factor):
    class Scale(layers.Layer):
        def call(self, x):
            return factor * x

    return Scale()


class Subspace(layers.Layer):
    """Keeps numbers that its configuration does not have."""

    def __init__(self, chosen):
        super().__init__()
        self.chosen = list(chosen)

    def call(self, x):
        return keras.ops.take(x, tuple(self.chosen), axis=-1)

    def get_config(self):
        return {"chosen": [0]}


def mapped(factor):
    x = keras.Input((4,))
    return keras.Model(x, keras.ops.vectorized_map(lambda row: factor * row, x))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: chain(scale_by(1)), lambda: chain(scale_by(2))),
        (lambda: chain(Subspace([0])), lambda: chain(Subspace([1]))),
        (lambda: mapped(1), lambda: mapped(2)),
        (lambda: two_inputs("a", "b"), lambda: two_inputs("b", "a")),
    ],
)
def test_what_a_configuration_does_not_hold_is_not_taken_for_equal(one, other):
    one, other = architecture(one()), architecture(other())
    assert one is None or one != other


def two_inputs(*names):
    inputs = [keras.Input((4,), name=name) for name in names]
    return keras.Model(inputs, layers.Dense(3)(layers.Subtract()(inputs)))


def test_arrays_outside_variables_are_not_shared():
    layer = Subspace([0])
    layer.table = np.ones(3)
    assert architecture(chain(layer)) is None


def test_functions_and_vocabularies_are_not_told_apart_so_not_shared():
    def scaled_by(factor):
        def scale(x):
            return factor * x

        return chain(layers.Conv2D(2, 3, activation=scale))

    assert architecture(scaled_by(2)) is None
    words = layers.StringLookup(vocabulary=["a", "b"], output_mode="count")
    model = keras.Sequential([keras.Input((1,), dtype="string"), words])
    assert architecture(model) is None
