"""compare_ensembles: each row is what that way gives, and no sample serves twice unawares."""

import copy
import json
import pickle
import tempfile

import keras
import numpy as np
import pytest
from ensemble.averaged import compile_for_tests

from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn.ensemble import compare_ensembles as compare_unchecked
from keras_dcnn.ensemble.combining.ensemble import Ensemble
from keras_dcnn.ensemble.combining.ensemble_on_disk import EnsembleOnDisk
from keras_dcnn.ensemble.ensemble_comparison import EnsembleComparison
from keras_dcnn.ensemble.fusing.stacked_ensemble import StackedEnsemble
from keras_dcnn.ensemble.judging.calibration import calibration
from keras_dcnn.ensemble.judging.select_members import select_members

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 4)).astype("float32")
Y = np.argmax(X[:, :3] + 0.5 * rng.normal(size=(90, 3)), axis=1)
SEEN, DATA, REPORT = X[:10], (X[10:50], Y[10:50]), (X[50:], Y[50:])
TRUE = np.eye(4, 3, dtype="float32")


def compare_ensembles(*args, trained_on=SEEN):
    return compare_unchecked(*args, trained_on=trained_on)


def member(seed, units=None, compiled=True):
    """Logits x₀, x₁, x₂ with noise in the weights; with `units` behind a hidden layer."""
    hidden = [] if units is None else [keras.layers.Dense(units, "relu")]
    model = keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(3, "softmax")])
    if units is None:
        noise = np.random.default_rng(seed).normal(size=(4, 3)).astype("float32")
        model.set_weights([2 * TRUE + noise, np.zeros(3, "float32")])
    if compiled:
        compile_for_tests(model, "sgd")
    return model


@pytest.fixture(scope="module")
def pool():
    return [member(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def comparison(pool):
    before = [m.get_weights() for m in pool]
    result = compare_ensembles(pool, DATA, REPORT)
    for one, m in zip(before, pool, strict=True):
        for a, b in zip(one, m.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    return result


def scores(p, y=REPORT[1]):
    z = calibration(y, p)
    return {"accuracy": z.accuracy, "nll": z.nll, "ece": z.ece, "brier": z.brier}


def outputs(pool, x):
    return np.stack([keras.ops.convert_to_numpy(m(x)) for m in pool])


def row(comparison, name):
    (found,) = [one for one in comparison.rows if one["name"] == name]
    return found


def check(comparison, name, p, parameters):
    found = row(comparison, name)
    for key, value in scores(p).items():
        assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-6), (name, key)
    assert found["parameters"] == parameters
    assert found["seconds"] > 0


def test_single_uniform_and_greedy(comparison, pool):
    chosen_on, p = outputs(pool, DATA[0]), outputs(pool, REPORT[0])
    best = np.argmax([np.mean(one.argmax(1) == DATA[1]) for one in chosen_on])
    check(comparison, "single", p[best], 15)
    assert row(comparison, "single")["note"] == f"member {best}"
    check(comparison, "uniform", p.mean(0), 60)
    selection = select_members(chosen_on, DATA[1])
    greedy = np.tensordot(selection.weights, p, 1)
    check(comparison, "greedy", greedy, 15 * len(selection.members))


def test_soup(comparison, pool):
    def nll(weights):
        z = DATA[0] @ weights
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        return -log_p[range(len(z)), DATA[1]].mean()

    kernels = sorted((m.get_weights()[0].astype("float64") for m in pool), key=nll)
    kept = kernels[:1]
    for kernel in kernels[1:]:
        if nll(np.mean([*kept, kernel], 0)) <= nll(np.mean(kept, 0)):
            kept.append(kernel)
    e = np.exp(REPORT[0] @ np.mean(kept, 0))
    check(comparison, "soup", e / e.sum(1, keepdims=True), 15)
    assert row(comparison, "soup")["note"] == f"{len(kept)} of 4 members"


def test_stacked(comparison, pool):
    stacked = StackedEnsemble(pool).fit(*DATA, trained_on=SEEN)
    check(comparison, "stacked", keras.ops.convert_to_numpy(stacked(REPORT[0])), 60 + 12 * 3 + 3)


def test_rows_are_plain_data_and_print_as_a_table(comparison):
    assert json.loads(json.dumps(comparison.rows)) == list(comparison.rows)
    title, head, *lines = str(comparison).splitlines()
    assert title == "4 models, chosen from by accuracy on 40 samples, reported on 40"
    assert head.split() == ["accuracy", "NLL", "ECE", "Brier", "s/1,000", "parameters"]
    assert max(map(len, [head, *lines])) <= 100
    for line, row in zip(lines, comparison.rows, strict=True):
        name, *numbers, seconds, parameters = line.split()[:7]
        assert name == row["name"]
        shown = [row[key] for key in ("accuracy", "nll", "ece", "brier")]
        assert [float(number) for number in numbers] == pytest.approx(shown, abs=5.1e-5)
        assert float(seconds) == pytest.approx(row["seconds"], rel=6e-3)
        assert int(parameters.replace(",", "")) == row["parameters"]
        assert line.endswith(row["note"])


def test_a_way_that_is_not_possible_says_why_and_the_others_go_on():
    rare = np.where(DATA[1] == 2, 1, DATA[1])  # no sample of class 2
    mixed = compare_ensembles([member(0), member(1, units=5)], (DATA[0], rare), REPORT)
    assert "must have the architecture of" in row(mixed, "soup")["note"]
    assert "class 2 has none" in row(mixed, "stacked")["note"]
    assert row(mixed, "soup")["nll"] is None
    assert row(mixed, "uniform")["nll"] is not None
    soup_line = str(mixed).splitlines()[-2].split()
    assert soup_line[:7] == ["soup", *"–" * 6]
    raw = compare_ensembles([member(0, compiled=False)], DATA, REPORT)
    assert "not compiled" in row(raw, "soup")["note"]


def test_it_takes_batches_in_any_order_and_an_ensemble(comparison, pool):
    class Batches(keras.utils.PyDataset):
        """Other batches first in each pass."""

        def __init__(self, x, y):
            super().__init__()
            self.x, self.y, self.first = x, y, 0

        @property
        def num_batches(self):
            return 4

        def __getitem__(self, i):
            self.first += i == 0
            rows = slice(10 * ((i + self.first) % 4), 10 * ((i + self.first) % 4) + 10)
            return self.x[rows], self.y[rows]

    again = compare_ensembles(Ensemble(pool), Batches(*DATA), Batches(*REPORT))
    for one, other in zip(comparison.rows, again.rows, strict=True):
        assert one["nll"] == pytest.approx(other["nll"], rel=1e-3)


def test_several_labels_and_samples_of_weight_0():
    def sigmoids(seed):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "sigmoid")])
        noise = np.random.default_rng(seed).normal(size=(4, 3)).astype("float32")
        model.set_weights([2 * TRUE + noise, np.zeros(3, "float32")])
        return compile_for_tests(model, "sgd", "binary_crossentropy", metrics=())

    rows, models = (X[:, :3] > [0, 0.5, 0.5]).astype("float32"), [sigmoids(s) for s in range(2)]
    counts = np.arange(90) % 5 > 0
    x, y = np.where(counts[:, None], X, np.nan), np.where(counts[:, None], rows, -1)
    data, report = ((x[part], y[part], counts[part]) for part in (slice(10, 50), slice(50, 90)))
    found = compare_ensembles(models, data, report)
    kept = counts[50:]
    p = outputs(models, REPORT[0][kept])
    for key, value in scores(p.mean(0), rows[50:][kept]).items():
        assert row(found, "uniform")[key] == pytest.approx(value, rel=1e-4)
    assert row(found, "stacked")["note"] == "LogisticRegression for each label"
    assert row(found, "soup")["nll"] is not None
    assert (found.num_selected_on, found.num_reported_on) == (32, kept.sum())


