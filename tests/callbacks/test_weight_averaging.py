"""WeightAveraging: the averages of the definition, in the model when they are to be there."""

import re

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._files.states import pack, unpack
from keras_dcnn.callbacks import SnapshotSchedule, WeightAveraging
from keras_dcnn.callbacks._averages import Average
from keras_dcnn.callbacks._averaging_start import why_nothing
from keras_dcnn.callbacks._loss_barrier import barrier_message

STATISTICS = slice(4, 6)  # of BatchNorm, among the weights of `trainings.network()`


def reference(kind, iterates, decay, window):
    """The average of a list of lists of arrays, in float64."""
    layers = [np.array(values, "float64") for values in zip(*iterates, strict=True)]
    if kind == "swa":
        return [values.mean(0) for values in layers]
    if kind == "lawa":
        return [values[-window:].mean(0) for values in layers]
    averages = [values[0] for values in layers]
    for values in list(zip(*layers, strict=True))[1:]:
        averages = [decay * a + (1 - decay) * v for a, v in zip(averages, values, strict=True)]
    return averages


def rehearse(parts, scores=(0,) * 4):
    """The model after these callbacks; three batches an epoch changed it, without a training."""
    model = trainings.compiled()
    trainings.rehearse(model, [trainings.Learn(), *parts], scores, np.zeros((len(scores), 3)))
    return model


@pytest.mark.parametrize("every", ["batch", "epoch"])
@pytest.mark.parametrize("kind", ["swa", "ema", "lawa"])
def test_the_model_ends_with_the_average_of_the_definition(kind, every):
    """Epochs 3 and 4 of 4, BatchNorm's statistics among the weights; twice, as for a second fit."""
    model = trainings.compiled()
    for _ in range(2):
        record = trainings.Record()
        averaging = WeightAveraging(kind, start=0.5, decay=0.6, window=2, every=every)
        parts = [trainings.Learn(), record, averaging]
        trainings.rehearse(model, parts, [0] * 4, np.zeros((4, 3)))
        iterates = record.batches[6:] if every == "batch" else record.batches[8::3]
        expected = reference(kind, iterates, 0.6, 2)
        for value, weight in zip(expected, model.get_weights(), strict=True):
            np.testing.assert_allclose(weight, value, atol=1e-6)
        averages = averaging.averaged_weights()
        assert trainings.same(averages, model.get_weights())


def test_training_goes_on_from_its_own_weights():
    """What is averaged changes nothing in what is trained."""
    alone, beside = trainings.Record(), trainings.Record()
    trainings.fit(trainings.compiled(), [alone])
    trainings.take_back()
    model = trainings.compiled()
    trainings.fit(model, [beside, WeightAveraging(start=0.25)])
    for one, other in zip(alone.batches, beside.batches, strict=True):
        assert trainings.same(one, other)
    # The seeds of dropout went on too, and no whole number was averaged.
    seeds = [v for v in model.non_trainable_variables if "seed" in v.path]
    assert all(keras.backend.is_int_dtype(v.dtype) for v in seeds)


def test_what_is_validated_is_the_average():
    model = trainings.compiled()
    record = trainings.Record()
    history = trainings.fit(model, [WeightAveraging(start=0.5), record])
    for epoch in (0, 1, 2, 3):
        model.set_weights(record.epochs[epoch])
        loss = model.evaluate(*trainings.VALIDATION, verbose=0)[0]
        assert loss == pytest.approx(history["val_loss"][epoch], rel=1e-5)
    for weight, value in zip(
        record.epochs[3], reference("swa", record.batches[6:], 0, 0), strict=True
    ):
        np.testing.assert_allclose(weight, value, atol=1e-6)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]])
