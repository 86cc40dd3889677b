"""Ensemble: combines as the formulas say, and refuses members that do not fit."""

import keras
import numpy as np
import pytest
from ensemble.averaged import compile_for_tests
from scipy import special

from keras_dcnn.ensemble import Ensemble

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def member(activation="softmax", units=3, inputs=4):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units, activation)])


def predict(model):
    return model.predict(X, verbose=0)


def outputs(members, x=X):
    """What each says; by Keras's `call`, as `predict` compiles every model anew."""
    return np.stack([keras.ops.convert_to_numpy(m(x)) for m in members]).astype("float64")


REFERENCE = {
    "probability": lambda p, w: np.tensordot(w, p, 1),
    "logit": lambda z, w: np.tensordot(w, z, 1),
    "geometric": lambda p, w: (
        np.prod(p ** w[:, None, None], 0) / np.prod(p ** w[:, None, None], 0).sum(-1, keepdims=True)
    ),
    "vote": lambda p, w: np.tensordot(w, np.eye(p.shape[-1])[p.argmax(-1)], 1),
}


@pytest.mark.every_backend
@pytest.mark.parametrize("combine", REFERENCE)
@pytest.mark.parametrize("weights", [None, (1, 0, 3)])
def test_against_numpy(combine, weights):
    members = [member("linear" if combine == "logit" else "softmax") for _ in range(3)]
    share = np.ones(3) / 3 if weights is None else np.array(weights) / 4
    expected = REFERENCE[combine](outputs(members), share)
    combined = predict(Ensemble(members, combine, weights))
    np.testing.assert_allclose(combined, expected, rtol=0, atol=1e-6)


def test_two_classes_with_one_output():
    members = [member("sigmoid", 1) for _ in range(3)]
    p = outputs(members)
    expected = special.expit(special.logit(p).mean(0))
    np.testing.assert_allclose(predict(Ensemble(members, "geometric")), expected, rtol=1e-4)
    np.testing.assert_allclose(predict(Ensemble(members, "vote")), (p > 0.5).mean(0), rtol=1e-6)


def test_probabilities_that_underflowed_give_no_nan():
    one, other = member(), member()
    one.set_weights([np.zeros((4, 3), "float32"), np.array([500, 0, -500], "float32")])
    other.set_weights([np.zeros((4, 3), "float32"), np.array([-500, 0, 500], "float32")])
    out = predict(Ensemble([one, other], "geometric"))
    np.testing.assert_allclose(out.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(out[:, 0], out[:, 2], rtol=1e-5)


def test_several_outputs_are_combined_one_by_one():
    def build():
        x = keras.Input((4,))
        heads = [keras.layers.Dense(n, "softmax", name=f"head{n}")(x) for n in (2, 3)]
        return keras.Model(x, {"a": heads[0], "b": heads[1]})

    members = [build() for _ in range(2)]
    out, each = predict(Ensemble(members)), [m(X) for m in members]
    for key in ("a", "b"):
        mean = keras.ops.convert_to_numpy((each[0][key] + each[1][key]) / 2)
        np.testing.assert_allclose(out[key], mean, rtol=1e-5)


@pytest.mark.every_backend
def test_subclassed_members_and_an_ensemble_of_ensembles(tmp_path):
    @keras.saving.register_keras_serializable(package="test_ensemble")
    class Custom(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(3, "softmax")

        def call(self, x):
            return self.dense(x)

    members = [Custom(), member()]
    members[0](X)
    inner = Ensemble(members)
    inner.save(tmp_path / "inner.keras")
    loaded = keras.saving.load_model(tmp_path / "inner.keras")
    np.testing.assert_allclose(predict(loaded), predict(inner), rtol=1e-5)
    outer = Ensemble([inner, member()])
    expected = outputs([inner, outer.members[1]]).mean(0)
    np.testing.assert_allclose(predict(outer), expected, rtol=1e-5)


@pytest.mark.every_backend
def test_evaluate_needs_no_compile_when_members_are_compiled_and_has_no_optimizer(tmp_path):
    members = [member() for _ in range(2)]
    for m in members:
        compile_for_tests(m)
    ensemble = Ensemble(members)
    y = np.arange(6) % 3
    loss, accuracy = ensemble.evaluate(X, y, verbose=0)
    p = predict(ensemble)
    assert loss == pytest.approx(-np.log(p[range(6), y]).mean(), rel=1e-5)
    assert accuracy == pytest.approx(np.mean(p.argmax(1) == y))
    ensemble.save(tmp_path / "e.keras")
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    assert loaded.evaluate(X, y, verbose=0) == pytest.approx([loss, accuracy], rel=1e-5)
    assert ensemble.optimizer is loaded.optimizer is None
    with pytest.raises(ValueError, match="train the members, or call `compile`"):
        loaded.fit(X, y, verbose=0)


def test_one_compiled_by_the_user_trains_jointly_also_after_loading(tmp_path):
    ensemble, y = Ensemble([member(), member()]), np.arange(6) % 3
    compile_for_tests(ensemble)
    ensemble.fit(X, y, verbose=0)
    ensemble.save(tmp_path / "e.keras")
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    np.testing.assert_allclose(predict(loaded), predict(ensemble), rtol=1e-5)
    one, other = (m.fit(X, y, verbose=0).history["loss"] for m in (ensemble, loaded))
    assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.every_backend
def test_mixed_precision_members_answer_in_float32():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        out = predict(Ensemble([member(), member()], "geometric"))
    finally:
        keras.config.set_dtype_policy(policy)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.sum(-1), 1, rtol=1e-3)


@pytest.mark.every_backend
def test_several_inputs(tmp_path):
    def build():
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((2,), name="b")}
        joined = keras.layers.concatenate(list(inputs.values()))
        return keras.Model(inputs, keras.layers.Dense(3, "softmax")(joined))

    members, x = [build(), build()], {"a": X, "b": X[:, :2]}
    ensemble = Ensemble(members)
    expected = outputs(members, x).mean(0)
    np.testing.assert_allclose(ensemble.predict(x, verbose=0), expected, rtol=1e-5)
    ensemble.save(tmp_path / "e.keras")
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-5)


