"""preflight: healthy models of every kind raise no alarm, no model makes it fail or is changed."""

import json

import keras
import numpy as np
import pytest

from keras_dcnn.diagnosis import preflight
from keras_dcnn.models import small_cnn

L = keras.layers
CLASSES = np.arange(30) % 3
X = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3)).astype("uint8")
TOKENS = np.random.default_rng(0).integers(0, 50, (30, 7))
LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)


def compiled(model, loss, **arguments):
    model.compile(**{"optimizer": "adam", "loss": loss, **arguments})
    return model


def text_classifier():
    model = keras.Sequential([keras.Input((7,)), L.Embedding(50, 4)])
    model.add(L.Bidirectional(L.LSTM(4, return_sequences=True)))
    model.add(L.GRU(4))
    model.add(L.Dense(1, activation="sigmoid"))
    return compiled(model, "binary_crossentropy", metrics=["accuracy"]), TOKENS, CLASSES % 2


def language_model():
    model = keras.Sequential(
        [keras.Input((7,)), L.Embedding(50, 4), L.LSTM(8, return_sequences=True)]
    )
    model.add(L.TimeDistributed(L.Dense(50, activation="softmax")))
    return compiled(model, "sparse_categorical_crossentropy"), TOKENS, TOKENS


def u_net():
    same = {"padding": "same", "activation": "relu"}
    inputs = keras.Input((16, 16, 3))
    first = L.Conv2D(4, 3, **same)(L.Rescaling(1 / 255)(inputs))
    x = L.Conv2D(8, 3, **same)(L.MaxPooling2D()(first))
    x = L.Concatenate()([first, L.Conv2DTranspose(4, 2, strides=2)(x)])
    outputs = L.Conv2D(1, 1, activation="sigmoid")(L.Conv2D(4, 3, **same)(x))
    model = compiled(keras.Model(inputs, outputs), "binary_crossentropy", metrics=["accuracy"])
    return model, PIXELS, PIXELS[..., :1] > 127


def residual_network():
    conv = {"padding": "same", "use_bias": False}
    inputs = keras.Input((16, 16, 3))
    x = L.BatchNormalization()(L.Conv2D(8, 3, **conv)(L.Rescaling(1 / 127.5, offset=-1)(inputs)))
    branch = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, **conv)(L.ReLU()(x))))
    gate = L.Dense(8, activation="sigmoid")(
        L.Dense(2, activation="relu")(L.GlobalAveragePooling2D()(x))
    )
    x = L.Add()([x, L.Multiply()([branch, L.Reshape((1, 1, 8))(gate)])])
    x = L.BatchNormalization()(L.Conv2D(4, 1)(x))  # a linear bottleneck, as MobileNetV2's
    x = L.ReLU()(L.Conv2D(16, 1)(x))
    outputs = L.Dense(3)(L.Dropout(0.5)(L.GlobalAveragePooling2D()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(keras.Model(inputs, outputs), loss, metrics=["accuracy"]), PIXELS, CLASSES


def two_outputs():
    inputs = {"one": keras.Input((4,), name="one"), "two": keras.Input((7,), name="two")}
    x = L.GlobalAveragePooling1D()(L.Embedding(50, 4)(inputs["two"]))
    x = L.Dense(8, activation="relu")(L.Concatenate()([inputs["one"], x]))
    outputs = {"class": L.Dense(3, activation="softmax")(x), "size": L.Dense(1)(x)}
    loss = {"class": "sparse_categorical_crossentropy", "size": "mse"}
    model = compiled(keras.Model(inputs, outputs), loss, metrics={"class": ["accuracy"]})
    return model, {"two": TOKENS, "one": X}, {"class": CLASSES, "size": X[:, 0]}


def discriminator():
    conv = {"strides": 2, "padding": "same"}
    model = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(4, 3, **conv), L.LeakyReLU(0.2)])
    for layer in (L.Dropout(0.3), L.Conv2D(8, 3, **conv), L.LeakyReLU(0.2)):
        model.add(layer)
    model.add(L.GlobalMaxPooling2D())
    model.add(L.Dense(1))
    return compiled(model, LOGITS, optimizer=keras.optimizers.Adam(2e-4)), PIXELS / 127.5 - 1, None


def autoencoder():
    model = keras.Sequential([keras.Input((4,)), L.Dense(2), L.Dense(4)])
    return compiled(model, "mse"), X, X


def cnn():
    model = compiled(small_cnn((16, 16, 3), 3), "sparse_categorical_crossentropy")
    return model, PIXELS, CLASSES


HEALTHY = (text_classifier, language_model, u_net, residual_network, two_outputs, discriminator)


