"""soup: greedy as its definition, uniform as the mean; the trace says what happened."""

import keras
import numpy as np
import pytest
from ensemble import averaged
from ensemble.averaged import Y, bits, compile_for_tests, everything, interrupt, loss, mean, network

from keras_dcnn.callbacks import CheckpointEnsemble
from keras_dcnn.ensemble.averaging.average_checkpoints import average_checkpoints
from keras_dcnn.ensemble.averaging.soup import soup

X = averaged.X / 4
W_TRUE = np.random.default_rng(5).normal(size=(4, 3))
LABELS = (X @ W_TRUE).argmax(1)


def logistic(weights=None):
    """Softmax regression."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.set_weights(weights or [np.zeros((4, 3)), np.zeros(3)])
    compile_for_tests(model)
    return model


def candidates(number=6):
    """The true weights and noise."""
    draw = np.random.default_rng(2)
    noise = draw.normal(0, 0.7, (number, 4, 3))
    return [[(W_TRUE + each).astype("float32"), np.zeros(3, "float32")] for each in noise]


def scores(weights, monitor):
    """Loss or accuracy of softmax regression, in NumPy."""
    logits = X.astype("float64") @ weights[0] + weights[1]
    if monitor == "accuracy":
        return np.mean(logits.argmax(1) == LABELS)
    logits -= logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return -log_p[np.arange(len(X)), LABELS].mean()


def greedy(given, monitor):
    """The recipe of the paper's algorithm 1: order, members, score with each."""
    sign = -1 if monitor == "accuracy" else 1
    order = sorted(range(len(given)), key=lambda i: sign * scores(given[i], monitor))
    members, best, tried = [], np.inf, []
    for i in order:
        score = scores(mean([given[j] for j in [*members, i]]), monitor)
        stays = sign * score <= best
        if stays:
            members, best = [*members, i], sign * score
        tried.append((i, score, stays))
    return members, tried


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_greedy_is_the_recipe(monitor):
    given = candidates()
    members, tried = greedy(given, monitor)
    assert 1 < len(members) < len(given)  # or the test would prove little
    model = logistic()
    trace = soup(model, given, (X, LABELS), monitor=monitor)
    assert [trial.name for trial in trace.tried] == [f"checkpoint {i}" for i, _, _ in tried]
    assert [trial.stayed for trial in trace.tried] == [stays for _, _, stays in tried]
    for trial, (i, score, _) in zip(trace.tried, tried, strict=True):
        assert trial.score == pytest.approx(scores(given[i], monitor), rel=1e-4)
        assert trial.score_with == pytest.approx(score, rel=1e-4)
    for got, value in zip(model.get_weights(), mean([given[i] for i in members]), strict=True):
        np.testing.assert_array_equal(got, value.astype("float32"))
    assert trace.score == pytest.approx(scores(model.get_weights(), monitor), rel=1e-4)
    assert (trace.monitor, trace.chosen, trace.batch_norm) == (monitor, None, {})
    assert f"Average of {len(members)} of 6 " in str(trace)


def test_the_order_of_the_candidates_does_not_matter():
    given, model, other = candidates(4), logistic(), logistic()
    soup(model, given, (X, LABELS))
    soup(other, given[::-1], (X, LABELS))
    assert bits(model.get_weights()) == bits(other.get_weights())


def test_a_copy_of_the_best_stays_since_it_makes_nothing_worse():
    best = min(candidates(), key=lambda w: scores(w, "loss"))
    trace = soup(logistic(), [best, best], (X, LABELS))
    assert [trial.stayed for trial in trace.tried] == [True, True]


def test_greedy_is_no_worse_than_the_best_and_is_the_average_of_its_members():
    given = [network(seed) for seed in range(4)]
    model, other = network(9), network(9)
    trace = soup(model, given, (X, Y))
    assert trace.score <= min(trial.score for trial in trace.tried)
    assert trace.score == pytest.approx(loss(model, X), rel=1e-5)
    places = [int(trial.name.split()[1]) for trial in trace.tried if trial.stayed]
    average_checkpoints(other, [given[i] for i in places])
    assert bits(model.get_weights()) == bits(other.get_weights())


@pytest.mark.parametrize(
    "choice", ["keep", "recompute", pytest.param("best", marks=pytest.mark.slow)]
)
def test_batch_norm_of_the_soup_is_that_of_its_members_averaged(choice):
    given = [network(0).get_weights()]
    given += [[w + step for w in given[0]] for step in (0.02, -0.04, 0.5)]
    model, other = network(9), network(9)
    trace = soup(model, given, (X, Y), batch_norm=choice, training_data=X)
    places = [int(trial.name.split()[1]) for trial in trace.tried if trial.stayed]
    assert trace.tried[0].stayed
    same = average_checkpoints(other, [given[i] for i in places], None, choice, X, (X, Y))
    assert bits(model.get_weights()) == bits(other.get_weights())
    assert trace.chosen == same.chosen
    assert trace.batch_norm == pytest.approx(same.batch_norm)
    assert trace.score == pytest.approx(loss(model, X), rel=1e-4)


