"""CurveRecorder: every batch's own loss, on disk and merged in memory, also after a kill."""

import concurrent.futures
import csv
import errno
import os

import keras
import numpy as np
import pytest
import trainings
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dcnn._files.states import pack, unpack
from keras_dcnn.callbacks import CurveRecorder
from keras_dcnn.callbacks._merged_curve import MergedCurve

HEADER = "step,epoch,batch,loss\n"


def blocks(values, max_points):
    """From the definition: the smallest power of two for which the blocks are few enough."""
    size = 1
    while -(-len(values) // size) > max_points:
        size *= 2
    return [np.array(values[i : i + size]) for i in range(0, len(values), size)]


@pytest.mark.once
@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.one_of(st.floats(-9, 9), st.just(np.nan), st.just(np.inf)), max_size=70),
    st.integers(1, 9),
    st.integers(0, 70),
)
def test_points_are_direct_block_means(values, max_points, cut):
    curve = MergedCurve(max_points)
    for i, value in enumerate(values):
        if i == cut:  # goes on from a state
            state, curve = curve.get_state(), MergedCurve(max_points)
            curve.set_state(unpack(*pack(state)))
        curve.add(i + 1, value, 1)
    points = curve.points()
    expected = blocks(values, max_points)
    assert len(points["step"]) == len(expected) <= max_points
    np.testing.assert_array_equal(points["step"], np.cumsum([len(block) for block in expected]))
    for i, block in enumerate(expected):
        finite = block[~np.isnan(block)]
        np.testing.assert_allclose(points["loss"][i], block.mean(), atol=1e-9)
        low, high = (finite.min(), finite.max()) if len(finite) else (np.nan, np.nan)
        np.testing.assert_array_equal([points["low"][i], points["high"][i]], [low, high])


def drive(callback, losses, order=lambda batches: batches, epochs=1, executions=1, first=0):
    """What a `fit` with these losses calls; the ends of batches come in any order."""
    model = keras.Sequential()
    callback.set_model(model)
    steps = -(-len(losses) // epochs)
    callback.set_params({"epochs": first + epochs, "steps": steps})
    callback.on_train_begin()
    for epoch in range(first, first + epochs):
        own = np.asarray(losses[(epoch - first) * steps :][:steps], "float64")
        means = np.cumsum(own) / np.arange(1, len(own) + 1)
        callback.on_epoch_begin(epoch)
        for group in order(list(range(0, len(own), executions))):
            group = group if isinstance(group, list) else [group]
            for batch in sorted(group):
                callback.on_train_batch_begin(batch)
            for batch in group:
                end = batch + executions - 1
                callback.on_train_batch_end(end, {"loss": float(means[min(end, len(own) - 1)])})
        callback.on_epoch_end(epoch)
    callback.on_train_end()


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_has_each_batch_s_own_loss(tmp_path):
    losses = np.random.default_rng(0).random(12) + 1
    callback = CurveRecorder(tmp_path / "new" / "loss.csv")
    drive(callback, losses, epochs=3)
    read = rows(tmp_path / "new" / "loss.csv")
    assert [int(row["step"]) for row in read] == list(range(1, 13))
    assert [int(row["epoch"]) for row in read] == [1] * 4 + [2] * 4 + [3] * 4
    assert [int(row["batch"]) for row in read] == [1, 2, 3, 4] * 3
    np.testing.assert_allclose([float(row["loss"]) for row in read], losses, rtol=1e-5)
    np.testing.assert_allclose(callback.points()["loss"], losses, rtol=1e-9)


def classifier(**options):
    """Without BatchNorm and dropout, whose losses in training differ from those in a test."""
    keras.utils.set_random_seed(7)
    head = keras.layers.Dense(3, "softmax", dtype="float32")
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten(), head])
    arguments = {"jit_compile": trainings.jit(), **options}
    model.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy", **arguments)
    return model


def fit(callbacks, model=None, **more):
    model = model or trainings.lent(classifier)
    keras.utils.set_random_seed(7)
    trainings.fit(model, callbacks, **{"validation_data": None, **more})


