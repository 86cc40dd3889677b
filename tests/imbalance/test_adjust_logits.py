"""adjust_logits is f − τ·log π after a model, in the form of its outputs; τ by held-out data."""

import keras
import numpy as np
import pytest
from trainings import for_few_steps

from keras_dcnn.imbalance import adjust_logits
from keras_dcnn.losses import LogitAdjustedCrossentropy

PRIORS = np.array([90, 9, 1])
PI = PRIORS / PRIORS.sum()
F = np.random.default_rng(0).normal(0, 2, (6, 3)).astype("float32")
Y = np.arange(6) % 3


def identity(activation=None, units=3, last=None, dtype=None):
    """A classifier whose logits are its input."""
    head = keras.layers.Dense(units, activation, dtype=dtype, name="head")
    model = keras.Sequential([keras.Input((units,)), head, *([last] if last else [])])
    model.set_weights([np.eye(units), np.zeros(units)])
    return model


def softmax(f):
    e = np.exp(f.astype("float64"))
    return e / e.sum(-1, keepdims=True)


def outputs(model, x):
    return keras.ops.convert_to_numpy(keras.ops.cast(model(x), "float32"))


@pytest.mark.every_backend
def test_against_the_definition():
    """Logits as logits; probabilities divided by π^τ, and by their sum."""
    for tau in (0, 1.7):
        difference = outputs(adjust_logits(identity(), PI, tau), F) - (F - tau * np.log(PI))
        np.testing.assert_allclose(difference, np.full((6, 3), difference[0, 0]), atol=1e-5)
        expected = softmax(F) / PI**tau
        expected /= expected.sum(-1, keepdims=True)
        for model in (identity("softmax"), identity(last=keras.layers.Softmax())):
            np.testing.assert_allclose(
                outputs(adjust_logits(model, PRIORS, tau), F), expected, 1e-4
            )


@pytest.mark.every_backend
def test_of_one_unit_the_odds_are_divided():
    f = F[:, :1]
    for tau in (0, 1.7):
        expected = f - tau * np.log(0.1 / 0.9)
        logits = outputs(adjust_logits(identity(units=1), [9, 1], tau), f)
        np.testing.assert_allclose(logits, expected, rtol=1e-5)
        p = outputs(adjust_logits(identity("sigmoid", units=1), [9, 1], tau), f)
        np.testing.assert_allclose(p, 1 / (1 + np.exp(-expected)), rtol=1e-4)


def test_certain_probabilities_stay_finite():
    far = np.array([[300, -300, 0], [-300, 300, -300]], "float32")
    p = outputs(adjust_logits(identity("softmax"), [1e6, 1, 1], 2), far)
    np.testing.assert_allclose(p, [[1, 0, 0], [0, 1, 0]], atol=1e-5)
    p = outputs(adjust_logits(identity("sigmoid", units=1), [1e6, 1], 2), far[:2, :1])
    np.testing.assert_allclose(p, [[1], [0]], atol=1e-5)


@pytest.mark.every_backend
def test_half_precision():
    """Outputs of the model's dtype, computed in float32: 1 of 60,000 is not lost on the way."""
    f, priors = np.array([[4.0, -4.0, 0]], "float32"), [60_000, 1, 1]
    expected = softmax(f) / priors
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        for dtype in ("float32", None):
            adjusted = adjust_logits(identity("softmax", dtype=dtype), priors)
            kind = keras.backend.standardize_dtype(adjusted.outputs[0].dtype)
            assert kind == (dtype or "float16")
            found = outputs(adjusted, f)
            np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-2, atol=1e-3)
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.every_backend
def test_compiled_saved_and_loaded_as_the_model_is(tmp_path):
    model = identity("softmax")
    model.compile(
        "sgd",
        {"head": "sparse_categorical_crossentropy"},
        metrics=["accuracy"],
        **for_few_steps(),
    )
    adjusted = adjust_logits(model, PRIORS, 1.5)
    expected = softmax(F) / PI**1.5
    expected /= expected.sum(-1, keepdims=True)
    loss, accuracy = adjusted.evaluate(F, Y, verbose=0)
    assert loss == pytest.approx(-np.log(expected[range(6), Y]).mean(), rel=1e-4)
    assert accuracy == pytest.approx(np.mean(expected.argmax(1) == Y))
    adjusted.save(tmp_path / "adjusted.keras")
    loaded = keras.saving.load_model(tmp_path / "adjusted.keras")
    np.testing.assert_array_equal(outputs(loaded, F), outputs(adjusted, F))
    assert loaded.layers[-1].tau == adjusted.layers[-1].tau == 1.5
    assert loaded.loss == "sparse_categorical_crossentropy"


def test_layers_are_shared_and_the_model_stays():
    inputs = {name: keras.Input((3,), name=name) for name in ("one", "other")}
    head = keras.layers.Dense(3, "softmax")
    model = keras.Model(inputs, head(inputs["one"] + inputs["other"]))
    x = {"one": F, "other": F}
    before = outputs(model, x)
    adjusted = adjust_logits(model, PRIORS)
    head.set_weights([np.zeros((3, 3)), np.log(PI)])  # which knows nothing but how often they come
    np.testing.assert_allclose(outputs(adjusted, x), np.full((6, 3), 1 / 3), rtol=1e-4)
    assert not np.allclose(outputs(model, x), before)
    assert model.layers[-1] is head


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return tuple(array[i::5] for array in self.arrays)


