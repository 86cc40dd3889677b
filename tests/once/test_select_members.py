"""select_members: the same choice as a plain loop, in little time; and refuses what can't be."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from sklearn import metrics

from keras_dcnn.ensemble.judging.select_members import select_members
from keras_dcnn.ensemble.judging.selection import Selection


def binary(p):
    return np.concatenate([1 - p, p], -1) if p.shape[-1] == 1 else p


def normalised(p):
    """Sums of 1 as near as scikit-learn wants them, which float32 does not come."""
    return binary(p) / binary(p).sum(-1, keepdims=True)


SKLEARN = {
    "accuracy": lambda y, p: metrics.accuracy_score(y, binary(p).argmax(-1)),
    "balanced_accuracy": lambda y, p: metrics.balanced_accuracy_score(y, binary(p).argmax(-1)),
    "log_loss": lambda y, p: -metrics.log_loss(y, normalised(p), labels=range(binary(p).shape[-1])),
    "brier": lambda y, p: (
        -metrics.brier_score_loss(
            y, p.ravel() if p.shape[-1] == 1 else normalised(p), labels=range(binary(p).shape[-1])
        )
    ),
}


def plain_greedy(metric, y, oof, members, with_replacement=True, num_steps=50):
    """[(member, score)] of greedy selection as the paper says it."""
    total, path, free = 0.0, [], list(members)
    for n in range(1, num_steps + 1):
        scores = [metric(y, (total + oof[m]) / n) for m in free]
        best = int(np.flatnonzero(np.array(scores) >= max(scores) - 1e-12)[0])
        path.append((free[best], scores[best]))
        total = total + oof[free[best]].astype("float64")
        if not with_replacement:
            free.pop(best)
        if not free:
            break
    return path


def pool(members=7, samples=60, classes=4, eighths=False):
    """Predictions of some skill, and labels; in eighths there are ties everywhere."""
    rng = np.random.default_rng(members + classes)
    y = rng.integers(0, max(classes, 2), samples)
    if eighths:
        hits = rng.multinomial(8, np.ones(classes) / classes, (members, samples))
        return hits / 8, y
    if classes == 1:
        return np.clip(rng.normal(0.3 + 0.4 * y, 0.3, (members, samples)), 0, 1)[..., None], y
    z = rng.normal(size=(members, samples, classes)) + np.eye(classes)[y]
    return (np.exp(z) / np.exp(z).sum(-1, keepdims=True)).astype("float32"), y


@pytest.mark.parametrize("metric", SKLEARN)
@pytest.mark.parametrize("with_replacement", [True, False])
@pytest.mark.parametrize("classes", [1, 2, 4])
def test_each_step_is_that_of_a_plain_loop(metric, with_replacement, classes):
    oof, y = pool(classes=classes)
    chosen = select_members(oof, y, metric, with_replacement, bags=1, num_steps=12)
    (steps,) = chosen.trace
    expected = plain_greedy(SKLEARN[metric], y, oof, range(7), with_replacement, 12)
    assert [step.member for step in steps] == [member for member, _ in expected]
    scores = [step.score for step in steps]
    np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-6)
    for step in steps[:1]:
        singles = {m: SKLEARN[metric](y, oof[m].astype("float64")) for m in range(7)}
        assert step.tried == pytest.approx(singles)
        assert chosen.single_best == max(singles, key=singles.get)
        assert chosen.single_best_score == pytest.approx(max(singles.values()))
    combined = np.tensordot(chosen.weights, oof, 1)
    assert chosen.score == pytest.approx(SKLEARN[metric](y, combined))


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
@pytest.mark.parametrize("classes", [2, 3, 9])
def test_ties_are_those_of_argmax(metric, classes):
    oof, y = pool(samples=200, classes=classes, eighths=True)
    (steps,) = select_members(oof, y, metric, bags=1, num_steps=16).trace
    expected = plain_greedy(SKLEARN[metric], y, oof, range(7), num_steps=16)
    assert [step.member for step in steps] == [member for member, _ in expected]
    np.testing.assert_allclose([s.score for s in steps], [score for _, score in expected])


def test_outputs_before_a_softmax_have_an_accuracy():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 80)
    oof = (1e6 + 50 * (rng.normal(size=(6, 80, 5)) + np.eye(5)[y])).astype("float32")
    (steps,) = select_members(oof, y, bags=1, num_steps=9).trace
    expected = plain_greedy(SKLEARN["accuracy"], y, oof, range(6), num_steps=9)
    assert [(step.member, pytest.approx(step.score)) for step in steps] == expected


def test_mean_squared_error_and_a_function():
    rng = np.random.default_rng(0)
    y = rng.normal(1e4, 1, (40, 2))
    oof = y + rng.normal(0, [[[0.5]], [[1]], [[0.7]], [[3]]], (4, 40, 2))

    def score(y, prediction):
        return -metrics.mean_squared_error(y, prediction)

    expected = plain_greedy(score, y, oof, range(4), num_steps=10)
    for metric in ("mse", score):
        chosen = select_members(oof, y, metric, bags=1, num_steps=10)
        assert [step.member for step in chosen.trace[0]] == [member for member, _ in expected]
        scores = [step.score for step in chosen.trace[0]]
        np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-9)
    assert chosen.metric == "score"
    flat = select_members(oof[..., 0], y[:, 0], "mse", bags=3)
    assert flat.weights == select_members(oof[..., :1], y[:, 0], "mse", bags=3).weights


def test_weights_are_the_shares_in_the_best_beginnings_of_the_bags():
    oof, y = pool(members=9)
    chosen = select_members(oof, y, "log_loss", bags=4, num_steps=6)
    weights = np.zeros(9)
    for steps in chosen.trace:
        assert len(steps[0].tried) == 5  # of 9, half and the odd one
        length = 1 + int(np.argmax([step.score for step in steps]))
        for step in steps[:length]:
            weights[step.member] += 1 / length / 4
    np.testing.assert_allclose(chosen.weights, weights)
    assert chosen.members == tuple(np.flatnonzero(weights))
    assert len({tuple(steps[0].tried) for steps in chosen.trace}) > 1
    assert sum(chosen.weights) == pytest.approx(1)
    assert chosen == select_members(oof, np.eye(4)[y], "log_loss", bags=4, num_steps=6)
    assert chosen.trace != select_members(oof, y, "log_loss", bags=4, num_steps=6, seed=1).trace


def test_one_perfect_member_gets_all_the_weight():
    oof, y = pool()
    oof[4] = np.eye(4)[y]
    for metric in SKLEARN:
        assert select_members(oof, y, metric, bags=1).members == (4,)


def test_of_two_equal_members_the_first_is_taken():
    oof, y = pool()
    for metric in SKLEARN:
        (steps,) = select_members(np.concatenate([oof, oof]), y, metric, bags=1).trace
        assert max(step.member for step in steps) < 7


@pytest.mark.parametrize("metric", SKLEARN)
def test_probability_0_of_every_member_gives_finite_scores(metric):
    oof = np.zeros((3, 60, 3), "float32")
    oof[..., 0] = 1
    chosen = select_members(oof, np.arange(60) % 3, metric, bags=3, num_steps=5)
    assert all(np.isfinite(step.score) for steps in chosen.trace for step in steps)
    uniform = chosen.trace[0][0].score
    assert uniform == pytest.approx(SKLEARN[metric](np.arange(60) % 3, oof[0].astype("float64")))


def test_one_member():
    oof, y = pool(members=1)
    assert select_members(oof, y).weights == (1.0,)


LABELS = {
    "accuracy": lambda y, p: 1 - metrics.hamming_loss(y, p > 0.5),
    "balanced_accuracy": lambda y, p: np.mean(
        [metrics.balanced_accuracy_score(*one) for one in zip(y.T, p.T > 0.5, strict=True)]
    ),
    "log_loss": lambda y, p: -metrics.log_loss(y.ravel(), p.ravel()),
    "brier": lambda y, p: -metrics.brier_score_loss(y.ravel(), p.ravel()),
}


@pytest.mark.parametrize("metric", LABELS)
def test_several_labels_are_chosen_by_as_scikit_learn_judges_them(metric):
    rng = np.random.default_rng(4)
    y = (rng.random((50, 3)) < [0.5, 0.3, 0.1]).astype("uint8")
    oof = 1 / (1 + np.exp(-rng.normal(2.0 * y - 1, 2, (6, 50, 3))))
    (steps,) = select_members(oof, y, metric, bags=1, num_steps=8).trace
    expected = plain_greedy(LABELS[metric], y, oof, range(6), num_steps=8)
    assert [step.member for step in steps] == [member for member, _ in expected]
    np.testing.assert_allclose([s.score for s in steps], [score for _, score in expected])
    with pytest.raises(ValueError, match=r"needs probabilities, from 0 to 1; `oof\[0, 0, 0\]`"):
        select_members(oof - 3, y, metric)


@pytest.mark.parametrize("metric", [*SKLEARN, "mse", "function"])
def test_samples_of_weight_0_count_for_nothing_and_others_as_often_as_they_say(metric):
    oof, y = pool(samples=40)
    weights = np.arange(40) % 3
    score = metric
    if metric == "mse":
        y = oof[2] / 2
    if metric == "function":
        score = lambda y, p, sample_weight=None: metrics.accuracy_score(  # noqa: E731
            y, p.argmax(-1), sample_weight=sample_weight
        )
    repeated = select_members(oof.repeat(weights, axis=1), y.repeat(weights, axis=0), score, bags=2)
    oof[:, weights == 0], y[weights == 0] = np.nan, -7
    found = select_members(oof, y, score, bags=2, sample_weight=weights)
    assert found.weights == pytest.approx(repeated.weights)
    assert found.score == pytest.approx(repeated.score)
    for one, other in zip(found.trace[0], repeated.trace[0], strict=True):
        assert one.tried == pytest.approx(other.tried)


def test_a_mask_reaches_no_function():
    oof, y = pool(samples=40)
    mask = np.arange(40) % 3 > 0
    options = {"metric": SKLEARN["accuracy"], "bags": 2, "num_steps": 4}
    found = select_members(oof, y, **options, sample_weight=mask)
    assert found.weights == select_members(oof[:, mask], y[mask], **options).weights


def test_pickled_and_copied():
    chosen = select_members(*pool())
    assert pickle.loads(pickle.dumps(chosen)) == copy.deepcopy(chosen) == chosen


def of_type(dtype, probabilities):
    """Predictions that use much of a type's range, or that are 0 or 1 in it; and labels."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 4, 80)
    guess = np.where(rng.random((6, 80)) < 0.5, y, rng.integers(0, 4, (6, 80)))
    if probabilities or dtype == "bool":
        return np.eye(4)[guess].astype(dtype), y
    low, high = {"int8": (-120, 120), "uint8": (0, 255), "int32": (-2e9, 2e9)}.get(
        dtype, (-6e4, 6e4)
    )
    draw = low + (high - low) * np.clip(rng.random((6, 80, 4)) / 2 + np.eye(4)[guess] / 2, 0, 1)
    draw[0, 0, :2] = low, high
    return draw.astype(dtype), y


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float16", "bool"])
@pytest.mark.parametrize(
    "metric", ["accuracy", "balanced_accuracy", "log_loss", "brier", "mse", "function"]
)
def test_narrow_types_choose_as_the_same_values_in_float64(dtype, metric):
    oof, y = of_type(dtype, metric in ("log_loss", "brier"))
    if metric in ("mse", "function"):
        y = oof[2]
    if metric == "function":
        metric = lambda y, p: -float(np.abs(p - y.astype("float64")).mean())  # noqa: E731
    wide = select_members(oof.astype("float64"), y, metric, bags=3, num_steps=8)
    assert select_members(oof, y, metric, bags=3, num_steps=8) == wide
    assert metric in ("mse", "brier") or len({s.member for t in wide.trace for s in t}) > 1


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float16", "bool"])
def test_accuracy_of_outputs_that_fill_their_type_is_that_of_a_plain_loop(dtype):
    oof, y = of_type(dtype, False)
    (steps,) = select_members(oof, y, bags=1, num_steps=8).trace
    wide = oof.astype("float64")
    expected = plain_greedy(SKLEARN["accuracy"], y, wide, range(6), num_steps=8)
    assert [step.member for step in steps] == [member for member, _ in expected]
    np.testing.assert_allclose([s.score for s in steps], [score for _, score in expected])


