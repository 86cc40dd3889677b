"""LateFusion: learned weights are the best there are, act at once, are saved; nothing leaks."""

import copy
import pickle

import keras
import numpy as np
import pytest
from ensemble.averaged import compile_for_tests
from scipy import optimize, special

from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn.ensemble.fusing._simplex import minimise_on_simplex
from keras_dcnn.ensemble.fusing.late_fusion import LateFusion

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4)).astype("float32")
Y = rng.integers(0, 3, 40)
SEEN = rng.normal(size=(5, 4))  # stands for what members were trained on


def member(seed, activation="softmax", units=3):
    init = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(units, activation, kernel_initializer=init)]
    )


def members(combine="probability", units=3, count=3):
    activation = "linear" if combine == "logit" else "softmax" if units > 1 else "sigmoid"
    return [member(seed, activation, units) for seed in range(count)]


def loss(combine, outputs, y, weights):
    """Mean −log p(label), from the definition."""
    outputs = outputs.astype("float64")
    if outputs.shape[-1] == 1:
        pair = [0 * outputs, outputs] if combine == "logit" else [1 - outputs, outputs]
        outputs = np.concatenate(pair, -1)
    if combine == "geometric":
        outputs = np.log(outputs)
    p = np.tensordot(weights, outputs, 1)
    p = p if combine == "probability" else special.softmax(p, -1)
    return -np.log(p[np.arange(len(y)), y]).mean()


def best(function, count):
    return optimize.minimize(
        function,
        np.full(count, 1 / count),
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )


@pytest.mark.parametrize("combine", ["probability", "geometric", "logit"])
@pytest.mark.parametrize("units", [1, 3])
def test_the_weights_are_the_best_that_scipy_finds(combine, units):
    fusion = LateFusion(members(combine, units), combine)
    y = Y % max(units, 2)
    outputs = np.stack([keras.ops.convert_to_numpy(m(X)) for m in fusion.members])
    weights = np.array(fusion.learn_weights(X, y, trained_on=SEEN))
    found = best(lambda w: loss(combine, outputs, y, w), 3)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert loss(combine, outputs, y, weights) <= found.fun + 2.1e-6
    assert loss(combine, outputs, y, weights) < loss(combine, outputs, y, np.ones(3) / 3) - 1e-4
    assert fusion.member_weights == tuple(weights)


def test_conditions_of_karush_kuhn_and_tucker():
    p = rng.dirichlet(np.ones(5), (20, 400))
    y = rng.integers(0, 5, 400)
    fusion = LateFusion(members(units=5, count=20))
    weights = np.array(fusion.learn_weights_from(p, y))
    of_label = p[:, np.arange(400), y]
    ratio = (of_label / (weights @ of_label)).mean(1)  # 1 for those that count, else at most 1
    assert 2 < np.count_nonzero(weights) < 20
    np.testing.assert_allclose(ratio[weights > 0.01], 1, atol=2e-3)
    assert ratio.max() < 1 + 2e-3


def sigmoid_members(labels=3, count=3):
    return [member(seed, "sigmoid", labels) for seed in range(count)]


@pytest.mark.every_backend
def test_several_labels_are_weighed_by_the_mean_over_them():
    fusion = LateFusion(sigmoid_members())
    y = (rng.random((40, 3)) < [0.6, 0.4, 0.2]).astype("uint8")
    p = np.stack([keras.ops.convert_to_numpy(m(X)) for m in fusion.members]).astype("float64")

    def cross_entropy(weights):
        mean = np.tensordot(weights, p, 1)
        return -np.log(np.where(y, mean, 1 - mean)).mean()

    weights = fusion.learn_weights(X, y, trained_on=SEEN)
    assert cross_entropy(weights) <= best(cross_entropy, 3).fun + 2.1e-6
    assert cross_entropy(weights) < cross_entropy(np.ones(3) / 3) - 1e-4
    with pytest.raises(ValueError, match="sum to 1, as of a softmax"):
        LateFusion(members()).learn_weights(X, y, trained_on=SEEN)