def test_uniform_is_the_mean_of_what_checkpoint_ensemble_wrote(tmp_path):
    model, seen = logistic(), []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    keep = CheckpointEnsemble(tmp_path, keep="all")
    model.fit(X, LABELS, epochs=3, callbacks=[watch, keep], verbose=0)
    fresh = logistic()
    trace = soup(fresh, tmp_path, (X, LABELS), "uniform", "accuracy")
    for got, value in zip(fresh.get_weights(), mean(seen), strict=True):
        np.testing.assert_array_equal(got, value.astype("float32"))
    for trial, weights in zip(trace.tried, seen, strict=True):
        assert trial.score == pytest.approx(scores(weights, "accuracy"))
        assert trial.stayed
        assert trial.score_with is None


def test_a_uniform_soup_behind_a_barrier_is_refused_and_a_greedy_one_keeps_one():
    def basin(order):  # one function, whatever the order of the hidden units
        eye = np.eye(3)
        return [eye[:, order], np.zeros(3), 4 * eye[order], np.zeros(3)]

    layers = [keras.Input((3,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    compile_for_tests(model, "sgd", metrics=[])
    given, held_out = [basin([0, 1, 2]), basin([1, 2, 0])], (np.eye(3), np.arange(3))
    model.evaluate(*held_out, verbose=0)
    before = everything(model)
    averaged = np.log1p(2 * np.exp(-1))  # by hand
    with pytest.raises(ValueError, match=f"{averaged:.4g} .* average predictions instead"):
        soup(model, given, held_out, "uniform")
    assert bits(everything(model)) == bits(before)
    trace = soup(model, given, held_out)
    assert [trial.stayed for trial in trace.tried] == [True, False]
    assert trace.score == pytest.approx(np.log1p(2 * np.exp(-4)), rel=1e-4)


@pytest.mark.parametrize("recipe", ["greedy", "uniform"])
@pytest.mark.parametrize("number", range(5))
def test_an_interrupt_anywhere_puts_everything_back(monkeypatch, recipe, number):
    model, before = logistic(), bits(logistic().get_weights())
    ended = interrupt(monkeypatch, number)
    try:
        soup(model, candidates(2), (X, LABELS), recipe)
    except KeyboardInterrupt:
        assert bits(model.get_weights()) == before
    else:
        assert len(ended) == {"greedy": 4, "uniform": 3}[recipe]


def test_a_candidate_with_a_loss_of_nan_is_tried_last_and_left_out():
    given = candidates(2)
    huge = [np.full((4, 3), 3e38, "float32"), np.zeros(3, "float32")]
    model = logistic()
    assert not np.isfinite(logistic(huge).evaluate(X, LABELS, verbose=0)[0])
    trace = soup(model, [huge, *given], (X, LABELS))
    assert trace.tried[-1].name == "checkpoint 0"
    assert not trace.tried[-1].stayed
    before = everything(model)
    with pytest.raises(ValueError, match="at least one candidate must have a finite loss"):
        soup(model, [huge, huge], (X, LABELS))
    with pytest.raises(ValueError, match="a finite loss on the held-out data; checkpoint 1 has"):
        soup(model, [given[0], huge], (X, LABELS), "uniform")
    assert bits(everything(model)) == bits(before)


MODEL = logistic()
MODEL.evaluate(X, LABELS, verbose=0)  # builds the optimizer on JAX


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "m"}, TypeError, "must be a Keras model"),
        ({"model": network(norm=False, compiled=False)}, ValueError, "needs a compiled model"),
        ({"candidates": []}, ValueError, "`candidates` must hold at least one"),
        ({"candidates": [network()]}, ValueError, r"model 0 .* has the shape \(4, 5\) there"),
        ({"candidates": ["gone.keras"]}, ValueError, "gone.keras can't be read"),
        ({"candidates": [[np.full((4, 3), np.nan), np.zeros(3)]]}, ValueError, "must be finite"),
        ({"data": [(X, Y), (X, Y)]}, TypeError, "it takes no list of batches: join them"),
        ({"data": None}, TypeError, r"`data` must be \(x, y\).*got NoneType"),
        ({"data": iter([(X, Y)])}, ValueError, "`data` must be readable again"),
        ({"recipe": "learned"}, ValueError, "`recipe` must be one of 'greedy', 'uniform'"),
        ({"monitor": "auc"}, ValueError, "one of accuracy, loss, .* got 'auc'"),
        ({"batch_norm": "best"}, ValueError, "needs `training_data` to measure on"),
    ],
)
def test_bad_arguments_change_nothing(arguments, error, message):
    before = everything(MODEL)
    with pytest.raises(error, match=message):
        soup(**{"model": MODEL, "candidates": candidates(2), "data": (X, LABELS), **arguments})
    assert bits(everything(MODEL)) == bits(before)


def mean_output(y, p):
    return keras.ops.mean(p, axis=-1)


def test_only_numbers_of_a_known_direction_are_monitored():
    """A metric may be one number for each class, and of a user's function nobody knows."""
    model = logistic()
    metrics = [keras.metrics.F1Score(), mean_output]
    compile_for_tests(model, "sgd", "categorical_crossentropy", metrics)
    given = model, [model.get_weights()] * 2, (X, np.eye(3)[LABELS])
    assert soup(*given).score == pytest.approx(model.evaluate(*given[2], verbose=0)[0])
    with pytest.raises(ValueError, match="one of loss, mean_output, which are one number each"):
        soup(*given, monitor="f1_score")
    with pytest.raises(ValueError, match="of 'mean_output' it does not: choose another"):
        soup(*given, monitor="mean_output")
