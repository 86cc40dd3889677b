"""preflight with one batch: what a few steps show, and that nothing is left of them."""

import keras
import numpy as np
import pytest
from preflight_networks import CLASSES, PIXELS, ROWS, SPARSE, L, X, losses, made, network
from preflight_networks import dense as later

from keras_dcnn.diagnosis import preflight

dense = L.Dense
PROBABILITIES = later(3, "softmax")


def images(*layers, loss=SPARSE, optimizer="adam"):
    model = keras.Sequential([keras.Input((8, 8, 3)), L.Rescaling(1 / 255), *made(layers)])
    model.compile(optimizer, loss)
    return model


def spoken(model, x, y, **said):
    return {one.rule: one for one in preflight(model, x, y, **said) if one.severity != "info"}


def dead():
    bias = keras.initializers.Constant(-100.0)
    return network(L.Dense(8, "relu", bias_initializer=bias, name="dead"), PROBABILITIES)


def normed():
    layers = [L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), L.ReLU(), L.Dropout(0.5)]
    return images(*layers, L.GlobalAveragePooling2D(), PROBABILITIES)


def begins_with_zeros():
    return images(L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3, "softmax",
                  kernel_initializer="zeros"))  # fmt: skip


def on_frozen_base():
    base = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3, activation="relu"), L.Flatten()]
    )
    base.trainable = False
    return images(base, dense(3, "softmax"))


def of_half_precision():
    layers = [L.Conv2D(4, 3, activation="relu", dtype="mixed_float16"), L.Flatten()]
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))
    return images(*layers, dense(3, "softmax"), optimizer=optimizer)


SLOW = [
    pytest.param(make, marks=pytest.mark.slow)
    for make in (normed, begins_with_zeros, on_frozen_base)
]


@pytest.mark.parametrize("make", [of_half_precision, *SLOW])
def test_healthy_networks(make):
    assert spoken(make(), PIXELS.astype("uint8"), CLASSES) == {}


@pytest.mark.every_backend
def test_a_dead_layer_stops_gradients_and_hides_the_input():
    found = spoken(dead(), X, CLASSES)
    assert set(found) == {"no_gradient", "ignores_input"}
    assert found["no_gradient"].evidence["layers"][0] == "dead"
    assert found["no_gradient"].severity == "warning"


@pytest.mark.slow
def test_gradients_that_vanish():
    layers = [L.Dense(2, "sigmoid") for _ in range(10)]
    found = spoken(network(*layers, PROBABILITIES), X, CLASSES)["vanishing_gradient"]
    assert found.evidence["ratio"] > 1e6
    assert found.evidence["smallest"] == layers[0].name


def test_the_first_loss_is_that_of_the_outputs():
    """Neither smoothed labels nor a penalty are in it."""
    penalty, loss = keras.regularizers.L2(0.1), losses.CategoricalCrossentropy
    loss = loss(from_logits=True, label_smoothing=0.5)
    model = network(L.Dense(3, kernel_regularizer=penalty), loss=loss, optimizer="adam")
    model.set_weights([np.eye(4, 3) * 100, np.zeros(3)])
    found = spoken(model, X, ROWS)["first_loss"]
    z = X @ (np.eye(4, 3) * 100)
    expected = np.log(np.exp(z - z.max(1)[:, None]).sum(1)) + z.max(1) - z[range(60), CLASSES]
    assert found.evidence["loss"] == pytest.approx(expected[:32].mean(), rel=1e-4)
    assert found.evidence["chance"] == pytest.approx(np.log(3))


def test_a_rate_at_which_the_loss_is_not_finite():
    model = network(L.Dense(8, "relu"), dense(1), loss="mse", optimizer="sgd")
    found = spoken(model, X * 100, X[:, 0] * 1e4)["not_finite_step"]
    assert found.severity == "error"
    assert found.evidence["step"] > 1


def test_a_batch_that_is_not_learnt():
    def climbs(y, p):
        return -keras.losses.sparse_categorical_crossentropy(y, p)

    optimizer = keras.optimizers.Adam(0.1, clipnorm=1e-30, epsilon=1.0)  # which goes nowhere
    found = spoken(network(dense(3, "softmax"), optimizer=optimizer), X, CLASSES)
    assert found["batch_not_overfitted"].evidence["steps"] >= 16
    assert spoken(network(dense(3, "softmax"), loss=climbs), X, CLASSES) == {}


class Raises:
    """A loss that raises from its first or second call on; on JAX there is one for all steps."""

    def __init__(self, error, call):
        self.error, self.left = error, call if keras.backend.backend() != "jax" else 1

    def __call__(self, y, p):
        self.left -= 1
        if self.left <= 0:
            raise self.error
        return keras.losses.sparse_categorical_crossentropy(y, p)


@pytest.mark.every_backend
@pytest.mark.parametrize("error", [ValueError("first\n\nlast"), KeyboardInterrupt()], ids=repr)
def test_an_error_leaves_all_as_it_was(error):
    loss = Raises(error, 1 if isinstance(error, ValueError) else 2)
    model = network(L.BatchNormalization(), L.Dropout(0.5), dense(3, "softmax"), loss=loss)
    before = [np.array(keras.ops.convert_to_numpy(one)) for one in model.variables]
    np.random.seed(0)  # noqa: NPY002
    if isinstance(error, ValueError):
        found = spoken(model, X, CLASSES)["step_fails"]
        assert (found.severity, found.evidence["exception"]) == ("error", "ValueError: last")
    else:
        with pytest.raises(KeyboardInterrupt):
            preflight(model, X, CLASSES)
    after = [keras.ops.convert_to_numpy(one) for one in model.variables]
    assert all(map(np.array_equal, before, after))
    assert not model.optimizer.built
    assert np.random.rand() == pytest.approx(0.5488135)  # noqa: NPY002, of seed 0


@pytest.mark.parametrize(("reduction", "optimizer", "severity"), [
    ("sum", "sgd", "warning"), ("sum", "adam", "info"), ("none", "adam", "warning"),
])  # fmt: skip
def test_losses_that_are_not_averaged(reduction, optimizer, severity):
    loss = losses.SparseCategoricalCrossentropy(reduction=reduction)
    model = network(dense(3, "softmax"), loss=loss, optimizer=optimizer)
    (found,) = preflight(model, X, CLASSES, trial=False)
    assert (found.rule, found.severity) == ("loss_reduction", severity)


def test_equal_samples():
    model, x = images(L.Flatten(), dense(3, "softmax")), PIXELS.astype("uint8")
    said = {"trial": False, "validation_data": (x[[7, 3]].astype("float32"), CLASSES[[7, 3]])}
    found = spoken(model, x, CLASSES, **said)["duplicates"]
    assert found.evidence == {"count": 2, "samples": 2, "pairs": [(3, 1), (7, 0)]}
    other = PIXELS[::-1].copy() // 2
    assert spoken(model, x, CLASSES, trial=False, validation_data=(other, CLASSES)) == {}
    x[10:12], classes = x[4], CLASSES.copy()
    x[20:22] = 0  # blank ones are no copies
    found = spoken(model, x, classes, trial=False)["same_image_other_label"]
    assert found.evidence["groups"] == [[4, 10]]
    assert found.evidence["count"] == 3
    classes[10:12] = classes[4]
    assert "same_image_other_label" not in spoken(model, x, classes, trial=False)
