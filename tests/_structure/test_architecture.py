"""Which models may share one compiled graph: equal for equal mathematics, never for other."""

import keras
import numpy as np
import pytest
import trainings

import keras_dcnn
from keras_dcnn._structure.architecture import architecture, architecture_of

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


def test_models_stay_equal_when_they_are_trained():
    one, other = SAME[0](), SAME[0]()
    x, y = np.zeros((4, 6, 6, 3)), np.zeros((4, 2))
    for model in (one, other):
        model.compile("sgd", "mse", metrics=["mae"], jit_compile=trainings.jit())
    one.fit(x, y, verbose=0)
    other.predict(x, verbose=0)
    other.evaluate(x, y, verbose=0)
    assert architecture(one) == architecture(other) is not None


class Ones(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)


def test_what_only_training_asks_for_is_left_out():
    one = chain(layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(1)))
    other = chain(layers.Conv2D(4, 3, kernel_initializer=Ones()))
    assert architecture(one) == architecture(other) is not None
    constrained = chain(layers.Conv2D(4, 3, kernel_constraint=keras_dcnn.constraints.MaxNorm(2)))
    assert architecture(constrained) == architecture(one)


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


def two_inputs(*names):
    inputs = [keras.Input((4,), name=name) for name in names]
    return keras.Model(inputs, layers.Dense(3)(layers.Subtract()(inputs)))


def sharing(*which):
    """Models in a chain, of which some hold the same layer."""
    first = y = keras.Input((4,))
    dense = [layers.Dense(4) for _ in range(2)]
    for i in which:
        x = keras.Input((4,))
        y = keras.Model(x, dense[i](x))(y)
    return keras.Model(first, y)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: two_inputs("a", "b"), lambda: two_inputs("b", "a")),
        (lambda: sharing(0, 0, 1), lambda: sharing(0, 1, 1)),
    ],
)
def test_names_of_inputs_and_what_layers_share_count(one, other):
    assert None is not architecture(one()) != architecture(other())


class Scale(layers.Layer):
    """What it scales by its configuration does not have."""

    def __init__(self, factor=2):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return self.factor * x

    def get_config(self):
        return {}


class ScaleDense(layers.Dense):
    def call(self, x):
        return 2 * super().call(x)


class Penalty(keras.regularizers.Regularizer):
    def __call__(self, x):
        return keras.ops.sum(x)

    def get_config(self):
        return {}


class Times(keras.Operation):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return self.factor * x

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def subclassed():
    model = Classifier()
    model(np.zeros((1, 4)))
    return model


def graph(function):
    x = keras.Input((4,))
    return keras.Model(x, function(x))


def relu(x):
    """Not Keras's, which has this name."""
    return 2 * x


def called_by(function):
    layer = layers.Dense(4)
    layer.call = function
    return layer


def words():
    lookup = layers.StringLookup(vocabulary=["a", "b"], output_mode="count")
    return keras.Sequential([keras.Input((1,), dtype="string"), lookup])


@pytest.mark.parametrize(
    "build",
    [
        lambda: chain(Scale()),
        lambda: chain(layers.Dense(2), layers.TimeDistributed(Scale())),
        lambda: chain(ScaleDense(3)),
        lambda: chain(layers.Dense(3, activation=relu)),
        lambda: chain(layers.Dense(3, activation=lambda x: 2 * x)),
        lambda: chain(layers.Activation(relu)),
        lambda: chain(layers.Lambda(lambda x: 2 * x)),
        lambda: chain(called_by(lambda x: 2 * x)),
        lambda: chain(layers.Dense(3, kernel_regularizer=Penalty())),
        lambda: graph(Times(2)),
        lambda: graph(lambda x: keras.ops.vectorized_map(lambda row: 2 * row, x)),
        lambda: graph(lambda x: keras.ops.map(relu, x)),
        subclassed,
        words,
    ],
)
def test_code_that_is_not_keras_or_ours_shares_no_graph(build):
    assert architecture(build()) is None


def test_of_a_configuration():
    """What tells one of a file, of which no model is made yet."""
    configs = [keras.saving.serialize_keras_object(build()) for build in (*SAME, SAME[0])]
    found = [architecture_of(config) for config in configs]
    assert None not in found
    assert len(set(found)) == len(SAME)
    assert architecture_of(keras.saving.serialize_keras_object(chain(Scale()))) is None