@pytest.mark.parametrize("combine", ["probability", "geometric", "logit"])
def test_samples_of_weight_0_count_for_nothing(combine):
    fusion, times = LateFusion(members(combine), combine), np.arange(40) % 3
    expected = fusion.learn_weights(X.repeat(times, axis=0), Y.repeat(times), trained_on=SEEN)
    x, y = np.where(times[:, None] > 0, X, np.nan), np.where(times > 0, Y, -1)
    found = fusion.learn_weights(x, y, trained_on=SEEN, sample_weight=times)
    assert found == pytest.approx(expected, abs=1e-4)

    class Weighted(keras.utils.PyDataset):
        num_batches = 4

        def __getitem__(self, i):
            batch = slice(10 * i, 10 * i + 10)
            return x[batch], y[batch], times[batch]

    assert fusion.learn_weights(Weighted(), trained_on=SEEN) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="at least one sample must count"):
        fusion.learn_weights(X, Y, trained_on=SEEN, sample_weight=0 * times)


def test_pickled_and_copied_before_and_after_learning():
    fusion = LateFusion(members())
    for _ in range(2):
        for other in (pickle.loads(pickle.dumps(fusion)), copy.deepcopy(fusion)):
            assert other.member_weights == fusion.member_weights
            found, expected = (m.predict(X, verbose=0) for m in (other, fusion))
            np.testing.assert_allclose(found, expected, rtol=1e-5)
        fusion.learn_weights(X, Y, trained_on=SEEN)


def test_members_of_several_outputs_are_refused():
    def build():
        x = keras.Input((4,))
        return keras.Model(x, [keras.layers.Dense(3, "softmax")(x) for _ in range(2)])

    with pytest.raises(ValueError, match=r"must have one output.* has 2"):
        LateFusion([build(), build()]).learn_weights(X, [Y, Y], trained_on=SEEN)


def test_a_perfect_member_gets_all_and_so_does_the_best_of_poor_ones():
    p = rng.dirichlet(np.ones(3), (3, 40))
    p[1] = np.eye(3)[Y]
    fusion = LateFusion(members())
    assert fusion.learn_weights_from(p, Y) == pytest.approx((0, 1, 0), abs=1e-5)
    assert fusion.learn_weights_from(list(p), np.eye(3)[Y]) == pytest.approx((0, 1, 0), abs=1e-5)


def test_probability_0_stays_finite():
    p = np.broadcast_to(np.eye(3)[(Y + 1) % 3], (3, 40, 3))
    for combine in ("probability", "geometric"):
        weights = LateFusion(members(), combine).learn_weights_from(p, Y)
        assert np.isfinite(weights).all()


