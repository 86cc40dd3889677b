"""Optimizers that a model holds beside that of `compile`: found, put back, or refused by name."""

import keras
import numpy as np
import own_optimizers as own
import pytest
import trainings

from keras_dcnn._keras.optimizers import held_optimizers, training_optimizers
from keras_dcnn.callbacks import DivideLROnPlateau, ResumeTraining, SnapshotSchedule


def sgd(rate=0.01, **arguments):
    return keras.optimizers.SGD(rate, momentum=0.9, **arguments)


class Holder(keras.Model):
    """Trains in a way of its own; what it holds is hung on it."""

    def train_step(self, *given):
        raise NotImplementedError


def small(kind=keras.Model, name="small"):
    inputs = keras.Input((4,))
    return kind(inputs, keras.layers.Dense(1)(inputs), name=name)


def places(found):
    return [one.where for one in found]


def test_all_are_found_once_and_that_of_compile_first():
    inner, model = small(name="inner"), small(Holder)
    inner.compile(sgd(), "mse")
    one, other = sgd(), keras.optimizers.Adam()
    model.both = {"d": one, "g": [other, (one,)]}
    model.generator = inner
    model._hidden = sgd()
    model.compile("adam", "mse")
    found = held_optimizers(model)
    assert found[0].optimizer is model.optimizer
    assert sorted(places(found)) == [
        "_hidden", "both['d']", "both['g'][0]", "generator.optimizer", "optimizer",
    ]  # fmt: skip
    assert training_optimizers(model) == found


def test_those_inside_another_are_not_found_again():
    model = small(Holder)
    model.one, model.other = sgd(), sgd()
    choose = keras.optimizers.OptimizerMap(model.one, {".*bias": model.other})
    model.compile(keras.optimizers.MultiOptimizer(choose), "mse")
    assert places(held_optimizers(model)) == ["optimizer"]


def test_only_the_one_of_compile_trains_as_keras_does():
    """So a pretrained part that was compiled, with a schedule perhaps, is no matter."""
    inner = small(name="inner")
    inner.compile(sgd(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), "mse")
    model = keras.Sequential([keras.Input((4,)), inner])
    model.compile(sgd(), "mse")
    assert places(held_optimizers(model)) == ["optimizer", "inner.optimizer"]
    assert places(training_optimizers(model)) == ["optimizer"]
    trainings.rehearse(model, [DivideLROnPlateau("loss")], [0])


@pytest.mark.parametrize(("given", "expected"), [({}, ["own"]), ({"optimizer": "sgd"}, None)])
def test_the_default_beside_its_own_is_none(given, expected):
    model = own.trained(sgd(), **given)
    assert places(training_optimizers(model)) == (expected or ["optimizer", "own"])


@pytest.mark.every_backend
@pytest.mark.parametrize("several", [False, True])
def test_resumed_is_uninterrupted(tmp_path, several):
    """Regression: own optimizers began anew."""

    def run(*callbacks):
        last = keras.optimizers.Adam(0.05) if several else None
        model = own.trained(sgd(), last)
        own.fit(model, *callbacks)
        return model

    expected = run()
    with pytest.raises(KeyboardInterrupt):
        run(ResumeTraining(tmp_path), trainings.StopAt(2))
    model = run(ResumeTraining(tmp_path, verbose=0))
    assert trainings.same(model.get_weights(), expected.get_weights())
    for one, other in zip(*(held_optimizers(each)[1:] for each in (model, expected)), strict=True):
        values = [[v.numpy() for v in held.optimizer.variables] for held in (one, other)]
        assert trainings.same(*values)


def test_one_that_a_first_step_builds_begins_anew(tmp_path):
    """In the same process, from a state that was written before that step."""
    model, start = own.trained(sgd()), None
    start = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        own.fit(model, ResumeTraining(tmp_path, every=9), trainings.StopAt(2))
    expected = own.trained(sgd())
    assert trainings.same(expected.get_weights(), start)
    own.fit(expected)
    own.fit(model, ResumeTraining(tmp_path, verbose=0))
    assert trainings.same(model.get_weights(), expected.get_weights())