def own_losses(**more):
    """The losses of batches by the definition: those of the weights before each step."""
    weights = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: weights.append(look.model.get_weights())
    )
    fit([look], shuffle=False, **more)
    losses = []
    for i, (kernel, bias) in enumerate(weights):
        batch = slice(16 * (i % 3), 16 * (i % 3) + 16)
        powers = np.exp(trainings.X[batch].reshape(16, -1) @ kernel.astype("float64") + bias)
        shares = powers / powers.sum(axis=1, keepdims=True)
        losses.append(-np.log(shares[range(16), trainings.Y[batch]]).mean())
    return losses


def test_records_a_real_training_also_in_threads(tmp_path):
    """With callbacks that are all safe for threads, Keras calls them from several."""
    expected = own_losses()
    curve, merged = CurveRecorder(tmp_path / "loss.csv"), CurveRecorder(max_points=5)
    fit([curve, merged], shuffle=False)
    np.testing.assert_allclose(curve.points()["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(
        [float(row["loss"]) for row in rows(tmp_path / "loss.csv")], expected, rtol=1e-4
    )
    for i, block in enumerate(blocks(expected, 5)):
        point = [merged.points()[key][i] for key in ("loss", "low", "high")]
        np.testing.assert_allclose(point, [block.mean(), block.min(), block.max()], rtol=1e-4)


def test_executions_of_several_batches(backend):
    if backend == "torch":
        pytest.skip("Keras has none on PyTorch")
    expected = own_losses(epochs=1)
    curve = CurveRecorder()
    fit([curve], classifier(steps_per_execution=2), epochs=2, shuffle=False)
    points = curve.points()
    np.testing.assert_array_equal(points["step"], [2, 3, 5, 6])
    means = [np.mean(expected[:2]), expected[2]]
    np.testing.assert_allclose(points["loss"][:2], means, rtol=1e-4)


def backwards(batches):
    return [batches[i : i + 7][::-1] for i in range(0, len(batches), 7)]


@pytest.mark.parametrize("executions", [1, 4])
@pytest.mark.parametrize("order", [backwards, list])
def test_ends_of_batches_come_in_any_order(tmp_path, order, executions):
    losses = np.random.default_rng(1).random(280 * executions) + 1
    callback = CurveRecorder(tmp_path / "loss.csv")
    drive(callback, losses, order, executions=executions)
    expected = losses.reshape(-1, executions).mean(axis=1)
    np.testing.assert_allclose(callback.points()["loss"], expected, rtol=1e-9)
    read = rows(tmp_path / "loss.csv")
    np.testing.assert_allclose([float(row["loss"]) for row in read], expected, rtol=1e-6)


def test_threads_lose_nothing():
    callback = CurveRecorder()
    callback.set_model(keras.Sequential())
    callback.set_params({"epochs": 1, "steps": None})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for batch in range(5000):
            callback.on_train_batch_begin(batch)
            pool.submit(callback.on_train_batch_end, batch, {"loss": (batch + 2) / 2})
    callback.on_epoch_end(0)
    np.testing.assert_array_equal(callback.points()["loss"], np.arange(1, 5001))


def test_nan_is_recorded(tmp_path):
    callback = CurveRecorder(tmp_path / "loss.csv", max_points=3)
    drive(callback, [1.0, 2.0, np.nan, 1.0, 3.0, 4.0], epochs=3)
    np.testing.assert_array_equal(callback.points()["loss"], [1.5, np.nan, 3.5])
    np.testing.assert_array_equal(callback.points()["low"], [1, np.nan, 3])
    assert [row["loss"] for row in rows(tmp_path / "loss.csv")] == [
        "1",
        "2",
        "nan",
        "nan",
        "3",
        "4",
    ]
    pack(callback.get_state())


class Kill(trainings.StopAt):
    """With a hook for which Keras waits after each batch, so that it is known what has ended."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def test_rows_of_an_epoch_that_was_killed_are_cut_off(tmp_path):
    """As a resumed training does, the second callback has the state at the epoch's beginning."""
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    rng = np.random.default_rng(2)
    losses = rng.random(45) + 1
    drive(CurveRecorder(whole), losses, epochs=3)
    first = CurveRecorder(killed)
    drive(first, losses[:15])
    state = first.get_state()
    first.set_state(state)  # it goes on
    drive(first, rng.random(70), first=1)  # more than will be
    assert len(rows(killed)) == 85
    second = CurveRecorder(killed)
    second.set_state(unpack(*pack(state)))
    drive(second, losses[15:], epochs=2, first=1)
    assert killed.read_bytes() == whole.read_bytes()


def test_a_file_that_was_shortened_is_told_of(tmp_path):
    path = tmp_path / "loss.csv"
    first, second = CurveRecorder(path), CurveRecorder(path)
    drive(first, [1.0, 2.0, 3.0])
    path.unlink()
    second.set_state(first.get_state())
    with pytest.warns(UserWarning, match="of which rows are missing"):
        drive(second, [4.0, 5.0, 6.0], first=1)
    assert path.read_text().startswith(HEADER + "4,2,1,4\n")


def test_a_second_fit_goes_on(tmp_path):
    callback = CurveRecorder(tmp_path / "loss.csv")
    model, other = trainings.lent(classifier), trainings.lent(classifier)
    fit([callback], model, epochs=2)
    fit([callback], model, epochs=1)
    steps = [int(row["step"]) for row in rows(tmp_path / "loss.csv")]
    assert steps == list(callback.points()["step"]) == list(range(1, 10))
    with pytest.raises(ValueError, match="must be a new or an empty file"):
        trainings.rehearse(other, [callback], [0])


def test_a_second_fit_after_an_interrupted_one_goes_on(tmp_path):
    callback = CurveRecorder(tmp_path / "loss.csv")
    model = trainings.lent(classifier)
    with pytest.raises(KeyboardInterrupt):
        fit([callback, Kill(1, batch=2)], model)
    fit([callback], model, epochs=1)
    read = [(row["epoch"], row["batch"]) for row in rows(tmp_path / "loss.csv")]
    batches = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (1, 1), (1, 2), (1, 3)]
    assert read == [(str(epoch), str(batch)) for epoch, batch in batches]


