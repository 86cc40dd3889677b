"""DivideLROnPlateau: decides as the definition does, and acts on the optimizer in a real fit."""

import keras
import numpy as np
import pytest
import trainings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_dcnn.callbacks import DivideLROnPlateau
from keras_dcnn.callbacks._state import pack, unpack

VALUES = st.lists(
    st.one_of(st.floats(-2, 2), st.sampled_from([0.0, 0.1, 0.2, np.nan, np.inf])), max_size=60
)


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


def decide(callback, curve):
    """The rates after each epoch of a scripted curve, without a training."""
    model = keras.Sequential()
    model.compile(keras.optimizers.SGD(1.0))
    callback.set_model(model)
    callback.set_params({"epochs": len(curve), "steps": 1})
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(curve):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"score": value})
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
    return rates


@settings(deadline=None, max_examples=200)
@given(
    curve=VALUES,
    mode=st.sampled_from(["min", "max"]),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.1]),
    cooldown=st.integers(0, 3),
    min_lr=st.sampled_from([0.0, 0.2]),
)
@example([1.0] * 8, "min", 1, 0.0, 1, 0.0)  # cooldown=1 spares one epoch (Keras's: none)
@example([np.nan] * 8, "min", 1, 0.0, 0, 0.0)
def test_rates_equal_a_simulation(curve, mode, patience, min_delta, cooldown, min_lr):
    callback = DivideLROnPlateau(
        "score", mode, 2.0, patience, min_delta, "abs", cooldown, min_lr, verbose=0
    )
    expected = simulate(curve, mode, patience, min_delta, cooldown, 1.0, 2.0, min_lr)
    np.testing.assert_allclose(decide(callback, curve), expected, rtol=1e-6)


def test_decisions_are_those_of_pytorch_on_1000_curves():
    """Where the definitions agree: finite values of one sign, PyTorch's patience one less."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    cuts = 0
    for number in range(1000):
        curve = np.abs(np.cumsum(rng.normal(-0.02, 0.1, 30)) + 1) + 0.01
        if number % 3 == 0:
            curve = curve.round(1) + 0.1  # ties
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
        callback = DivideLROnPlateau(
            "score", mode, 2.0, patience, threshold, threshold_mode, cooldown, verbose=0
        )
        np.testing.assert_allclose(decide(callback, curve), expected, rtol=1e-6)
        cuts += expected[-1] < 1
    assert cuts > 500


def test_a_relative_threshold_of_a_negative_best_is_still_a_threshold():
    """PyTorch's best·(1 − threshold) would take −0.95 for an improvement on −1."""
    callback = DivideLROnPlateau("score", "min", 2.0, 1, 0.1, "rel", verbose=0)
    assert decide(callback, [-1.0, -0.95, -1.05, -1.2]) == [1.0, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("at_limit", ["stay", "stop"])
def test_after_the_last_reduction_it_stays_or_stops(at_limit, capsys):
    model, x, y = model_and_data()
    callback = DivideLROnPlateau("score", "min", patience=1, max_reductions=2, at_limit=at_limit)
    history = fit(model, x, y, [1] * 9, callback)
    rates = [0.1, 0.1, 0.05] + [0.025] * (6 if at_limit == "stay" else 1)
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-6)
    assert ("training stops" in capsys.readouterr().out) == (at_limit == "stop")


def test_stops_at_min_lr_too():
    model, x, y = model_and_data()
    callback = DivideLROnPlateau("score", "min", patience=1, min_lr=0.1, at_limit="stop")
    assert len(fit(model, x, y, [1] * 9, callback)["loss"]) == 2


def model_and_data(optimizer=None):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer or keras.optimizers.SGD(0.1), "mse")
    rng = np.random.default_rng(0)
    return model, rng.normal(size=(8, 4)).astype("float32"), np.ones((8, 1), "float32")


class Script(keras.callbacks.Callback):
    """Puts given values into the logs before the callback under test sees them."""

    def __init__(self, values):
        super().__init__()
        self.values = iter(values)

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = next(self.values)