def test_early_stopping_keeps_the_averages_of_its_best_epoch_in_any_order(order):
    record = trainings.Record()
    stopping = keras.callbacks.EarlyStopping(
        "score", mode="min", patience=2, restore_best_weights=True
    )
    parts = [WeightAveraging(start=0.2), stopping, record]
    model = rehearse([parts[i] for i in order], [5, 4, 1, 2, 3, 3])
    expected = reference("swa", record.batches[3:9], 0, 0)  # to the end of epoch 3
    for weight, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(weight, value, atol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_raw_validation_leaves_what_early_stopping_restores(first):
    record = trainings.Record()
    stopping = keras.callbacks.EarlyStopping(
        "score", mode="min", patience=9, restore_best_weights=True
    )
    averaging = WeightAveraging(start=0.25, evaluate="raw")
    parts = [averaging, stopping] if first else [stopping, averaging]
    model = rehearse([record, *parts], [5, 4, 1, 2])
    assert trainings.same(model.get_weights(), record.epochs[2])
    for weight, value in zip(
        averaging.averaged_weights(), reference("swa", record.batches[3:], 0, 0), strict=True
    ):
        np.testing.assert_allclose(weight, value, atol=1e-6)


def test_raw_validation_sets_the_average_at_the_end():
    model = trainings.compiled()
    record = trainings.Record()
    averaging = WeightAveraging("ema", start=0.25, decay=0.6, evaluate="raw")
    history = trainings.fit(model, [record, averaging])
    for weight, value in zip(
        model.get_weights(), reference("ema", record.batches[3:], 0.6, 0), strict=True
    ):
        np.testing.assert_allclose(weight, value, atol=1e-6)
    for weights, expected in zip(record.batches[2::3], history["val_loss"], strict=True):
        model.set_weights(weights)
        loss = model.evaluate(*trainings.VALIDATION, verbose=0)[0]
        assert loss == pytest.approx(expected, rel=1e-5)


def test_recomputed_statistics_are_those_of_a_direct_pass():
    model = trainings.compiled()
    averaging = WeightAveraging(start=0.5, batch_norm="recompute", data=(trainings.X, trainings.Y))
    trainings.fit(model, [averaging])
    x = model.layers[0](trainings.X)
    x = keras.ops.convert_to_numpy(x).reshape(-1, 4).astype("float64")
    mean, variance = model.get_weights()[STATISTICS]
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, x.var(0), rtol=1e-4)


def test_kept_statistics_are_those_of_the_last_batch():
    record = trainings.Record()
    model = rehearse([record, WeightAveraging(start=0.5, batch_norm="keep")])
    assert trainings.same(model.get_weights()[STATISTICS], record.batches[-1][STATISTICS])


@pytest.mark.slow
def test_best_is_what_validates_best_and_says_so(capsys):
    """The losses that it prints are those of the three, measured here."""
    losses = {}
    for choice in ("average", "recompute", "keep", "best"):
        model = trainings.compiled()
        averaging = WeightAveraging(start=0.75, batch_norm=choice, data=trainings.X)
        trainings.fit(model, [trainings.Aloud(), averaging])
        losses[choice] = model.evaluate(*trainings.VALIDATION, verbose=0)[0]
        trainings.take_back()
    line, of_best = capsys.readouterr().out.strip(), losses.pop("best")
    best = min(losses, key=losses.get)
    assert line.startswith(f"Epoch 4: BatchNorm statistics by validation loss: {best} (")
    for choice, loss in losses.items():
        assert f"{choice} {loss:.4g}" in line
    assert of_best == pytest.approx(losses[best])
    assert len(set(losses.values())) == 3


def test_best_without_validation_says_that_it_averages():
    averaging = WeightAveraging(start=0.75, batch_norm="best", data=trainings.X)
    with pytest.warns(UserWarning, match="nothing to choose by, so the statistics are averaged"):
        rehearse([averaging])


def test_the_loss_barrier_between_basins_is_told():
    """Two cycles of a rate so high that each ends elsewhere; not told of a quiet training."""
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile(
        keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", jit_compile=trainings.jit()
    )
    basins = [[sign * 20 * w for w in model.get_weights()] for sign in (1, -1)]
    jump = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.set_weights(basins[epoch])
    )
    # Labels that the second basin gets right, about which the average, zero, knows nothing.
    model.set_weights(basins[1])
    x = trainings.VALIDATION[0]
    labels = model.predict(x, verbose=0).argmax(1)
    averaging = WeightAveraging(start=0.0, every="epoch")
    with pytest.warns(UserWarning, match=r"different basins.*Average predictions"):
        trainings.fit(model, [averaging, jump], epochs=2, validation_data=(x, labels))
    trainings.fit(trainings.compiled(), [WeightAveraging(start=0.0)])  # warnings are errors


def test_averages_of_another_kind_are_refused():
    averaging = WeightAveraging("swa", start=0.0)
    rehearse([averaging])
    with pytest.raises(ValueError, match=r"they are 'swa', got kind='lawa'"):
        WeightAveraging("lawa").set_state(averaging.get_state())


def test_no_average_yet():
    with pytest.raises(ValueError, match="nothing was averaged: train past `start`"):
        WeightAveraging().averaged_weights()


def test_an_average_that_never_began_is_told():
    stopping = keras.callbacks.EarlyStopping("score", mode="max", patience=1)
    with pytest.warns(UserWarning, match=r"begins after 15 epochs.* ended after 2: lower `start`"):
        rehearse([WeightAveraging(), stopping], [0] * 20)


@pytest.mark.parametrize(
    ("ended", "updates", "why"),
    [
        (2, 0, "it begins after 3 epochs, and the training ended after 2: lower `start`"),
        (4, 0, "the optimizer made no update .* `gradient_accumulation_steps` is at most"),
        (4, 5, "after every 9 updates of the optimizer, of which there were 5 .*`update_every`"),
    ],
)
def test_why_nothing_was_averaged(ended, updates, why):
    """Regression: where the optimizer had made no update it said to lower `update_every`."""
    averaging = WeightAveraging(start=3, update_every=9)
    averaging.epochs_ended = ended
    assert re.search(why, why_nothing(averaging, 3, updates))