def test_what_comes_after_the_last_named_activation_counts():
    x = keras.Input((4,))
    dense = keras.layers.Dense
    for outputs, how in (
        (keras.ops.softmax(dense(3)(x)), "probability"),
        (keras.ops.log(dense(3, "softmax")(x)), "logit"),
        ([dense(3, "softmax")(x), dense(1)(x)], "probability"),
        (keras.layers.Softmax()(dense(3)(x)), "probability"),
    ):
        alone = keras.Model(x, outputs)
        out, expected = (keras.tree.flatten(one(X)) for one in (Ensemble([alone], how), alone))
        for one, other in zip(out, expected, strict=True):
            np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (one, other)), rtol=1e-6)


SAME = member()


class SaysItIsBuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.built = True


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Ensemble([]), ValueError, "at least one model; got none"),
        (
            lambda: Ensemble([member(), "m.keras"]),
            TypeError,
            "member 1 must be a Keras model; got str",
        ),
        (
            lambda: Ensemble([keras.Sequential([keras.layers.Dense(3)])]),
            ValueError,
            "member 0 must be built",
        ),
        (lambda: Ensemble([member(), member(units=4)]), ValueError, "member 1 .*None, 4"),
        (lambda: Ensemble([member(), member(inputs=5)]), ValueError, "member 1 .*None, 5"),
        (lambda: Ensemble([SAME, SAME]), ValueError, "is given twice"),
        (lambda: Ensemble([SaysItIsBuilt()]), ValueError, "one of a shape that Keras was not told"),
        (lambda: Ensemble([member("linear")]), ValueError, "needs probabilities; member 0"),
        (lambda: Ensemble([member()], "logit"), ValueError, "ends in softmax"),
        (
            lambda: Ensemble(
                [keras.Sequential([member("linear"), keras.layers.Softmax()])], "logit"
            ),
            ValueError,
            "ends in softmax",
        ),
        (lambda: Ensemble([member("linear", 1)], "vote"), ValueError, "needs probabilities"),
        (lambda: Ensemble(member()), TypeError, "must be a list of models; got Sequential"),
        (lambda: Ensemble([member()], weights="x"), ValueError, "one number per member"),
        (lambda: Ensemble([member()], "mean"), ValueError, "`combine` must be one of"),
        (lambda: Ensemble([member()], weights=[1, 2]), ValueError, "one number per member, 1"),
        (lambda: Ensemble([member()], weights=[-1]), ValueError, "at least 0"),
        (lambda: Ensemble([member()], weights=[0]), ValueError, "must not all be 0"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
