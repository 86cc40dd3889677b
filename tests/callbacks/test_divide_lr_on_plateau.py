"""DivideLROnPlateau: decides as the definition does, and acts on the optimizer in a real fit."""

import keras
import numpy as np
import pytest
import trainings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_dcnn._files.states import pack, unpack
from keras_dcnn.callbacks import DivideLROnPlateau
from keras_dcnn.callbacks._plateau import PlateauState, plateau_step


def simulate(curve, mode, patience, min_delta, cooldown, rate, divisor, min_lr):
    """Rates after each epoch, from the definition: look back over the epochs that count."""
    rates, best, last_good, counted = [], None, 0, []
    sign = 1 if mode == "min" else -1
    until = -1  # the last epoch of the cooldown, in finite epochs
    for value in curve:
        if np.isfinite(value):
            now = len(counted)
            counted.append(sign * value)
            if best is None or counted[-1] < best - min_delta:
                best, last_good = counted[-1], now
            elif now <= until:
                last_good = now
            elif now - last_good >= patience:
                rate, last_good, until = max(rate / divisor, min_lr), now, now + cooldown
        rates.append(rate)
    return rates


def sgd():
    return keras.optimizers.SGD(0.1)


def small(optimizer=sgd):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer(), "mse", metrics=["accuracy"], jit_compile=trainings.jit())
    return model


def halve(curve, patience, margin, cooldown):
    """The rates after each cost of a curve, of the decisions alone."""
    state, rate, rates = PlateauState(), 1.0, []
    for cost in curve:
        state, verdict = plateau_step(state, cost, patience, margin, cooldown)
        rate /= 2 if verdict == "plateau" else 1
        rates.append(rate)
    return rates


def decide(callback, curve):
    """The rates after each epoch of a scripted curve, without a training."""
    model, rates = keras.Sequential(), trainings.Rates()
    model.compile(keras.optimizers.SGD(1.0))
    trainings.rehearse(model, [callback, rates], curve)
    return rates.epochs


@pytest.mark.once
@settings(deadline=None, max_examples=200)
@given(
    curve=st.lists(st.one_of(st.floats(-2, 2), st.sampled_from([0.0, 0.1, 0.2])), max_size=60),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.1]),
    cooldown=st.integers(0, 3),
)
@example([1.0] * 8, 1, 0.0, 1)  # cooldown=1 spares one epoch (Keras's: none)
def test_decisions_equal_a_simulation(curve, patience, min_delta, cooldown):
    rates = halve(curve, patience, lambda best: min_delta, cooldown)
    assert rates == simulate(curve, "min", patience, min_delta, cooldown, 1.0, 2.0, 0.0)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("min_lr", [0.0, 0.2])
def test_rates_equal_a_simulation(mode, min_lr):
    """Values that are not finite are among them, and ties."""
    rng = np.random.default_rng(4)
    rates = []
    for patience, cooldown, min_delta in [(1, 0, 0.0), (1, 1, 0.2), (2, 2, 0.0), (3, 0, 0.2)]:
        curve = rng.normal(size=25).round(1)
        curve[rng.integers(25, size=5)] = rng.choice([np.nan, np.inf, -np.inf], 5)
        callback = DivideLROnPlateau(
            "score", mode, 2.0, patience, min_delta, "abs", cooldown, min_lr, verbose=0
        )
        expected = simulate(curve, mode, patience, min_delta, cooldown, 1.0, 2.0, min_lr)
        np.testing.assert_allclose(decide(callback, curve), expected, rtol=1e-6)
        rates += expected
    assert min(rates) <= max(min_lr, 0.125)
    assert decide(DivideLROnPlateau("score", mode, patience=1), [np.nan] * 4) == [1.0] * 4


def curves_of_pytorch(number):
    """Curves, settings, and PyTorch's rates, where the definitions agree.

    That is for finite values of one sign; PyTorch's patience is one less.
    """
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    for i in range(number):
        curve = np.abs(np.cumsum(rng.normal(-0.02, 0.1, 30)) + 1) + 0.01
        if i % 3 == 0:
            curve = curve.round(1) + 0.1  # ties
        curve *= rng.choice([0.2, 1, 5])
        mode, threshold_mode = rng.choice(["min", "max"]), rng.choice(["rel", "abs"])
        patience, cooldown = int(rng.integers(1, 5)), int(rng.integers(0, 4))
        threshold = float(rng.choice([0.0, 1e-4, 0.05]))
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        peer = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode, 0.5, patience - 1, threshold, threshold_mode, cooldown, eps=0.0
        )
        expected = []
        for value in curve:
            peer.step(value)
            expected.append(optimizer.param_groups[0]["lr"])
        yield curve, (mode, patience, threshold, threshold_mode, cooldown), expected