def test_members_of_weight_0_are_not_compared(pool):
    broken = member(9)
    broken.set_weights([np.nan * w for w in broken.get_weights()])
    named = {"broken": broken, "one": pool[0], "other": pool[1]}
    found = compare_ensembles(Ensemble(named, weights=[0, 1, 1]), DATA, REPORT)
    assert found.num_members == 2
    check(found, "uniform", outputs(pool[:2], REPORT[0]).mean(0), 30)
    assert row(found, "single")["note"] in ("member one", "member other")


def test_a_comparison_is_pickled_and_copied(comparison):
    assert pickle.loads(pickle.dumps(comparison)) == copy.deepcopy(comparison) == comparison


def test_shared_samples_warn_with_their_number(pool):
    overlapping = (X[45:], Y[45:])
    with pytest.warns(UserWarning, match="5 of 45 samples to report on"):
        result = compare_ensembles(pool, DATA, overlapping)
    assert result.num_shared == 5
    assert "5 of them the same" in str(result)
    with pytest.warns(UserWarning, match="40 of 40 .*as `report_data`"):
        compare_ensembles(pool[:1], DATA)


def test_data_that_the_members_saw_are_refused_to_choose_and_to_report_on(pool):
    seen = (X[:30], Y[:30])
    for data in ((seen, REPORT), (DATA, seen)):
        for known in (SEEN, fingerprints(SEEN)):
            with pytest.raises(ValueError, match="of 30 they were trained on 10: give samples"):
                compare_ensembles(pool, *data, trained_on=known)
    with pytest.warns(UserWarning, match="trained_on=x_train"):
        compare_ensembles(pool[:1], DATA, REPORT, trained_on=None)


def on_disk(pool):
    with tempfile.TemporaryDirectory() as folder:
        pool[0].save(f"{folder}/0.keras")
        return EnsembleOnDisk([f"{folder}/0.keras"])


def raw():
    return Ensemble([keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])], "logit")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda pool: ([], DATA), ValueError, "at least one model"),
        (lambda pool: (pool[0], DATA), TypeError, "list or dict of models.*got Sequential"),
        (lambda pool: (on_disk(pool), DATA), TypeError, r"got an EnsembleOnDisk: give its `load"),
        (lambda pool: (raw(), DATA), ValueError, "got an Ensemble of raw outputs: add a softmax"),
        (lambda pool: ([*pool, "m"], DATA), TypeError, "got str"),
        (lambda pool: (pool, (X, None), REPORT, "accuracy"), ValueError, "trained on 10"),
        (lambda pool: (pool, (DATA[0], None), REPORT), ValueError, "`y` must be given"),
        (lambda pool: (pool, DATA, REPORT, "auc"), ValueError, "`metric` must be one of"),
        (lambda pool: (pool, DATA, REPORT, "mse"), ValueError, "must be one for classes"),
        (
            lambda pool: (pool, (DATA[0], np.ones((40, 3))), REPORT),
            ValueError,
            "sum to 1, as of a softmax",
        ),
        (lambda pool: (pool, (DATA[0], DATA[1] + 1), REPORT), ValueError, "from 0 to 2"),
    ],
)
def test_bad_arguments(pool, arguments, error, message):
    with pytest.raises(error, match=message):
        compare_ensembles(*arguments(pool))


def test_an_empty_comparison_prints():
    assert str(EnsembleComparison((), "accuracy", 0, 0, 0, 0)).startswith("0 models")