@pytest.mark.parametrize("make", [*HEALTHY, autoencoder, cnn], ids=lambda make: make.__name__)
def test_healthy_models(make):
    model, x, y = make()
    assert [str(one) for one in preflight(model, x, y, batch_size=16, trial=False)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny"])
def test_networks_of_keras_with_a_usual_head(name):
    network = getattr(keras.applications, name)
    base = network(weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg")
    model = keras.Sequential([base, L.Dropout(0.2), L.Dense(5, activation="softmax")])
    findings = preflight(compiled(model, "sparse_categorical_crossentropy", metrics=["accuracy"]))
    assert {one.severity for one in findings} <= {"info"}


def test_mistakes_in_one_of_two_outputs_are_named():
    model, x, y = two_outputs()
    (finding,) = preflight(model, x, {**y, "class": CLASSES + 1})
    assert (finding.rule, finding.severity) == ("class_outside", "error")
    assert finding.layer == model.output_names[0]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = L.Dense(8), L.Dense(3)

    def call(self, x):
        return self.last(keras.ops.relu(self.hidden(x)))


def test_a_call_of_ones_own_can_not_be_read():
    model = compiled(Subclassed(), "sparse_categorical_crossentropy")
    for _ in ("not built", "built"):
        (finding,) = preflight(model, X, CLASSES)
        assert (finding.rule, finding.severity) == ("cannot_tell", "info")
        model(X[:1])
    rules = [one.rule for one in preflight(model, X, np.eye(3)[CLASSES])]
    assert rules == ["one_hot_for_class_numbers", "cannot_tell"]


def test_models_that_are_not_built():
    layers = [L.Dense(8, activation="relu"), keras.Sequential([L.Dense(8)]), L.Dense(3)]
    model = compiled(keras.Sequential(layers), "sparse_categorical_crossentropy")
    rules = [one.rule for one in preflight(model, X, CLASSES + 1)]
    assert rules == ["not_probabilities", "class_outside", "linear_layer"]
    assert not model.built
    assert [one.rule for one in preflight(keras.Sequential(), X, CLASSES)] == ["not_compiled"]


@pytest.mark.every_backend
def test_everything_is_as_before():
    """Weights, settings, losses, and the next random number."""
    layers = [L.Rescaling(0.5), L.Dropout(0.5), L.Dense(8, "relu", activity_regularizer="l2")]
    model = keras.Sequential([keras.Input((4,)), *layers, L.Dense(3), L.Softmax()])
    compiled(model, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)

    def state():
        values = [
            keras.ops.convert_to_numpy(one) for one in model.variables + model.optimizer.variables
        ]
        losses = list(map(id, model.losses))
        return json.dumps(model.get_config(), default=str), model.built, losses, values

    keras.utils.set_random_seed(0)
    *before, values = state()
    assert preflight(model, X, CLASSES) == []
    *after, now = state()
    assert before == after
    assert all(map(np.array_equal, values, now))
    drawn = keras.ops.convert_to_numpy(keras.random.uniform((3,)))
    keras.utils.set_random_seed(0)
    assert np.array_equal(drawn, keras.ops.convert_to_numpy(keras.random.uniform((3,))))


@pytest.mark.parametrize(
    ("error", "match", "arguments"),
    [
        (TypeError, "`model` must be a Keras model; got int", {"model": 3}),
        (ValueError, "`batch_size` must be a whole number", {"batch_size": 0}),
        (ValueError, "`trial` must be True or False; got 1", {"trial": 1}),
    ],
)
def test_bad_arguments(error, match, arguments):
    with pytest.raises(error, match=match):
        preflight(**{"model": keras.Sequential([L.Dense(1)]), **arguments})


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X.tolist(), CLASSES.tolist()),
        ([[1], [1, 2]], [[1], [1, 2]]),
        (np.array(["a", "b"]), np.array(["a", "b"])),
        (X[:0], CLASSES[:0]),
        (np.float32(1), np.float32(1)),
        (X.astype(complex), CLASSES.astype(complex)),
        ({"a": X}, {"b": CLASSES}),
        ((X, X), (CLASSES, CLASSES)),
        (iter([X]), None),
        (np.full((30, 4), None), np.full((30,), None)),
        (X[..., None, None], CLASSES[..., None, None]),
        (X > 0, CLASSES > 0),
    ],
)
def test_whatever_comes_gives_findings(x, y):
    model = compiled(keras.Sequential([keras.Input((4,)), L.Dense(3)]), "categorical_crossentropy")
    said = {"batch_size": 4, "validation_data": (x, y), "trial": False}
    rules = [one.rule for one in preflight(model, x, y, **said)]
    assert "not_probabilities" in rules
