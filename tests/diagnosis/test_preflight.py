"""preflight: each mistake that people make is found and named, before anything is trained.

Text and static rules, which no backend changes but where it says so: the first alone runs them.
"""

import contextlib
import dataclasses
import functools
import json

import keras
import numpy as np
import pytest

from keras_dcnn.diagnosis import preflight

L, losses = keras.layers, keras.losses


class Later:
    """Layers and optimizers that a test makes, and not the table that it is in."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return functools.partial(functools.partial, getattr(self.module, name))


M, OPT = Later(keras.layers), Later(keras.optimizers)
SAMPLES = 60
CLASSES = np.arange(SAMPLES) % 3
ROWS = np.eye(3)[CLASSES]
TWO = CLASSES % 2
NUMBERS = np.linspace(-2, 2, SAMPLES)
X = np.random.default_rng(0).normal(size=(SAMPLES, 4))
CE, BCE, SPARSE = (
    "categorical_crossentropy",
    "binary_crossentropy",
    "sparse_categorical_crossentropy",
)
LOGITS = {"from_logits": True}


def network(*last, loss=SPARSE, metrics=None, optimizer="sgd", size=(4,)):
    model = keras.Sequential([keras.Input(size), *made(last)])
    model.compile(*made([optimizer]), loss, metrics=metrics)
    return model


def images(*layers, units=3, size=(8, 8, 3), **compiled):
    last = [L.GlobalAveragePooling2D(), L.Dense(units, activation="softmax")]
    model = keras.Sequential([keras.Input(size), *made(layers), *last])
    model.compile(**{"optimizer": "sgd", "loss": SPARSE, **compiled})
    return model


@functools.cache
def ending_in(units, activation, loss):
    """A network for several tests, which none of them changes."""
    return network(dense(units, activation), loss=loss)


def found(model, *data, **said):
    """The severity of each rule that spoke, advice of the tutorial left out."""
    advice = ("filters", "pooling", "image_side")
    findings = [one for one in preflight(model, *data, **said) if one.rule not in advice]
    assert all(str(one).endswith(".") and json.dumps(dataclasses.asdict(one)) for one in findings)
    return {one.rule: one.severity for one in findings}


def dense(units, activation=None):
    return M.Dense(units, activation=activation)


def made(parts):
    return [one() if isinstance(one, functools.partial) else one for one in parts]


def softmax_by_hand(z):
    e = keras.ops.exp(z - keras.ops.max(z, axis=-1, keepdims=True))
    return e / keras.ops.sum(e, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("last", "loss", "y", "expected"),
    [
        ([dense(3)], SPARSE, CLASSES, {"not_probabilities": "error"}),
        ([dense(3)], losses.CategoricalCrossentropy(), ROWS, {"not_probabilities": "error"}),
        ([dense(3, "relu")], SPARSE, CLASSES, {"not_probabilities": "error"}),
        ([dense(3, "tanh")], CE, ROWS, {"not_probabilities": "error"}),
        ([dense(3, "softplus")], CE, ROWS, {"not_probabilities": "warning"}),
        ([dense(3, "log_softmax")], CE, ROWS, {"not_probabilities": "error"}),
        ([dense(1)], BCE, TWO, {"not_probabilities": "error"}),
        ([dense(1, "relu")], BCE, TWO, {"not_probabilities": "error"}),
        ([dense(1, "softmax")], BCE, TWO, {"one_unit": "error"}),
        ([dense(1, "softmax")], "mse", None, {"one_unit": "error"}),
        ([dense(1), M.Softmax()], BCE, TWO, {"one_unit": "error"}),
        ([dense(1, "sigmoid")], CE, TWO, {"one_unit": "error"}),
        ([dense(3, "softmax"), M.Softmax()], SPARSE, None, {"doubled_activation": "warning"}),
        ([dense(30, "softmax"), M.Softmax()], SPARSE, None, {"doubled_activation": "error"}),
        ([dense(3, "softmax"), M.Activation("sigmoid")], CE, None, {"doubled_activation": "error"}),
        ([dense(3, softmax_by_hand), M.Softmax()], SPARSE, None, {"doubled_activation": "warning"}),
        ([dense(3, "relu"), M.Softmax()], SPARSE, None, {"relu_before_probabilities": "warning"}),
        ([dense(3, "sigmoid")], SPARSE, CLASSES, {"sigmoid_of_exclusive_classes": "warning"}),
        ([dense(3, "sigmoid")], CE, ROWS, {"sigmoid_of_exclusive_classes": "warning"}),
        ([dense(3, "sigmoid")], BCE, ROWS, {"sigmoid_of_exclusive_classes": "warning"}),
        ([dense(3, "softmax")], BCE, ROWS, {"softmax_with_binary_crossentropy": "warning"}),
        ([dense(3, "softmax")], "mse", ROWS, {"regression_loss_of_classes": "warning"}),
        ([dense(3)], "mse", ROWS, {"regression_loss_of_classes": "warning"}),
        ([dense(3, "relu")], losses.SparseCategoricalCrossentropy(**LOGITS), CLASSES,
         {"bounded_logits": "warning"}),
        ([dense(3, "softmax"), M.Dropout(0.1)], SPARSE, None, {"dropout_on_outputs": "warning"}),
        ([dense(1, "relu")], "mse", NUMBERS, {"targets_out_of_reach": "error"}),
        ([dense(1, "sigmoid")], "mse", NUMBERS, {"targets_out_of_reach": "error"}),
        ([dense(1, "tanh")], "mae", NUMBERS, {"targets_out_of_reach": "error"}),
        ([dense(1, "relu")], "mse", abs(NUMBERS), {"relu_of_regression": "warning"}),
    ],
)  # fmt: skip
def test_last_activation_against_the_loss(last, loss, y, expected):
    assert found(network(*last, loss=loss), X, y) == expected


@pytest.mark.parametrize(
    ("last", "loss", "y"),
    [
        ([dense(3, "softmax")], SPARSE, CLASSES),
        ([dense(3, "softmax")], "crossentropy", CLASSES),
        ([dense(3, softmax_by_hand)], CE, ROWS),
        ([dense(3), M.Softmax()], CE, ROWS),
        ([dense(3), M.Activation("softmax", dtype="float32")], SPARSE, CLASSES[:, None]),
        ([dense(3), M.Reshape((3, 1)), M.Reshape((3,)), M.Softmax()], SPARSE, CLASSES),
        ([dense(3)], losses.CategoricalCrossentropy(**LOGITS), ROWS),
        ([dense(3, "log_softmax")], losses.SparseCategoricalCrossentropy(**LOGITS), CLASSES),
        ([dense(1, "sigmoid")], BCE, TWO),
        ([dense(1, "sigmoid")], "mse", TWO),
        ([dense(1)], losses.BinaryCrossentropy(**LOGITS), TWO[:, None].astype("float32")),
        ([dense(3, "sigmoid")], BCE, np.minimum(ROWS + ROWS[::-1], 1)),
        ([dense(1)], "mse", NUMBERS),
        ([dense(1, "softplus")], "mae", abs(NUMBERS)[:, None]),
        ([dense(3, "tanh")], "mse", np.tanh(X[:, :3])),
        ([dense(3)], lambda y, p: keras.ops.mean((y - p) ** 2), CLASSES),
    ],
)
def test_right_pairs_are_left_alone(last, loss, y):
    assert found(network(*last, loss=loss), X, y) == {}


@pytest.mark.every_backend
def test_a_softmax_before_logits_counts_where_keras_does_not_undo_it(backend):
    """The loss of Keras itself is the oracle: on TensorFlow it is that of the logits."""
    model = network(dense(30, "softmax"), loss=losses.SparseCategoricalCrossentropy(**LOGITS))
    severity = "warning" if backend == "tensorflow" else "error"
    assert found(model) == {"doubled_activation": severity}
    once = -np.log(keras.ops.convert_to_numpy(model(X))[range(SAMPLES), CLASSES]).mean()
    undone = backend == "tensorflow"
    with pytest.warns(UserWarning, match="from_logits") if undone else contextlib.nullcontext():
        loss = model.compute_loss(y=CLASSES, y_pred=model(X))
    assert np.isclose(keras.ops.convert_to_numpy(loss), once, rtol=1e-4) == undone


def test_the_least_loss_of_a_softmax_of_a_softmax_is_said():
    (finding,) = preflight(network(dense(3, "softmax"), M.Softmax()))
    least = float(losses.SparseCategoricalCrossentropy(**LOGITS)(np.array([0]), np.eye(3)[:1]))
    assert f"can't fall below {least:.2g}" in finding.message


@pytest.mark.parametrize(
    ("last", "loss", "y", "expected", "words"),
    [
        ((3, "softmax"), CE, CLASSES, "class_numbers_for_one_hot", "SparseCategorical"),
        ((3, "softmax"), SPARSE, ROWS, "one_hot_for_class_numbers", "argmax"),
        ((3, "softmax"), SPARSE, CLASSES + 1, "class_outside", "y - 1"),
        ((2, "softmax"), SPARSE, CLASSES, "class_outside", "0…2"),
        ((3, "softmax"), SPARSE, NUMBERS, "labels_no_classes", "MeanSquaredError"),
        ((3, "softmax"), CE, np.eye(4)[CLASSES], "wrong_number_of_units", "4 units"),
        ((3, "softmax"), CE, ROWS * 255, "labels_no_classes", "255"),
        ((3, "softmax"), SPARSE, CLASSES.astype(str), "labels_not_numbers", "np.unique"),
        ((1, None), "mse", np.where(NUMBERS > 1, np.nan, NUMBERS), "labels_not_finite", "NaN"),
        ((1, "sigmoid"), BCE, CLASSES, "label_outside_0_1", "softmax"),
        ((1, "sigmoid"), BCE, TWO * 2 - 1, "label_outside_0_1", "0 and 1"),
        ((1, "sigmoid"), BCE, ROWS[:, :2], "wrong_number_of_units", "2 units"),
        ((3, None), "mse", NUMBERS, "wrong_number_of_units", "1 unit"),
        ((5, "softmax"), SPARSE, CLASSES, "too_many_units", "3 units"),
        ((4, "softmax"), SPARSE, CLASSES + 1, "labels_from_1", "y - 1"),
        ((3, "softmax"), CE, np.minimum(ROWS + ROWS[::-1], 1), "several_labels", "sigmoid"),
        ((1, None), "mse", NUMBERS * 1e5, "targets_not_scaled", "standardise"),
        ((3, "softmax"), SPARSE, CLASSES * 0 + 1, "one_class", "every class"),
        ((3, "softmax"), SPARSE, np.repeat([0, 1, 2], [2, 3, 55]), "unbalanced_classes",
         "55 samples of class 2 and 2 of class 0"),
    ],
)  # fmt: skip
def test_labels_against_outputs_and_loss(last, loss, y, expected, words):
    (finding,) = preflight(ending_in(*last, loss), X, y)
    assert finding.rule == expected
    assert words in str(finding)


@pytest.mark.parametrize(
    ("metric", "last", "loss", "expected"),
    [
        ("accuracy", dense(1), "mse", {"accuracy_of_regression": "warning"}),
        ("accuracy", dense(1), losses.BinaryCrossentropy(**LOGITS),
         {"threshold_of_logits": "warning"}),
        (keras.metrics.AUC(), dense(1), losses.BinaryCrossentropy(**LOGITS),
         {"threshold_of_logits": "warning"}),
        (keras.metrics.BinaryAccuracy(threshold=0), dense(1), losses.BinaryCrossentropy(**LOGITS),
         {}),
        ("categorical_accuracy", dense(3, "softmax"), SPARSE, {"unfit_metric": "warning"}),
        (keras.metrics.SparseCategoricalAccuracy(), dense(3, "softmax"), CE,
         {"unfit_metric": "warning"}),
        ("accuracy", dense(3, "softmax"), SPARSE, {}),
        ("mae", dense(1), "mse", {}),
    ],
)  # fmt: skip
def test_metrics(metric, last, loss, expected):
    assert found(network(last, loss=loss, metrics=[metric])) == expected


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        pytest.param(OPT.Adam(0.1), {"high_rate": "warning"}, marks=pytest.mark.every_backend),
        (OPT.Adam(1.0), {"high_rate": "error"}),
        (OPT.SGD(2.0), {"high_rate": "warning"}),
        (OPT.SGD(1.0, momentum=0.99), {"high_rate": "warning"}),
        (OPT.RMSprop(1e-7), {"low_rate": "warning"}),
        (OPT.Adam(1e-5), {"low_rate": "info"}),
        (OPT.Adadelta(), {"low_rate": "warning"}),
        (OPT.SGD(0.0), {"rate_not_positive": "error"}),
        (OPT.SGD(keras.optimizers.schedules.ExponentialDecay(5.0, 9, 0.9)),
         {"high_rate": "warning"}),
        (OPT.Adam(keras.optimizers.schedules.CosineDecay(
            0.0, 900, warmup_target=1e-3, warmup_steps=99)), {}),
        (OPT.SGD(0.1, momentum=0.9), {}),
        (OPT.Lion(1e-4), {}),
    ],
)  # fmt: skip
def test_learning_rates(optimizer, expected):
    assert found(network(dense(3, "softmax"), optimizer=optimizer)) == expected


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


PIXELS = np.random.default_rng(0).integers(0, 256, (SAMPLES, 8, 8, 3))
CONV = M.Conv2D(4, 3, padding="same", activation="relu")


@pytest.mark.parametrize(
    ("first", "x", "expected"),
    [
        ([], PIXELS, {"inputs_not_scaled": "warning"}),
        ([M.RandomFlip(), M.ZeroPadding2D()], PIXELS, {"inputs_not_scaled": "warning"}),
        ([M.Rescaling(1 / 255)], PIXELS, {}),
        ([M.BatchNormalization()], PIXELS, {}),
        ([M.Lambda(lambda x: x / 255)], PIXELS, {}),
        ([M.Rescaling(1 / 255)], PIXELS / 255, {"inputs_too_small": "warning"}),
        ([M.Normalization(mean=128.0, variance=4096.0)], PIXELS, {}),
        ([], PIXELS / 255, {}),
        ([], np.where(PIXELS > 250, np.nan, PIXELS / 255), {"inputs_not_finite": "error"}),
        ([], np.zeros_like(PIXELS), {"constant_inputs": "error"}),
        ([], np.moveaxis(PIXELS / 255, -1, 1), {"wrong_input_shape": "error"}),
        ([], PIXELS[0] / 255, {"wrong_input_shape": "error", "other_lengths": "error"}),
        ([], PIXELS[..., 0] / 255, {"wrong_input_shape": "error"}),
        ([], PIXELS[:9] / 255, {"other_lengths": "error"}),
        ([], [[1.0, 2.0]], {"inputs_no_array": "error"}),
        ([], iter([]), {"data_not_read": "info"}),
    ],
)
def test_inputs(first, x, expected):
    assert found(images(*first, CONV), x, CLASSES) == expected


def test_labels_for_each_sample_and_outputs_for_each_place():
    model = network(dense(3, "softmax"), size=(4, 5))
    assert found(model, PIXELS[:, :4, :5, 0] / 255, CLASSES) == {"labels_of_other_shape": "error"}
    assert found(model, PIXELS[:, :4, :5, 0] / 255, np.tile(CLASSES[:, None], 4)) == {}


def test_one_number_for_each_sample():
    model = network(dense(1), loss="mse", size=(1,))
    assert found(model, NUMBERS, NUMBERS) == {}
    assert found(model, 40 * NUMBERS, NUMBERS) == {"inputs_not_scaled": "warning"}


def test_tokens_beyond_the_embedding():
    layers = [L.Embedding(10, 4), L.LSTM(4), dense(1, "sigmoid")()]
    model = keras.Sequential([keras.Input((5,)), *layers])
    model.compile("sgd", BCE)
    tokens = np.arange(SAMPLES * 5).reshape(-1, 5) % 11
    assert found(model, tokens, TWO) == {"token_outside": "error"}
    assert found(model, tokens % 10, TWO) == {}


def test_settings_of_the_training():
    model = network(dense(3, "softmax"))
    many = np.repeat(X, 20, axis=0), np.repeat(CLASSES, 20)
    assert found(model, *many, batch_size=32) == {}
    assert found(model, *many, batch_size=1200) == {"large_batches": "warning"}
    assert found(model, *many, batch_size=500) == {"large_batches": "info"}
    assert found(model, *many, batch_size=1) == {"small_batches": "warning"}
    assert found(model, validation_data=False) == {"no_validation": "warning"}
    assert found(model, X, CLASSES, validation_data=(X, CLASSES)) == {}
    other = found(model, X, CLASSES, validation_data=(255 * X, CLASSES + 1))
    assert other == {"other_validation_scale": "error", "class_outside": "error"}


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