@pytest.mark.once
def test_decisions_are_those_of_pytorch_on_1000_curves():
    cuts = 0
    for curve, (mode, patience, threshold, threshold_mode, cooldown), rates in curves_of_pytorch(
        1000
    ):
        costs = curve if mode == "min" else -curve
        margins = {"rel": lambda best, t=threshold: t * abs(best), "abs": lambda _, t=threshold: t}
        assert halve(costs, patience, margins[threshold_mode], cooldown) == rates
        cuts += rates[-1] < 1
    assert cuts > 500


def test_rates_are_those_of_pytorch():
    for curve, (mode, *settings_), rates in curves_of_pytorch(24):
        callback = DivideLROnPlateau("score", mode, 2.0, *settings_, verbose=0)
        np.testing.assert_allclose(decide(callback, curve), rates, rtol=1e-6)


def test_a_relative_threshold_of_a_negative_best_is_still_a_threshold():
    """PyTorch's best·(1 − threshold) would take −1.9 for an improvement on −2."""
    callback = DivideLROnPlateau("score", "min", 2.0, 1, 0.1, "rel", verbose=0)
    assert decide(callback, [-2.0, -1.9, -2.1, -2.4]) == [1.0, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("at_limit", ["stay", "stop"])
def test_after_the_last_reduction_it_stays_or_stops(at_limit, capsys):
    callback = DivideLROnPlateau("score", "min", patience=1, max_reductions=2, at_limit=at_limit)
    history = fit(callback, [1] * 9)
    rates = [0.1, 0.1, 0.05] + [0.025] * (6 if at_limit == "stay" else 1)
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-6)
    assert ("training stops" in capsys.readouterr().out) == (at_limit == "stop")


def test_stops_at_min_lr_too():
    callback = DivideLROnPlateau("score", "min", patience=1, min_lr=0.1, at_limit="stop")
    assert len(fit(callback, [1] * 9)["loss"]) == 2


def fit(callback, values, model=None):
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    return (
        (model or trainings.lent(small))
        .fit(
            x,
            np.ones((8, 1)),
            epochs=len(values),
            callbacks=[trainings.Aloud(), trainings.Script(values), callback],
            verbose=0,
        )
        .history
    )


def test_history_holds_the_rate_each_epoch_used():
    history = fit(DivideLROnPlateau("score", "min", divisor=5, patience=2), [3, 2, 2, 2, 2, 2])
    np.testing.assert_allclose(history["learning_rate"], [0.1] * 4 + [0.02] * 2, rtol=1e-6)


def test_prints_one_line_per_cut_with_both_rates(capsys):
    fit(DivideLROnPlateau("score", "max", patience=2), [1, 1, np.nan, 1])
    (line,) = capsys.readouterr().out.strip().splitlines()
    why = "Epoch 4: score did not improve on 1 for 2 epochs that count"
    assert line == f"{why}: learning rate 0.1 → 0.05."


def test_a_second_fit_goes_on_and_another_model_begins_anew():
    callback = DivideLROnPlateau("score", "min", patience=2)
    model, other = trainings.lent(small), trainings.lent(small)
    fit(callback, [1, 2], model)
    history = fit(callback, [2, 2], model)
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05], rtol=1e-6)
    history = trainings.rehearse(other, [callback], [2, 2, 1])
    np.testing.assert_allclose(history["learning_rate"], [0.1] * 3, rtol=1e-6)


@pytest.mark.parametrize(("metric", "rates"), [("loss", [0.1, 0.1, 0.05]), ("accuracy", [0.1] * 3)])
def test_auto_mode_asks_the_metric(metric, rates):
    """Of a loss that rises each time, and of an accuracy."""
    rise = keras.callbacks.LambdaCallback(on_epoch_end=lambda i, logs: logs.update({metric: i}))
    model = trainings.lent(small)
    callbacks = [rise, DivideLROnPlateau(metric, patience=1)]
    history = model.fit(np.ones((2, 4)), np.ones((2, 1)), epochs=3, callbacks=callbacks, verbose=0)
    np.testing.assert_allclose(history.history["learning_rate"], rates, rtol=1e-6)


def test_auto_mode_of_what_keras_does_not_know():
    with pytest.raises(ValueError, match="pass `mode='min'` or"):
        fit(DivideLROnPlateau("score"), [1])


