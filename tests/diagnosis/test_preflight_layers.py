"""preflight: hidden layers, sizes and what is trained of them."""

import keras
import pytest
from preflight_networks import BCE, SPARSE, L, M, dense, found, images, made, network

from keras_dcnn.diagnosis import preflight


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ([dense(8), dense(8, "relu")], {"linear_layer": "warning"}),
        ([dense(8), M.Dropout(0.2), M.Activation("linear")], {"linear_layer": "warning"}),
        ([dense(8), M.BatchNormalization(), dense(8, "relu")], {"linear_layer": "warning"}),
        ([dense(8), M.BatchNormalization(), M.ReLU()], {}),
        ([dense(2), dense(8, "relu")], {}),  # narrower between: a factorisation
        ([dense(8, "softmax")], {"hidden_softmax": "warning"}),
        ([dense(8, "sigmoid") for _ in range(3)], {"saturating_layers": "warning"}),
        ([dense(8, "sigmoid")], {}),
        ([dense(2, "relu")], {"narrow_layer": "warning"}),
        ([M.Dropout(0.6)], {"strong_dropout": "warning"}),
        ([M.Dropout(0.2), M.BatchNormalization()], {"dropout_before_batch_norm": "warning"}),
        ([M.Dropout(0.2), M.ReLU(), M.Dropout(0.1)], {"repeated_dropout": "warning"}),
        ([M.BatchNormalization(), M.BatchNormalization()], {"repeated_batch_norm": "warning"}),
        ([M.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(0.5))],
         {"strong_penalty": "warning"}),
        ([M.Dense(8, "relu", kernel_initializer=keras.initializers.RandomNormal(stddev=5))],
         {"large_start": "warning"}),
        ([M.Dense(8, "relu", kernel_initializer=keras.initializers.RandomNormal(stddev=1e-4))],
         {"small_start": "warning"}),
        ([M.Dense(8, "relu", kernel_initializer="zeros")], {"symmetric_kernel": "warning"}),
    ],
)  # fmt: skip
def test_hidden_layers(hidden, expected):
    assert found(network(dense(16, "relu"), *hidden, dense(3, "softmax"))) == expected


def test_convolutions_of_one_filter():
    def convolution(filters, size=3, x=None):
        layer = L.Conv2D(filters, size, padding="same", activation="relu")
        return layer if x is None else layer(x)

    assert found(images(convolution(1), convolution(8))) == {"narrow_layer": "warning"}
    assert found(images(convolution(2, size=1), convolution(8))) == {}  # colours mixed
    inputs = keras.Input((8, 8, 3))
    x = convolution(8, x=inputs)
    x = L.multiply([x, L.Conv2D(1, 3, padding="same", activation="sigmoid")(x)])  # attention
    x = L.GlobalAveragePooling2D()(convolution(8, x=x))
    model = keras.Model(inputs, L.Dense(3, "softmax")(x))
    model.compile("sgd", SPARSE)
    assert found(model) == {}


def test_decay_given_twice_is_said_once():
    kernel = L.Dense(8, "relu", kernel_regularizer="l2")
    model = network(kernel, dense(3, "softmax"), optimizer=keras.optimizers.AdamW())
    assert [one.rule for one in preflight(model)] == ["double_decay"]


def test_gates_are_no_saturating_layers():
    inputs = keras.Input((4,))
    x = L.Dense(8, "relu")(inputs)
    for _ in range(4):
        x = L.Multiply()([x, L.Dense(8, "sigmoid")(L.Dense(2, "relu")(x))])
        x = L.Dense(8, "relu")(x)
    model = keras.Model(inputs, L.Dense(3, "softmax")(x))
    model.compile("sgd", SPARSE)
    assert found(model) == {}


def test_sizes_of_images_and_filters():
    conv = {"padding": "same", "activation": "relu"}
    layers = [L.Conv2D(4, 3, **conv), L.MaxPooling2D(8), *(L.Conv2D(4, 3, **conv) for _ in "ab")]
    assert found(images(*layers)) == {"lost_places": "warning"}
    advice = {
        one.rule: one
        for one in preflight(
            images(L.Conv2D(4, 5, activation="relu"), L.MaxPooling2D(3), size=(28, 28, 3))
        )
    }
    assert {rule: one.severity for rule, one in advice.items()} == dict.fromkeys(
        ("filters", "pooling"), "info"
    )
    assert "5×5" in str(advice["filters"])
    odd = preflight(images(L.Conv2D(4, 3, **conv), L.MaxPooling2D(), size=(9, 8, 3)))
    assert [(one.rule, one.severity) for one in odd] == [("image_side", "info")]


def test_max_pooling_alone_is_no_activation():
    conv = L.Conv2D(4, 3, padding="same")
    after = L.Conv2D(4, 3, padding="same", activation="relu")
    assert found(images(conv, L.MaxPooling2D(), after)) == {"missing_activation": "info"}


def test_what_is_not_trained():
    model = keras.Sequential([keras.Input((4,)), *made([dense(8, "relu"), dense(3, "softmax")])])
    assert found(model) == {"not_compiled": "warning"}
    model.compile("sgd")
    assert found(model) == {"no_loss": "warning"}
    model.layers[-1].trainable = False
    model.compile("sgd", SPARSE)
    assert found(model) == {"frozen_head": "warning"}
    model.trainable = False
    model.compile("sgd", SPARSE)
    assert found(model) == {"nothing_to_train": "error"}


def test_the_judge_of_a_gan_may_be_frozen():
    judge = keras.Sequential([keras.Input((2,)), *made([dense(4, "relu"), dense(1, "sigmoid")])])
    judge.trainable = False
    model = keras.Sequential([keras.Input((3,)), *made([dense(4, "relu"), dense(2)]), judge])
    model.compile("sgd", BCE)
    assert found(model) == {}


def test_kernels_frozen_between_trained_ones():
    model = network(*(dense(8, "relu") for _ in "abc"), dense(3, "softmax"))
    model.layers[1].trainable = False
    model.compile("sgd", SPARSE)
    assert found(model) == {"frozen_between": "info"}
    model.layers[0].trainable = False  # from the input on, as in fine-tuning
    model.compile("sgd", SPARSE)
    assert found(model) == {}