def fit(model, x, y, values, callback):
    return model.fit(
        x, y, epochs=len(values), callbacks=[Script(values), callback], verbose=0
    ).history


def test_history_holds_the_rate_each_epoch_used():
    model, x, y = model_and_data()
    callback = DivideLROnPlateau("score", "min", divisor=5, patience=2)
    history = fit(model, x, y, [3, 2, 2, 2, 2, 2], callback)
    np.testing.assert_allclose(history["learning_rate"], [0.1] * 4 + [0.02] * 2, rtol=1e-6)


def test_prints_one_line_per_cut_with_both_rates(capsys):
    model, x, y = model_and_data()
    fit(model, x, y, [1, 1, 1], DivideLROnPlateau("score", "max", patience=2))
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines == ["Epoch 3: score did not improve on 1 for 2 epochs: learning rate 0.1 → 0.05."]


def test_a_second_fit_goes_on_and_another_model_begins_anew():
    callback = DivideLROnPlateau("score", "min", patience=2)
    model, x, y = model_and_data()
    fit(model, x, y, [1, 2], callback)
    history = fit(model, x, y, [2, 2], callback)
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05], rtol=1e-6)
    history = fit(*model_and_data(), [2, 2, 1], callback)
    np.testing.assert_allclose(history["learning_rate"], [0.1] * 3, rtol=1e-6)


def test_auto_mode_asks_the_metric():
    for metric, mode in (("loss", "min"), ("accuracy", "max")):
        model, x, y = model_and_data()
        model.compile("sgd", "mse", metrics=["accuracy"])
        callback = DivideLROnPlateau(metric, patience=1)
        model.fit(x, y, callbacks=[callback], verbose=0)
        assert callback._monitor.mode == mode
    with pytest.raises(ValueError, match="Pass `mode='max'`"):
        fit(model, x, y, [1], DivideLROnPlateau("score"))


@pytest.mark.parametrize("wrap", ["plain", "loss scaling", "several"])
def test_reaches_the_rate_inside_other_optimizers(wrap):
    sgd = [keras.optimizers.SGD(0.1, name=f"sgd{i}") for i in range(2)]
    optimizer = {
        "plain": lambda: sgd[0],
        "loss scaling": lambda: keras.optimizers.LossScaleOptimizer(sgd[0]),
        "several": lambda: keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(sgd[0], {".*bias": sgd[1]})
        ),
    }[wrap]()
    model, x, y = model_and_data(optimizer)
    history = fit(model, x, y, [1, 1, 1], DivideLROnPlateau("score", "min", patience=1))
    names = ["learning_rate"]
    if wrap == "several":
        names = ["learning_rate_sgd0", "learning_rate_sgd1"]
    for name in names:
        np.testing.assert_allclose(history[name], [0.1, 0.1, 0.05], rtol=1e-6)


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
    seen = []
    model = trainings.compiled(keras.optimizers.SGD(0.0), dropout=0.0)
    callback = DivideLROnPlateau("loss", every=every, patience=3, verbose=1)
    decide_as = callback._decide
    callback._decide = lambda value, when: (seen.append(value), decide_as(value, when))
    record = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: record.append(logs["loss"] * (batch + 1))
    )
    trainings.fit(model, [watch, callback], shuffle=False)
    batches = np.diff([[0, *sums] for sums in np.reshape(record, (4, 3))], axis=1).ravel()
    blocks = [batches[i : i + every] for i in range(0, 12 - every + 1, every)]
    np.testing.assert_allclose(seen, np.mean(blocks, axis=1), rtol=1e-6)