@pytest.mark.parametrize("wrap", ["plain", "loss scaling", "several"])
def test_reaches_the_rate_inside_other_optimizers(wrap):
    inner = [keras.optimizers.SGD(0.1, name=f"sgd{i}") for i in range(2)]
    optimizer = {
        "plain": lambda: inner[0],
        "loss scaling": lambda: keras.optimizers.LossScaleOptimizer(inner[0]),
        "several": lambda: keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(inner[0], {".*bias": inner[1]})
        ),
    }[wrap]()
    model = small(lambda: optimizer)
    callback = DivideLROnPlateau("score", "min", patience=1)
    history = trainings.rehearse(model, [callback], [1, 1, 1])
    names = ["learning_rate"]
    if wrap == "several":
        names = ["learning_rate_sgd0", "learning_rate_sgd1"]
    for name, one in zip(names, inner, strict=False):
        np.testing.assert_allclose(history[name], [0.1, 0.1, 0.05], rtol=1e-6)
        assert trainings.rate_of(one) == pytest.approx(0.025)


@pytest.mark.parametrize("restore", ["weights", "state"])
def test_restore_goes_back_to_the_best_epoch(restore):
    model = trainings.compiled()
    begin, slots = [], []

    def look(epoch, logs):
        begin.append(model.get_weights())
        slots.append([np.array(keras.ops.convert_to_numpy(v)) for v in model.optimizer.variables])

    record = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    callback = DivideLROnPlateau("score", "min", patience=2, restore=restore)
    trainings.fit(model, [trainings.Script([3, 1, 2, 2, 2]), callback, record], epochs=5)
    # Best is the end of epoch 2, that is the start of 3; the cut comes at the end of 4.
    assert trainings.same(begin[4], begin[2])  # BatchNorm's statistics among them
    assert not trainings.same(begin[3], begin[2])
    iterations, rate = slots[4][:2]
    assert iterations == (6 if restore == "state" else 12)
    assert rate == pytest.approx(0.005)
    assert trainings.same(slots[4][2:], slots[2 if restore == "state" else 3][2:]) == (
        restore == "state"
    )


@pytest.mark.parametrize("every", [1, 2, 5])
def test_looks_every_so_many_batches(every, capsys):
    """The value is the mean over these batches; the rate is cut in the middle of an epoch."""
    losses = np.random.default_rng(5).random((7, 6)) + 1
    callback = DivideLROnPlateau("loss", "min", every=every, patience=1, min_delta=0.0)
    rates = trainings.Rates()
    trainings.rehearse(small(), [callback, rates], [0] * 7, losses)
    ends = range(every, losses.size + 1, every)
    means = [losses.ravel()[end - every : end].mean() for end in ends]
    expected = np.repeat([0.1, *simulate(means, "min", 1, 0.0, 0, 0.1, 2.0, 0.0)], every)[1:]
    np.testing.assert_allclose(rates.batches, expected[: losses.size], rtol=1e-5)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == round(np.log2(0.1 / rates.batches[-1])) > 2
    for line in lines:  # tell of the best mean until then
        epoch, batch = (int(word.strip(",:")) for word in line.split()[1:4:2])
        done = ((epoch - 1) * 6 + batch) // every
        assert f" on {min(means[:done]):.4g} for 1 times {every} batches" in line


def test_a_cut_between_two_batches_acts_on_the_next():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    # A constant gradient: the loss is the mean of y_pred, so that a step shows the rate.
    model.compile(
        keras.optimizers.SGD(0.5),
        lambda y, p: keras.ops.mean(p) + 0 * y[:, 0],
        jit_compile=trainings.jit(),
    )
    watch = trainings.Record()
    callback = DivideLROnPlateau("loss", "max", every=1, patience=1, verbose=0)
    x, y = np.random.default_rng(0).normal(size=(8, 4)), np.ones((8, 1))
    model.fit(x, y, batch_size=2, epochs=1, callbacks=[callback, watch], verbose=0)
    np.testing.assert_allclose(
        -np.diff(np.ravel([[0], *(weights[1] for weights in watch.batches)])),
        [0.5, 0.5, 0.25, 0.125],
    )


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras's, of an unknown size
@pytest.mark.parametrize("known", [True, False])
def test_warmup_rises_to_the_rate_and_is_not_counted(known):
    model = trainings.lent(small)
    model.optimizer.learning_rate = 0.12
    callback = DivideLROnPlateau("score", "max", patience=1, warmup=2, verbose=0)
    script = trainings.Script([5, 4, 1, 1, 1])
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices((np.ones((6, 4)), np.ones((6, 1)))).batch(2)
    if not known:  # the rate is then that of an epoch
        data = data.filter(lambda *_: True)
    history = model.fit(
        data, epochs=5, shuffle=False, callbacks=[script, callback], verbose=0
    ).history
    rates = [0.06, 0.12, 0.12, 0.12, 0.06]
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-6)