def test_a_function_that_says_nan_of_the_final_mean_is_an_error():
    seen = []

    def metric(y, p):
        seen.append(p)
        return np.nan if len(seen) > 3 else float((p.argmax(-1) == y).mean())

    oof, y = pool(members=3)
    with pytest.raises(ValueError, match="`metric` must return a finite number; got nan"):
        select_members(oof, y, metric, bags=1, num_steps=1)


def test_inputs_stay_as_they_are():
    oof, y = pool()
    before = oof.copy()
    for metric in SKLEARN:
        select_members(oof, y, metric, bags=2, num_steps=3)
    np.testing.assert_array_equal(oof, before)


def test_printed_it_is_two_lines_and_as_plain_data_it_is_whole():
    oof, y = pool()
    chosen = select_members(oof, y)
    assert len(str(chosen).splitlines()) == 2
    assert f"accuracy {chosen.score:.4g}" in str(chosen)
    assert len(repr(chosen)) < 600
    assert Selection(**dataclasses.asdict(chosen)).weights == chosen.weights


OOF, Y = pool()


def changed(value, member=2, sample=5):
    oof = OOF.copy()
    oof[member, sample] = value
    return oof


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"oof": OOF[:0]}, r"none of these 0; got .* \(0, 60, 4\)"),
        ({"oof": OOF[0]}, r"shape \(members, samples, classes\), .* got .*\(60, 4\)"),
        ({"oof": changed(np.nan)}, r"`oof\[2, 5, 0\]` is the first that is NaN"),
        ({"oof": changed(np.inf), "metric": "mse", "y": OOF[0]}, r"`oof\[2, 5, 0\]` is the first"),
        ({"y": Y[:-1]}, r"one label for each of 60 samples.* got shape \(59,\)"),
        ({"y": np.where(np.arange(60) == 7, 4, Y)}, "from 0 to 3, .* got 4 for sample 7"),
        ({"y": Y - 1}, "from 0 to 3, .* got -1 for sample"),
        ({"y": Y + 0.5}, "must be whole numbers from 0 to 3"),
        ({"y": OOF[0]}, "for soft labels, as of mixup, give the labels before mixing"),
        ({"y": Y.astype(str)}, "must be whole numbers or one-hot rows; got dtype"),
        ({"oof": OOF[..., :1], "y": Y}, "from 0 to 1"),
        ({"oof": 3 * OOF[..., :1], "y": Y % 2}, r"needs probabilities.*`oof\[0, \d+\]`"),
        ({"oof": changed(0.5), "metric": "log_loss"}, r"`oof\[2, 5\]` .* a sum of 2:"),
        ({"oof": changed(-0.1), "metric": "brier"}, r"`oof\[2, 5\]` lies between -0.1 and -0.1"),
        ({"metric": "auc"}, "`metric` must be one of 'accuracy'"),
        ({"metric": lambda y, p: np.nan}, "`metric` must return a finite number; got nan"),
        ({"metric": lambda y, p: p[0]}, r"must return one number; got dtype float64, shape \(4,\)"),
        ({"metric": lambda y, p: None}, "must return one number; got dtype object"),
        ({"metric": lambda y, p: "a"}, "must return one number; got dtype <U1"),
        ({"metric": "mse", "oof": OOF[0, 0], "y": Y}, r"`oof` must be numbers of shape .* \(4,\)"),
        ({"metric": "mse", "oof": OOF[:, :0], "y": [], "sample_weight": []}, "none of these 0"),
        ({"metric": "mse", "y": OOF[0] * np.nan}, r"`y\[0, 0\]` .* infinite: give a sample"),
        ({"metric": "mse", "y": OOF[0], "oof": OOF * np.float64(1e200)}, "must fit in float64"),
        ({"y": np.eye(4)[Y] + np.eye(4)[Y - 1]}, "sum to 1, as of a softmax"),
        ({"y": np.float64(1), "metric": "mse"}, "as many samples as `oof`, 60; got no array"),
        ({"sample_weight": Y[1:], "metric": "mse"}, r"`sample_weight` .* got .* \(59,\)"),
        ({"metric": "mse"}, r"a member predicts, \(60, 4\), .* got shape \(60,\)"),
        ({"metric": lambda y, p: 0.0, "y": Y[1:]}, "as many samples as `oof`, 60; got 59"),
        ({"with_replacement": 1}, "must be True or False"),
        ({"bags": 0}, "`bags` must be a whole number of at least 1"),
        ({"num_steps": 0}, "`num_steps` must be a whole number of at least 1"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        select_members(**{"oof": OOF, "y": Y, **arguments})
