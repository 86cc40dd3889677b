"""DivideLROnPlateau: decides as the definition does, and acts on the optimizer in a real fit."""

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_dcnn.callbacks import DivideLROnPlateau

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


class Stub:
    """As much of a model as the callback needs."""

    def __init__(self, rate):
        self.optimizer = keras.optimizers.SGD(rate)


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
    callback = DivideLROnPlateau("score", mode, 2.0, patience, min_delta, cooldown, min_lr)
    callback.set_model(Stub(1.0))
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(curve):
        callback.on_epoch_end(epoch, {"score": value})
        rates.append(float(keras.ops.convert_to_numpy(callback.model.optimizer.learning_rate)))
    expected = simulate(curve, mode, patience, min_delta, cooldown, 1.0, 2.0, min_lr)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


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
    fit(model, x, y, [1, 1, 1], DivideLROnPlateau("score", "max", patience=2, verbose=1))
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


def test_restore_best_goes_back_to_the_best_epoch():
    model, x, y = model_and_data()
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(model.get_weights()[0].copy())
    )
    callback = DivideLROnPlateau("score", "min", patience=2, restore_best=True)
    values = [3, 1, 2, 2, 2]
    model.fit(x, y, epochs=5, callbacks=[Script(values), record, callback], verbose=0)
    # Best is the end of epoch 2, that is the start of 3; the cut comes at the end of 4.
    np.testing.assert_array_equal(seen[4], seen[2])
    assert not np.array_equal(seen[3], seen[2])


def test_at_min_lr_nothing_is_cut_or_restored(capsys):
    """Regression: 0.1 as float32 is above 0.1, which made a cut to 0.1 of every plateau."""
    model, x, y = model_and_data(keras.optimizers.SGD(0.4))
    callback = DivideLROnPlateau("score", "min", patience=1, min_lr=0.1, verbose=1)
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
        ({"restore_best": 1}, "`restore_best` must be True or False; got 1"),
        ({"mode": "mx"}, "`mode` must be one of 'auto', 'min', 'max'; got 'mx'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DivideLROnPlateau(**arguments)