def test_warmup_rises_batch_by_batch():
    rates = trainings.Rates()
    callbacks = [DivideLROnPlateau("loss", "min", warmup=2, verbose=0), rates]
    trainings.rehearse(small(), callbacks, [0] * 3, np.ones((3, 3)))
    expected = np.minimum(np.arange(1, 10) / 6, 1) * 0.1
    np.testing.assert_allclose(rates.batches, expected, rtol=1e-6)


@pytest.mark.parametrize("together", [2, 4])
def test_warmup_reaches_the_rate_in_steps_of_several_batches(together, backend):
    if backend == "torch":
        pytest.skip("Keras has no steps_per_execution there")
    model = small()
    model.compile(sgd(), "mse", steps_per_execution=together, jit_compile=trainings.jit())
    x, y = np.ones((3, 4)), np.ones((3, 1))
    callback = DivideLROnPlateau("loss", warmup=1, verbose=0)
    model.fit(x, y, batch_size=1, epochs=2, callbacks=[callback], verbose=0)
    assert trainings.rate_of(model.optimizer) == pytest.approx(0.1)


def test_a_cut_in_the_last_epoch_leaves_the_next_fits_weights_alone():
    model = trainings.lent(small)
    callback = DivideLROnPlateau("score", "min", patience=1, restore="weights", verbose=0)
    fit(callback, [1, 2], model)
    model.set_weights([np.full((4, 1), 7.0), np.zeros(1)])
    model.optimizer.learning_rate = 0.0
    fit(callback, [3], model)
    assert (model.get_weights()[0] == 7).all()


OTHERS = {
    "another class": lambda: keras.optimizers.RMSprop(0.01),
    "another momentum": lambda: keras.optimizers.SGD(0.1),
    "another instance": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
}


@pytest.mark.parametrize("restore", ["state", "weights"])
@pytest.mark.parametrize("other", OTHERS)
def test_with_another_optimizer_it_begins_anew(restore, other):
    """Regression: the slots of the one before were put into those of the new one."""
    model = small(lambda: keras.optimizers.SGD(0.1, momentum=0.9))
    callback = DivideLROnPlateau("score", "min", patience=1, restore=restore, verbose=0)
    fit(callback, [1], model)
    model.compile(OTHERS[other](), "mse", jit_compile=trainings.jit())
    begin = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: begin.append(
            [np.array(keras.ops.convert_to_numpy(v)) for v in model.optimizer.variables]
        )
    )
    x, y = np.random.default_rng(0).normal(size=(8, 4)), np.ones((8, 1))
    callbacks = [trainings.Script([5, 6, 6]), callback, record]
    with pytest.warns(UserWarning, match="begins anew: the model has another") as told:
        history = model.fit(x, y, epochs=3, callbacks=callbacks, verbose=0).history
    assert len([one for one in told if one.category is UserWarning]) == 1
    # 5 is the best of this training, so that the second cut goes back to the end of its epoch.
    rates = np.array([1, 1, 0.5]) * trainings.rate_of(OTHERS[other]())
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-6)
    assert np.isfinite(history["loss"]).all()
    restored = trainings.same(begin[2][2:], begin[1][2:]) and begin[2][0] == begin[1][0]
    assert restored == (restore == "state")


def test_a_warm_up_rises_to_the_rate_of_the_present_optimizer():
    """Regression: it went on to the rate of the one before."""
    callback, model = DivideLROnPlateau("score", "min", warmup=3, verbose=0), small()
    trainings.rehearse(model, [callback], [1])
    model.compile(keras.optimizers.SGD(0.003), "mse")
    with pytest.warns(UserWarning, match="begins anew"):
        history = trainings.rehearse(model, [callback], [1] * 4)
    np.testing.assert_allclose(history["learning_rate"], [0.001, 0.002, 0.003, 0.003], rtol=1e-5)