def test_another_runs_file_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "loss.csv"
    for text in ("", HEADER[:7], HEADER):  # of a run that was killed before its first row
        path.write_text(text)
        drive(CurveRecorder(path), [1.0])
        assert path.read_text() == HEADER + "1,1,1,1\n"
    with pytest.raises(ValueError, match=r"holds 30 bytes that are not of this run: choose"):
        drive(CurveRecorder(path), [2.0])
    assert path.read_text() == HEADER + "1,1,1,1\n"
    with pytest.raises(ValueError, match=r"must be a file; .* is a directory"):  # not "delete it"
        drive(CurveRecorder(tmp_path), [2.0])


def test_a_full_disk_does_not_end_the_training(tmp_path, monkeypatch):
    path, full = tmp_path / "loss.csv", []
    fsync = os.fsync

    def fail(descriptor):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)

    def script(epoch, logs):
        full[:] = [1] if epoch in (1, 2) else []
        sizes.append(len(rows(path)))

    sizes = []
    watch = keras.callbacks.LambdaCallback(on_epoch_begin=script)
    with pytest.warns(UserWarning, match="could not write .*No space left on device") as told:
        fit([CurveRecorder(path), watch], epochs=5)
    assert sizes == [0, 3, 3, 3, 12]  # no half rows, and all of them in the end
    assert len({str(one.message) for one in told if one.category is UserWarning}) == 1
    assert [int(row["step"]) for row in rows(path)] == list(range(1, 16))


def test_no_permission_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        drive(CurveRecorder(tmp_path / "file" / "loss.csv"), [1.0])


def test_state_goes_on_in_another_callback(tmp_path):
    losses = [1.0, 2.0, 3.0, 4.0, 5.0]
    first = CurveRecorder(tmp_path / "loss.csv", max_points=2)
    drive(first, losses)
    second = CurveRecorder(tmp_path / "loss.csv", max_points=2)
    second.set_state(unpack(*pack(first.get_state())))
    drive(second, [7.0])
    np.testing.assert_array_equal(second.points()["loss"], [2.5, 6.0])
    np.testing.assert_array_equal(second.points()["step"], [4, 6])
    assert len(rows(tmp_path / "loss.csv")) == 6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_points": 0}, ValueError, "`max_points` must be a whole number of at least 1; got 0"),
        ({"max_points": 1.5}, ValueError, "`max_points` must be a whole number"),
        ({"path": 3}, ValueError, "`path` must be a path"),
        ({"path": ""}, ValueError, "`path` must be a path.*got ''"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        CurveRecorder(**arguments)
