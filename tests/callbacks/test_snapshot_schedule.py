"""SnapshotSchedule: Huang's cosine by batch, and members where it begins anew."""

import math

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn.callbacks import (
    CheckpointEnsemble,
    DivideLROnPlateau,
    GradualUnfreeze,
    SnapshotSchedule,
)
from keras_dcnn.callbacks.snapshot_schedule import cycle_ends


def step_model():
    """One weight whose gradient is 1, so that each step shows the rate."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(
        keras.optimizers.SGD(0.5),
        lambda y, p: keras.ops.mean(p) + 0 * y[:, 0],
        jit_compile=trainings.jit(),
    )
    return model


def steps(model, callbacks, epochs, batches=4):
    record = trainings.Record()
    start = model.get_weights()[0].item()
    x = np.ones((batches, 1), "float32")
    model.fit(x, x, batch_size=1, epochs=epochs, callbacks=[*callbacks, record], verbose=0)
    return -np.diff([start, *(weights[0].item() for weights in record.batches)])


def huang(epochs, batches, cycles, lr_max):
    """Equation 2 of the paper: α₀/2·(cos(π·mod(t − 1, ⌈T/M⌉)/⌈T/M⌉) + 1)."""
    length = math.ceil(epochs * batches / cycles)
    t = np.arange(1, epochs * batches + 1)
    return lr_max / 2 * (np.cos(np.pi * ((t - 1) % length) / length) + 1)


@pytest.mark.parametrize("cycles", [1, 2, 3, 6])
def test_each_batch_has_the_rate_of_the_paper(cycles):
    """Twice: a second `fit` begins with the first cycle."""
    model, schedule = step_model(), SnapshotSchedule(cycles, 0.1)
    for _ in range(2):
        rates = trainings.Rates()
        trainings.rehearse(model, [schedule, rates], [0] * 6, np.zeros((6, 4)))
        np.testing.assert_allclose(rates.batches, huang(6, 4, cycles, 0.1), atol=1e-8)


def test_steps_have_these_rates_and_logs_hold_the_last():
    """With a curve that `lr_min` lifts."""
    model = trainings.lent(step_model)
    history = keras.callbacks.History()
    rates = steps(model, [SnapshotSchedule(2, 0.3, 0.1), history], epochs=4)
    np.testing.assert_allclose(rates, 0.1 + huang(4, 4, 2, 0.2), atol=2e-6)
    np.testing.assert_allclose(history.history["learning_rate"], rates[3::4], atol=2e-6)


@pytest.mark.once
@pytest.mark.parametrize("epochs", range(1, 12))
def test_cycles_are_whole_epochs_as_even_as_they_go(epochs):
    for cycles in range(1, epochs + 1):
        lengths = np.diff([0, *cycle_ends(epochs, cycles)])
        assert len(lengths) == cycles
        assert sum(lengths) == epochs
        assert max(lengths) - min(lengths) <= 1


def test_members_are_taken_where_cycles_end(tmp_path):
    members = CheckpointEnsemble(tmp_path, keep="cycle", max_members=2, monitor="loss")
    trainings.rehearse(trainings.compiled(), [members, SnapshotSchedule(3, 0.1)], [0] * 7)
    assert [member["epoch"] for member in members.members] == cycle_ends(7, 3)[1:]


def test_members_by_cycle_need_a_schedule(tmp_path):
    members = CheckpointEnsemble(tmp_path, keep="cycle")
    with pytest.raises(ValueError, match="needs a SnapshotSchedule among the callbacks"):
        trainings.rehearse(trainings.compiled(), [members], [0])


def test_several_optimizers_keep_their_proportion():
    optimizers = [keras.optimizers.SGD(0.4, name="a"), keras.optimizers.SGD(0.1, name="b")]
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(optimizers[0], {".*bias": optimizers[1]})
    )
    schedule = SnapshotSchedule(1, 0.1)
    model = trainings.compiled(optimizer)
    history = trainings.rehearse(model, [schedule], [0] * 4, np.zeros((4, 3)))
    rates = huang(4, 3, 1, 0.1)[2::3]
    np.testing.assert_allclose(history["learning_rate_a"], rates, atol=1e-6)
    np.testing.assert_allclose(history["learning_rate_b"], rates / 4, atol=1e-6)
    now = [trainings.rate_of(one) for one in optimizers]
    np.testing.assert_allclose(now, [rates[-1], rates[-1] / 4], atol=1e-6)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras's, of an unknown size
def test_of_an_unknown_number_of_batches_the_first_epoch_has_one_rate():
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices((np.ones((4, 1), "float32"), np.ones((4, 1))))
    data = data.batch(1).filter(lambda *_: True)
    model, record = trainings.lent(step_model), trainings.Record()
    start = model.get_weights()[0].item()
    model.fit(
        data, epochs=3, shuffle=False, verbose=0, callbacks=[SnapshotSchedule(1, 0.1), record]
    )
    rates = -np.diff([start, *(weights[0].item() for weights in record.batches)])
    np.testing.assert_allclose(rates[:4], 0.1, atol=1e-6)
    np.testing.assert_allclose(rates[4:], huang(3, 4, 1, 0.1)[4:], atol=1e-6)


@pytest.mark.parametrize("other", [DivideLROnPlateau("loss"), GradualUnfreeze(["head"])])
def test_beside_others_that_set_the_rate_it_is_refused(other):
    with pytest.raises(ValueError, match="would both set the learning rate: leave one out"):
        trainings.rehearse(trainings.compiled(), [SnapshotSchedule(2, 0.1), other], [0] * 2)


def test_more_cycles_than_epochs():
    with pytest.raises(ValueError, match="at most the epochs of the training; got 5 cycles and 4"):
        trainings.rehearse(trainings.compiled(), [SnapshotSchedule(5, 0.1)], [0] * 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.1), "`cycles` must be a whole number of at least 1; got 0"),
        ((2, 0.1, 0.1), "`lr_max` must be a finite number above 0.1; got 0.1"),
        ((2, 0.1, -1), "`lr_min` must be a finite number of at least 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SnapshotSchedule(*arguments)
