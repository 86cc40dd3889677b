"""preflight: the last activation, labels and metrics against the loss; learning rates."""

import contextlib

import keras
import numpy as np
import pytest
from preflight_networks import (
    BCE,
    CE,
    CLASSES,
    LOGITS,
    NUMBERS,
    OPT,
    ROWS,
    SAMPLES,
    SPARSE,
    TWO,
    M,
    X,
    dense,
    ending_in,
    found,
    losses,
    network,
    softmax_by_hand,
)

from keras_dcnn.diagnosis import preflight


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
    (finding,) = preflight(ending_in(*last, loss), X, y, trial=False)
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