def test_a_state_of_other_variables_is_dropped_with_a_word():
    """As of a callback that was pickled, in another training."""
    callback = DivideLROnPlateau("score", "min", patience=1, restore="state", verbose=0)
    first = small()
    first.optimizer.build(first.trainable_variables)
    trainings.rehearse(first, [callback], [1])
    other = DivideLROnPlateau("score", "min", patience=1, restore="state", verbose=0)
    other.set_state(callback.get_state())
    model = small(lambda: keras.optimizers.Adam(0.1))
    model.optimizer.build(model.trainable_variables)
    before = model.get_weights()
    with pytest.warns(UserWarning, match="forgets the best state, which is of other variables"):
        history = trainings.rehearse(model, [other], [2, 2])
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05], rtol=1e-6)
    assert trainings.same(model.get_weights(), before)


def test_warned_where_an_update_takes_more_batches_than_a_look():
    model = small(lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=4))
    with pytest.warns(UserWarning, match=r"every 2 batches.* one update of 4.*: pass every=4"):
        trainings.rehearse(model, [DivideLROnPlateau("loss", "min", every=2)], [0])
    trainings.rehearse(model, [DivideLROnPlateau("loss", "min", every=4)], [0])


def test_state_goes_on_in_another_callback():
    curve = [3, 2, 2.5, 2.5, 2.5, 1, 1, 1, 1, 1]
    whole = DivideLROnPlateau("score", "min", patience=2, cooldown=1, verbose=0)
    expected = decide(whole, curve)
    first = DivideLROnPlateau("score", "min", patience=2, cooldown=1, verbose=0)
    rates = decide(first, curve[:4])
    second = DivideLROnPlateau("score", "min", patience=2, cooldown=1, verbose=0)
    second.set_state(unpack(*pack(first.get_state())))
    rates += [rate * rates[-1] for rate in decide(second, curve[4:])]
    np.testing.assert_allclose(rates, expected)


def test_two_that_set_the_rate_are_refused():
    with pytest.raises(ValueError, match="both set the learning rate: leave one out"):
        trainings.rehearse(small(), [DivideLROnPlateau("loss") for _ in range(2)], [0])


def test_at_min_lr_nothing_is_cut_or_restored(capsys):
    """Regression: 0.1 as float32 is above 0.1, which made a cut to 0.1 of every plateau."""
    model = trainings.lent(small)
    model.optimizer.learning_rate = 0.4
    fit(DivideLROnPlateau("score", "min", patience=1, min_lr=0.1), [1] * 9, model)
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split("rate ")[1] for line in lines if line] == ["0.4 → 0.2.", "0.2 → 0.1."]


def test_a_missing_quantity_warns_once_with_what_there_is():
    with pytest.warns(UserWarning, match=r"'val_loss', which is not among the logs \(.*loss") as w:
        trainings.rehearse(small(), [DivideLROnPlateau()], [0] * 3)
    assert len([one for one in w if one.category is UserWarning]) == 1


def test_a_schedule_is_refused_before_training():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model = small(lambda: keras.optimizers.SGD(schedule))
    with pytest.raises(ValueError, match=r"the optimizer `sgd.*` follows a schedule"):
        trainings.rehearse(model, [DivideLROnPlateau("loss")], [0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"divisor": 1}, "`divisor` must be a finite number above 1; got 1"),
        ({"patience": 0}, "`patience` must be a whole number of at least 1; got 0"),
        ({"min_delta": -1}, "`min_delta` must be a finite number of at least 0"),
        ({"cooldown": 1.5}, "`cooldown` must be a whole number of at least 0; got 1.5"),
        ({"min_lr": float("nan")}, "`min_lr` must be a finite number"),
        ({"restore": "best"}, "`restore` must be one of None, 'weights', 'state'; got 'best'"),
        ({"threshold_mode": "relative"}, "`threshold_mode` must be one of 'abs', 'rel'"),
        ({"max_reductions": 0}, "`max_reductions` must be a whole number of at least 1; got 0"),
        ({"at_limit": "halt"}, "`at_limit` must be one of 'stay', 'stop'; got 'halt'"),
        ({"every": "batch"}, "`every` must be a whole number of at least 1; got 'batch'"),
        ({"every": 3}, "`monitor` must be in the logs of batches, .*; got 'val_loss'"),
        ({"warmup": -1}, "`warmup` must be a whole number of at least 0; got -1"),
        ({"mode": "mx"}, "`mode` must be one of 'auto', 'min', 'max'; got 'mx'"),
        ({"monitor": None}, "`monitor` must be the name of a quantity .*; got None"),
        ({"monitor": ["loss"], "every": 3}, r"`monitor` must be the name .*; got \['loss'\]"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DivideLROnPlateau(**arguments)