@pytest.mark.parametrize(
    ("averaged", "raw", "why"),
    [
        (2.0, 1.0, "different basins"),
        (np.nan, 1.0, "NaN, infinite or far off are in the average"),
        (np.nan, np.nan, "the training diverged, or the validation data are not finite"),
    ],
)
def test_what_a_barrier_is_put_down_to(averaged, raw, why):
    assert why in barrier_message(averaged, raw)


class ScoreOnly(keras.Sequential):
    def test_step(self, *given):
        logs = {"score": 1.0}
        return (logs, given[0]) if keras.backend.backend() == "jax" else logs


def test_a_test_step_without_a_loss():
    """Regression: KeyError: 'loss', after two epochs of averaging."""
    model = ScoreOnly([keras.Input((4,)), keras.layers.BatchNormalization()])
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((4, 4))
    for more in ({}, {"evaluate": "raw"}):
        averaging = WeightAveraging(start=0, **more)
        model.fit(x, x, validation_data=(x, x), epochs=2, callbacks=[averaging], verbose=0)
    averaging = WeightAveraging(start=0, batch_norm="best", data=x)
    with pytest.warns(UserWarning, match="nothing to choose by.*`test_step` .* return 'loss'"):
        model.fit(x, x, validation_data=(x, x), callbacks=[averaging], verbose=0)


def test_mixed_precision_averages_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = trainings.compiled()
        record = trainings.Record()
        trainings.fit(model, [record, WeightAveraging(start=0.5)], validation_data=None)
        assert model.layers[0].compute_dtype == "float16"
    finally:
        keras.config.set_dtype_policy("float32")
    expected = reference("swa", record.batches[6:], 0, 0)
    for weight, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(weight, value, atol=1e-6)


def test_float16_weights_have_float32_averages():
    """1 + 2⁻¹⁰ is the next number after 1 in float16: a mean in that precision stays at 1."""
    values = [keras.ops.convert_to_tensor(v, "float16") for v in (1.0, 1 + 2**-10)]
    for kind, window in (("swa", 1), ("ema", 1), ("lawa", 2), ("lawa", 9)):
        mean = Average(kind, 0.5, window)
        for value in values:
            mean.add([value])
        assert float(mean.value()[0]) == 1 + 2**-11


def test_averages_come_back_from_their_state():
    rng = np.random.default_rng(0)
    values = [[keras.ops.convert_to_tensor(rng.normal(size=3), "float32")] for _ in range(9)]
    for kind in ("swa", "ema", "lawa"):
        whole, first, second = (Average(kind, 0.9, 4) for _ in range(3))
        for i, value in enumerate(values):
            whole.add(value)
            (first if i < 5 else second).add(value)
            if i == 4:
                second.set_state(unpack(*pack(first.get_state())), kind)
        assert trainings.same(
            [keras.ops.convert_to_numpy(x) for x in whole.value()],
            [keras.ops.convert_to_numpy(x) for x in second.value()],
        )


def test_it_works_beside_a_schedule():
    model, record, rates = trainings.compiled(), trainings.Record(), trainings.Rates()
    parts = [record, rates, SnapshotSchedule(2, 0.05), WeightAveraging("lawa", start=0.5, window=4)]
    trainings.fit(model, parts, validation_data=None)
    cosine = 0.025 * (np.cos(np.pi * np.arange(6) / 6) + 1)
    np.testing.assert_allclose(rates.batches, [*cosine, *cosine], rtol=1e-5)
    for weight, value in zip(
        model.get_weights(), reference("lawa", record.batches[6:], 0, 4), strict=True
    ):
        np.testing.assert_allclose(weight, value, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "polyak"}, "`kind` must be one of 'swa', 'ema', 'lawa'; got 'polyak'"),
        ({"start": 1.0}, "`start` must be a finite number of at least 0 and below 1; got 1.0"),
        ({"start": -0.1}, "`start` must be a finite number of at least 0"),
        ({"decay": 1}, "`decay` must be a finite number above 0 and below 1; got 1"),
        ({"decay": 0}, "`decay` must be a finite number above 0"),
        ({"window": 0}, "`window` must be a whole number of at least 1; got 0"),
        ({"every": 2}, "`every` must be one of 'batch', 'epoch'; got 2"),
        ({"batch_norm": "mean"}, "`batch_norm` must be one of"),
        ({"evaluate": "both"}, "`evaluate` must be one of 'averaged', 'raw'; got 'both'"),
        ({"batch_norm": "recompute"}, "'recompute' needs `data` to measure on; got None"),
        ({"data": iter([])}, "`data` must be readable again and again; got a list_iterator"),
        ({"batch_norm": "best", "data": 0, "evaluate": "raw"}, "use evaluate='averaged'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightAveraging(**arguments)
