"""preflight: inputs, batches and validation data."""

import keras
import numpy as np
import pytest
from preflight_networks import (
    BCE,
    CLASSES,
    CONV,
    NUMBERS,
    PIXELS,
    SAMPLES,
    TWO,
    L,
    M,
    X,
    dense,
    found,
    images,
    network,
)

from keras_dcnn.layers import standard_augmentation


@pytest.mark.parametrize(
    ("first", "x", "expected"),
    [
        ([], PIXELS, {"inputs_not_scaled": "warning"}),
        ([M.RandomFlip(), M.ZeroPadding2D()], PIXELS, {"inputs_not_scaled": "warning"}),
        (
            [standard_augmentation(8, 8), M.AveragePooling2D(2)],
            PIXELS,
            {"inputs_not_scaled": "warning"},
        ),
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


def test_one_nan_among_many_images():
    x = np.zeros((3000, 32, 32, 3), "float32")
    x[::2], x[777, 0, 0, 0] = 0.5, np.nan
    rules = found(network(CONV, dense(3, "softmax"), size=(32, 32, 3)), x, np.arange(3000) % 3)
    assert rules["inputs_not_finite"] == "error"


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