def test_a_state_of_other_optimizers_is_refused_by_name(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        own.fit(own.trained(sgd()), ResumeTraining(tmp_path), trainings.StopAt(1))
    other = own.trained(sgd(), keras.optimizers.Adam())
    message = r"`model.own` \(SGD\); got `model.own` \(SGD\), `model.others\['last'\]` \(Adam\)"
    with pytest.raises(ValueError, match=message):
        own.fit(other, ResumeTraining(tmp_path))
    with pytest.raises(ValueError, match=r"`model.own` must be that of the state; its variables"):
        own.fit(own.trained(keras.optimizers.SGD()), ResumeTraining(tmp_path))


@pytest.mark.every_backend
@pytest.mark.parametrize("every", ["epoch", 3])
def test_the_rates_that_train_are_cut_and_logged(every):
    """Regression: that of `compile` was, which trained nothing."""
    model = own.trained(sgd(0.01), keras.optimizers.Adam(0.04))
    callback = DivideLROnPlateau("loss", "max", patience=1, min_delta=9.0, every=every, verbose=0)
    history = own.fit(model, callback, epochs=3)
    rates = [history[f"learning_rate_{name}"][-1] for name in ("own", "others_last")]
    np.testing.assert_allclose(rates, [0.005, 0.02] if every == "epoch" else [0.0025, 0.01])
    assert trainings.rate_of(model.own) == pytest.approx(0.0025)
    assert trainings.rate_of(model.optimizer) == pytest.approx(0.001)


def test_a_cosine_is_that_of_the_highest_rate_that_trains():
    model = own.trained(sgd(1e-5), keras.optimizers.Adam(1e-4))
    own.fit(model, SnapshotSchedule(1, lr_max=0.2), epochs=1)
    rates = trainings.rate_of(model.own), trainings.rate_of(model.others["last"])
    assert rates[0] == pytest.approx(rates[1] / 10)
    assert rates[1] > 0.01


def test_a_cosine_forgets_the_proportions_of_another_optimizer():
    model, schedule = small(), SnapshotSchedule(1, lr_max=0.2)
    both = keras.optimizers.OptimizerMap(sgd(0.1), {".*bias": sgd(0.01)})
    model.compile(keras.optimizers.MultiOptimizer(both), "mse")
    trainings.rehearse(model, [schedule], [0])
    model.compile(sgd(0.5), "mse")
    with pytest.warns(UserWarning, match="SnapshotSchedule begins anew: the model has another"):
        trainings.rehearse(model, [schedule], [0])
    assert trainings.rate_of(model.optimizer) == pytest.approx(0.2)


def test_the_best_state_is_that_of_all_optimizers():
    model = own.trained(sgd())
    seen = []

    def look(epoch, logs):
        seen.append([v.numpy() for v in (*model.weights, *model.own.variables)])

    record = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    callback = DivideLROnPlateau("score", "min", patience=1, restore="state", verbose=0)
    own.fit(model, trainings.Script([1, 2, 2, 2]), callback, record)
    rates = [values.pop(len(model.weights) + 1) for values in seen]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.005, 0.0025])
    assert trainings.same(seen[2], seen[1])


def test_a_rate_that_can_not_be_set_is_named():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model = own.trained(keras.optimizers.SGD(schedule, name="mine"))
    with pytest.raises(ValueError, match=r"the optimizer `mine` in `model.own` follows a schedule"):
        own.fit(model, DivideLROnPlateau("loss"))


def test_optimizers_of_others_are_refused_by_name(tmp_path):
    torch = pytest.importorskip("torch")
    model = own.trained(torch.optim.SGD([torch.zeros(1)], 0.1))
    with pytest.raises(ValueError, match=r"`model.own` is a SGD: use keras.optimizers"):
        own.fit(model, ResumeTraining(tmp_path))
    with pytest.raises(ValueError, match=r"`own` in `model.own` is a SGD, not one of Keras's"):
        own.fit(model, DivideLROnPlateau("loss"))


def test_a_model_without_an_optimizer(tmp_path):
    model = small()
    model.compile(None, "mse")
    message = r"DivideLROnPlateau needs an optimizer .*; `small` has none: give `compile` an"
    with pytest.raises(ValueError, match=message):
        trainings.rehearse(model, [DivideLROnPlateau("loss")], [0])
    model.train_step = lambda data: {}  # else there is no training
    trainings.rehearse(model, [ResumeTraining(tmp_path)], [0])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_compiled_step_of_jax_must_be_given_the_rate(backend):
    if backend != "jax":
        pytest.skip("the steps of others read it")
    model = own.trained(sgd(), run_eagerly=False)
    with pytest.raises(ValueError, match=r"in `model.own` is not among the variables that JAX"):
        own.fit(model, DivideLROnPlateau("loss"))