def test_learned_weights_act_after_predict_evaluate_and_call_and_are_saved(tmp_path):
    fusion = LateFusion(members())
    compile_for_tests(fusion, None, metrics=[])
    outputs = np.stack([keras.ops.convert_to_numpy(m(X)) for m in fusion.members])
    np.testing.assert_allclose(fusion.predict(X, verbose=0), outputs.mean(0), rtol=1e-5)
    before = fusion.evaluate(X, Y, verbose=0)
    outer = keras.Sequential([keras.Input((4,)), fusion])
    weights = fusion.learn_weights(X, Y, trained_on=SEEN)
    expected = np.tensordot(weights, outputs, 1)
    assert np.abs(expected - outputs.mean(0)).max() > 0.01
    np.testing.assert_allclose(fusion.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(keras.Model.predict(fusion, X, verbose=0), expected, rtol=1e-4)
    assert fusion.evaluate(X, Y, verbose=0) < before - 1e-4
    np.testing.assert_allclose(outer.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)
    fusion.save(tmp_path / "f.keras")
    loaded = keras.saving.load_model(tmp_path / "f.keras", safe_mode=True)
    assert type(loaded) is LateFusion
    assert loaded.member_weights == fusion.member_weights
    np.testing.assert_allclose(loaded.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)
    again = fusion.learn_weights_from(outputs[:, :20], Y[:20])
    expected = np.tensordot(again, outputs, 1)
    np.testing.assert_allclose(fusion.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(keras.Model.predict(fusion, X, verbose=0), expected, rtol=1e-4)


def test_refuses_samples_that_the_members_were_trained_on():
    fusion = LateFusion(members(), weights=[1, 2, 3])
    for seen in (X[:7], fingerprints(X[:7])):
        with pytest.raises(ValueError, match=r"of 40 they were trained on 7: .*learn_weights_from"):
            fusion.learn_weights(X, Y, trained_on=seen)
    assert fusion.member_weights == (1, 2, 3)
    fusion.learn_weights(X[7:], Y[7:], trained_on=X[:7])
    assert fusion.member_weights != (1, 2, 3)
    with pytest.warns(UserWarning, match="trained_on=x_train"):
        fusion.learn_weights(X, Y)


def test_several_inputs():
    def build(seed):
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((2,), name="b")}
        joined = keras.layers.concatenate(list(inputs.values()))
        init = keras.initializers.RandomNormal(seed=seed)
        return keras.Model(
            inputs, keras.layers.Dense(3, "softmax", kernel_initializer=init)(joined)
        )

    fusion = LateFusion([build(0), build(1)])
    assert len(fusion.learn_weights({"a": X, "b": X[:, :2]}, Y, {"a": SEEN, "b": SEEN[:, :2]})) == 2


def test_says_when_it_has_not_come_to_the_end():
    def slow(weights):
        return (weights[0] - 0.7) ** 2, np.array([2 * (weights[0] - 0.7), 0])

    with pytest.warns(UserWarning, match="may be .* too high after 1 steps"):
        minimise_on_simplex(slow, np.array([0.1, 0.9]), 1e-9, max_steps=1)
    np.testing.assert_allclose(minimise_on_simplex(slow, np.array([0.1, 0.9]), 1e-9)[0], 0.7, 1e-3)


P = rng.dirichlet(np.ones(3), (3, 40))


@pytest.mark.parametrize(
    ("predictions", "y", "combine", "message"),
    [
        (P, Y, "vote", "can't be learned: a vote says a class"),
        (P[:2], Y, "probability", r"of 3 members and 3 classes; got shape \(2, 40, 3\)"),
        (P, Y[1:], "probability", "one label for each of 40 samples"),
        (P, Y + 1, "geometric", "from 0 to 2, .* got 3"),
        (P, P[0], "logit", "for soft labels"),
        (2 * P, Y, "probability", r"needs probabilities.*`predictions\[0, 0\]`"),
        (np.where(P > 0.5, np.nan, P), Y, "logit", "`predictions` must be finite"),
        ([{"a": P[0]}] * 3, Y, "probability", "got dtype object"),
        ([P[0], P[1], P[2, 1:]], Y, "probability", "inhomogeneous shape"),
    ],
)
def test_bad_arguments(predictions, y, combine, message):
    fusion = LateFusion(members(combine), combine)
    with pytest.raises(ValueError, match=message):
        fusion.learn_weights_from(predictions, y)
    assert fusion.member_weights is None


def test_learns_from_batches_as_from_arrays():
    class Batches(keras.utils.PyDataset):
        num_batches = 4

        def __getitem__(self, i):
            return X[10 * i : 10 * i + 10], Y[10 * i : 10 * i + 10]

    fusion = LateFusion(members())
    expected = fusion.learn_weights(X, Y, trained_on=SEEN)
    assert fusion.learn_weights(Batches(), trained_on=SEEN) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="they were trained on 3"):
        fusion.learn_weights(Batches(), trained_on=X[12:15])
    with pytest.raises(ValueError, match="`y` must be given"):
        fusion.learn_weights(X, trained_on=SEEN)