def test_a_cut_between_two_batches_acts_on_the_next():
    model, x, y = model_and_data(keras.optimizers.SGD(0.5))
    model.layers[0].kernel.assign(np.zeros((4, 1)))
    watch = trainings.Record()
    # A constant gradient: the loss is the mean of y_pred, so that a step shows the rate.
    model.compile(keras.optimizers.SGD(0.5), lambda y, p: keras.ops.mean(p) + 0 * y[:, 0])
    callback = DivideLROnPlateau("loss", "max", every=1, patience=1, verbose=0)
    model.fit(x, y, batch_size=2, epochs=1, callbacks=[callback, watch], verbose=0)
    np.testing.assert_allclose(
        -np.diff(np.ravel([[0], *(weights[1] for weights in watch.batches)])),
        [0.5, 0.5, 0.25, 0.125],
    )


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras's, of an unknown size
@pytest.mark.parametrize("known", [True, False])
def test_warmup_rises_to_the_rate_and_is_not_counted(known):
    model = trainings.compiled(keras.optimizers.SGD(0.12))
    callback = DivideLROnPlateau("score", "max", patience=1, warmup=2, verbose=0)
    script = trainings.Script([5, 4, 1, 1, 1])
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices((trainings.X, trainings.Y)).batch(16)
    if not known:  # the rate is then that of an epoch
        data = data.filter(lambda *_: True)
    history = model.fit(
        data, epochs=5, shuffle=False, callbacks=[script, callback], verbose=0
    ).history
    rates = [0.06, 0.12, 0.12, 0.12, 0.06]
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-6)


@pytest.mark.parametrize("together", [2, 4])
def test_warmup_reaches_the_rate_in_steps_of_several_batches(together, backend):
    if backend == "torch":
        pytest.skip("Keras has no steps_per_execution there")
    model = trainings.network()
    model.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=together)
    model.optimizer.learning_rate = 0.1
    trainings.fit(model, [DivideLROnPlateau("loss", warmup=1, verbose=0)], epochs=2)
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.1)


def test_a_cut_in_the_last_epoch_leaves_the_next_fits_weights_alone():
    model, x, y = model_and_data()
    callback = DivideLROnPlateau("score", "min", patience=1, restore="weights", verbose=0)
    fit(model, x, y, [1, 2], callback)
    model.set_weights([np.full((4, 1), 7.0), np.zeros(1)])
    model.optimizer.learning_rate = 0.0
    fit(model, x, y, [3], callback)
    assert (model.get_weights()[0] == 7).all()


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
    model, x, y = model_and_data()
    with pytest.raises(ValueError, match="both set the learning rate: leave one out"):
        model.fit(x, y, callbacks=[DivideLROnPlateau("loss") for _ in range(2)], verbose=0)


def test_at_min_lr_nothing_is_cut_or_restored(capsys):
    """Regression: 0.1 as float32 is above 0.1, which made a cut to 0.1 of every plateau."""
    model, x, y = model_and_data(keras.optimizers.SGD(0.4))
    callback = DivideLROnPlateau("score", "min", patience=1, min_lr=0.1)
    fit(model, x, y, [1] * 9, callback)
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split("rate ")[1] for line in lines if line] == ["0.4 → 0.2.", "0.2 → 0.1."]


def test_a_missing_quantity_warns_once_with_what_there_is():
    model, x, y = model_and_data()
    with pytest.warns(UserWarning, match=r"'val_loss', which is not among the logs \(.*loss") as w:
        model.fit(x, y, epochs=3, callbacks=[DivideLROnPlateau()], verbose=0)
    assert len([one for one in w if one.category is UserWarning]) == 1


def test_a_schedule_is_refused_before_training():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model, x, y = model_and_data(keras.optimizers.SGD(schedule))
    with pytest.raises(ValueError, match=r"the optimizer `sgd.*` follows a schedule"):
        model.fit(x, y, callbacks=[DivideLROnPlateau("loss")], verbose=0)


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
        ({"warmup": -1}, "`warmup` must be a whole number of at least 0; got -1"),
        ({"mode": "mx"}, "`mode` must be one of 'auto', 'min', 'max'; got 'mx'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DivideLROnPlateau(**arguments)