@pytest.mark.every_backend
def test_tau_on_held_out_data():
    """Of what Bayes's rule gives of unit normals, times two, it is two; of every kind of data."""
    rng = np.random.default_rng(1)
    means = rng.normal(size=(3, 4))
    y = np.repeat(np.arange(3), 6 * PRIORS)
    x = means[y] + rng.normal(size=(len(y), 4))
    f = -np.square(x[:, None] - means).sum(-1) + 2 * np.log(PI)
    rubbish = np.concatenate([f, F]), np.concatenate([y, np.full(6, 7)]), np.arange(606) < 600
    order = rng.permutation(606)
    batches = Batches(*(array[order].astype("float32") for array in rubbish))
    taus = [
        adjust_logits(model, PRIORS, "auto", data).layers[-1].tau
        for model, data in (
            (identity(), (f, y)),
            (identity("softmax"), (f, np.eye(3)[y])),
            (identity("softmax"), batches),
        )
    ]
    assert taus[0] == taus[1] == taus[2] == pytest.approx(2, abs=0.4)


def test_tau_of_one_unit_is_that_of_two():
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], [300, 30])
    f = (2 * y - 1 + rng.normal(size=330))[:, None] - 2.0
    two = np.concatenate([np.zeros_like(f), f], 1)
    taus = [
        adjust_logits(model, [300, 30], "auto", (x, y)).layers[-1].tau
        for model, x in (
            (identity(units=1), f),
            (identity("sigmoid", units=1), f),
            (identity("softmax", units=2), two),
        )
    ]
    assert 0 < taus[0] == taus[1] == taus[2] < 4


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(3, "softmax")

    def call(self, x):
        return self.head(x)


def test_a_model_of_ones_own_wrapped():
    model = Subclassed()
    before = outputs(model, F)
    with pytest.raises(ValueError, match=r"Subclassed, has a `call` of its own.*give keras.Model"):
        adjust_logits(model, PRIORS)
    inputs = keras.Input((3,))
    wrapped = keras.Model(inputs, model(inputs))
    with pytest.raises(ValueError, match="ends in no layer, which does not show what its outputs"):
        adjust_logits(wrapped, PRIORS)
    expected = before / PI / (before / PI).sum(-1, keepdims=True)
    found = outputs(adjust_logits(wrapped, PRIORS, from_logits=False), F)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def two_outputs():
    inputs = keras.Input((3,))
    return keras.Model(inputs, [keras.layers.Dense(3)(inputs), keras.layers.Dense(3)(inputs)])


def trained_with_adjustment():
    model = identity()
    model.compile("sgd", {"head": LogitAdjustedCrossentropy(PRIORS, from_logits=True)})
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: keras.Sequential([keras.layers.Dense(3)]), "`model` must be built"),
        (two_outputs, "`model` must have one output; .* has 2"),
        (lambda: identity("sigmoid"), "one class; .* ends in 3 sigmoids, one for each"),
        (lambda: identity("relu"), "ends in relu, which does not show .* say `from_logits`"),
        (
            lambda: identity("softmax", last=keras.layers.Activation("linear")),
            "ends in linear, which does not show what its outputs are",
        ),
        (lambda: identity(last=keras.layers.Flatten()), "ends in Flatten, which does not show"),
        (lambda: identity(units=2), "one for each class of .* 2 outputs; got 3: give 2"),
        (lambda: identity(units=1), "1 output; got 3: give those of the classes 0 and 1"),
        (lambda: adjust_logits(identity(), PRIORS, 2), "already, by adjust_logits with tau=2"),
        (trained_with_adjustment, "is adjusted already, by its loss with tau=1.0"),
    ],
)
def test_models_that_can_not_be_adjusted(model, message):
    with pytest.raises(ValueError, match=message):
        adjust_logits(model(), PRIORS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([9, 1, 0],), "`priors` must be finite and above 0; got 0 for class 2"),
        ((Y,), "one for each class of .* 3 outputs; got 6: give 3"),
        ((PRIORS, -1), "`tau` must be a finite number of at least 0"),
        ((PRIORS, "best"), "`tau` must be a finite number of at least 0 .*; got 'best'"),
        ((PRIORS, "auto"), '"auto" needs `validation_data`'),
        ((PRIORS, 1, (F, Y)), '`validation_data` is for tau="auto"; got tau=1: leave one out'),
        ((PRIORS, "auto", F), "must be .x, y. or .*got one array"),
        ((PRIORS, "auto", (F,)), "must be .x, y. or .*got 1 in it"),
        ((PRIORS, "auto", (F, Y[:5])), "all arrays must have as many samples"),
        ((PRIORS, "auto", (F, Y % 2)), "class 2 has none: add some, or give `tau=1`"),
        ((PRIORS, "auto", (F, Y + 1)), "y of validation_data` must be whole numbers from 0 to 2"),
        ((PRIORS, "auto", (F, np.where(Y, np.nan, 1))), "`y` must be classes.*got nan"),
        ((PRIORS, "auto", (F, softmax(F))), "each sample must have one class"),
        ((PRIORS, "auto", (F, Y, 0 * Y)), "at least one sample that counts"),
        ((PRIORS, "auto", (F, Y, Y - 1.0)), "`sample_weight` must be a finite number ≥ 0"),
        ((PRIORS, "auto", (F * np.nan, Y)), "must predict finite numbers"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        adjust_logits(identity(), *arguments)
