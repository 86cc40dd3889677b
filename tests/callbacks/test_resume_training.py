"""ResumeTraining: killed and resumed is not killed; nothing on disk is ever half."""

import dataclasses
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import trainings
from cases import cases
from killing import check_script

from keras_dcnn._files.states import pack, read_state, unpack, write_state
from keras_dcnn.callbacks import (
    CheckpointEnsemble,
    DivideLROnPlateau,
    GradualUnfreeze,
    ResumeTraining,
    SnapshotSchedule,
    WeightAveraging,
)

SCRIPT = Path(__file__).with_name("killed_training.py")


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_as_if_it_had_not_been(tmp_path):
    """By SIGKILL, in the middle of a write; see test_kills.py for all the others."""
    check_script(SCRIPT, tmp_path, 1)


@pytest.mark.slow
def test_killed_fifty_times_it_ends_as_if_it_had_not_been(tmp_path):
    """At random moments; JAX may be keeping what it compiled then, so not where all tests do."""
    check_script(SCRIPT, tmp_path, 50, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "jax"))


STATEFUL = {case.part: case for case in cases("callback", "thawing") if case.short_run}
# Beside the callback that thaws, which divides rates too; it looks after every four of 3 batches.
BY_BATCH = dataclasses.replace(
    STATEFUL[DivideLROnPlateau],
    short_run=lambda _: {"monitor": "loss", "every": 4, "patience": 1, "min_delta": 0.3},
)
TOGETHER = [
    case for part, case in STATEFUL.items() if part not in (SnapshotSchedule, GradualUnfreeze)
]  # those left out set the learning rate too


def thawing_optimizer(model):
    thaw = GradualUnfreeze(**STATEFUL[GradualUnfreeze].short_run(None))
    return thaw.optimizer(model, keras.optimizers.SGD(0.1, momentum=0.9, name="rest"))


thawing_optimizer.of_model = True


class Seen(trainings.Aloud):
    """What was logged and printed in each epoch, the last time that it was trained.

    Stops with KeyboardInterrupt when an epoch has ended.
    """

    def __init__(self, capsys):
        super().__init__()
        self.epochs, self.number, self.stop_after, self._capsys = {}, 0, None, capsys

    def on_epoch_end(self, epoch, logs=None):
        self.number += 1
        self.epochs[epoch] = dict(logs), self._capsys.readouterr().out
        if epoch + 1 == self.stop_after:
            raise KeyboardInterrupt


def train(chosen, folder, resume, seen, *more, resume_first=False, **arguments):
    """Four epochs with the callbacks of these cases; all that is left of it."""
    parts = [case.part(**case.short_run(folder / "files")) for case in chosen]
    thaws = any(case.part is GradualUnfreeze for case in chosen)
    model = trainings.compiled(thawing_optimizer if thaws else None)
    # Each thaw would be traced anew, for a few steps.
    model.run_eagerly = thaws and keras.backend.backend() == "tensorflow"
    rest = [*parts, seen, *more]
    try:
        trainings.fit(model, [resume, *rest] if resume_first else [*rest, resume], **arguments)
        files = sorted(path for path in (folder / "files").rglob("*") if path.is_file())
        return {
            "weights": model.get_weights(),
            "optimizer": [v.numpy() for v in model.optimizer.variables],
            "states": [pack(part.get_state()) for part in parts],
            "files": {path.relative_to(folder): path.read_bytes() for path in files},
            "epochs": seen.epochs,
        }
    finally:
        trainings.take_back()


def check_that_resumed_is_uninterrupted(chosen, tmp_path, capsys, **arguments):
    """Stopped in the second epoch, and at the end of the fourth, before its state is written."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = train(chosen, whole, ours(whole), Seen(capsys), **arguments)
    assert len(expected["epochs"]) == 4
    seen = Seen(capsys)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, killed, ours(killed), seen, trainings.StopAt(1), **arguments)
    seen.stop_after = 4
    arguments["resume_first"] = True  # its place does not matter
    with pytest.raises(KeyboardInterrupt):
        train(chosen, killed, ours(killed), seen, **arguments)
    seen.stop_after = None
    result = train(chosen, killed, ours(killed), seen, **arguments)
    assert seen.number == 1 + 3 + 1
    states = zip(chosen, result.pop("states"), expected.pop("states"), strict=True)
    for case, (text, arrays), (other, others) in states:
        assert text == other, case.part
        assert trainings.same(arrays, others), case.part
    for name in ("weights", "optimizer"):
        assert trainings.same(result.pop(name), expected.pop(name))
    assert result == expected


def ours(folder):
    return ResumeTraining(folder / "state", verbose=0)


@pytest.mark.parametrize(
    "chosen",
    [
        *(pytest.param([one], marks=pytest.mark.slow) for one in TOGETHER),
        pytest.param([STATEFUL[SnapshotSchedule]], marks=pytest.mark.slow),
        [STATEFUL[GradualUnfreeze], BY_BATCH],
    ],
    ids=lambda chosen: chosen[0].part.__name__,
)
def test_each_callback_resumed_is_uninterrupted(tmp_path, capsys, chosen):
    """By bits: weights, states, what is logged and printed in each epoch, and all files."""
    check_that_resumed_is_uninterrupted(chosen, tmp_path, capsys)


@pytest.mark.slow
def test_all_callbacks_resumed_are_uninterrupted(tmp_path, capsys):
    check_that_resumed_is_uninterrupted(TOGETHER, tmp_path, capsys)


@pytest.mark.slow
def test_all_resumed_without_validation(tmp_path, capsys):
    members = dataclasses.replace(
        STATEFUL[CheckpointEnsemble],
        short_run=lambda folder: {"directory": folder / "members", "monitor": "loss"},
    )
    # DivideLROnPlateau would go back to weights from before the stop.
    others = (CheckpointEnsemble, DivideLROnPlateau)
    chosen = [members, *(case for case in TOGETHER if case.part not in others)]
    check_that_resumed_is_uninterrupted(chosen, tmp_path, capsys, validation_data=None)


def test_a_second_fit_is_a_training_of_its_own(tmp_path):
    resume = ResumeTraining(tmp_path, verbose=0)
    model = trainings.compiled()
    assert len(trainings.fit(model, [resume], epochs=2)["loss"]) == 2
    assert len(trainings.fit(model, [resume], epochs=3)["loss"]) == 3
    assert len(trainings.fit(model, [ResumeTraining(tmp_path)], epochs=3)["loss"]) == 3


def test_two_fits_of_one_script_go_on_in_the_second(tmp_path):
    """A head, then all: the first `fit` of the script that is started again has nothing to do.

    In this process that training has ended; it is another one in a directory that was moved.
    """

    def script(state_path, *stop):
        model, resume = trainings.compiled(), ResumeTraining(state_path, verbose=0)
        trainings.fit(model, [resume, *stop], epochs=2)
        history = trainings.fit(model, [resume, *stop], epochs=4, initial_epoch=2)
        return model.get_weights(), history["loss"]

    with pytest.raises(KeyboardInterrupt):
        script(tmp_path / "a", trainings.StopAt(3))
    trainings.take_back()
    (tmp_path / "a").rename(tmp_path / "b")
    weights, losses = script(tmp_path / "b")
    assert len(losses) == 1
    trainings.take_back()
    whole = trainings.compiled()
    trainings.fit(whole, [], epochs=2)
    trainings.fit(whole, [], epochs=4, initial_epoch=2)
    assert trainings.same(weights, whole.get_weights())


def test_an_interrupted_fit_goes_on_in_the_same_process(tmp_path, capsys):
    resume = ResumeTraining(tmp_path)
    model = trainings.compiled()
    with pytest.raises(KeyboardInterrupt):
        trainings.fit(model, [resume, trainings.StopAt(2)])
    assert len(trainings.fit(model, [trainings.Aloud(), resume])["loss"]) == 2
    assert capsys.readouterr().out.strip() == f"The training in {tmp_path} goes on after 2 epochs."


def test_a_damaged_state_is_named_and_the_one_before_it_used(tmp_path):
    for epoch in (4, 5):
        write_state(tmp_path, epoch, {"epoch": epoch, "x": np.arange(50.0)})
    newest = sorted(tmp_path.iterdir())[-1]
    content = newest.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(50):
        broken = bytearray(content)
        place = rng.integers(len(content))
        broken[place] ^= 1 << rng.integers(8)
        newest.write_bytes(broken if rng.random() < 0.5 else content[:place])
        with pytest.warns(UserWarning, match=f"{newest.name} does not match its checksum"):
            assert read_state(tmp_path)["epoch"] == 4
    older = min(tmp_path.iterdir())
    older.write_bytes(b"")
    with pytest.raises(ValueError, match=f"do not .*{newest.name}, {older.name}.*: restore one"):
        read_state(tmp_path)


def test_two_states_are_kept(tmp_path):
    for epoch in range(4):
        write_state(tmp_path, epoch, {"epoch": epoch})
    assert [path.name[:11] for path in sorted(tmp_path.iterdir())] == ["epoch-00002", "epoch-00003"]


def test_states_are_plain_and_come_back_as_they_were():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    state = {
        "a": [1, 2.5, None, "x", {"b": np.arange(6, dtype="uint8").reshape(2, 3)}],
        "c": np.array(1.5, ml_dtypes.bfloat16),
        "d": np.array([np.nan, np.inf]),
    }
    text, arrays = pack(state)
    assert all(array.dtype.kind in "uif" for array in arrays)
    back = unpack(text, arrays)
    assert back["a"][:4] == [1, 2.5, None, "x"]
    np.testing.assert_array_equal(back["a"][4]["b"], state["a"][4]["b"])
    assert back["c"] == state["c"]
    assert back["c"].dtype == "bfloat16"
    np.testing.assert_array_equal(back["d"], state["d"])
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({"nan": float("nan")})


def test_another_model_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trainings.fit(trainings.compiled(), [ResumeTraining(tmp_path), trainings.StopAt(1)])
    other = trainings.compiled(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match=r"and optimizer; \d+ variables, of \d+ in"):
        trainings.fit(other, [ResumeTraining(tmp_path)])


def test_a_model_that_fit_is_to_build_on_tensorflow(tmp_path):
    """Regression: "Unknown variable", of an optimizer that was built for none."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("others build a model before the training begins")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"`model` must be built; .* call it once"):
        model.fit(np.ones((4, 2)), np.ones(4), callbacks=[ResumeTraining(tmp_path)], verbose=0)


def test_data_that_go_on_from_epoch_to_epoch_are_told_of(tmp_path):
    """Regression: an endless set began anew after a kill, without a word."""
    x, y = np.ones((48, 4)), np.ones(48)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    again = ((x[:16], y[:16]) for _ in range(9))
    data = {
        "steps": dict(x=x, y=y, batch_size=16, steps_per_epoch=2),
        "generator": dict(x=again, steps_per_epoch=1),
        "all": dict(x=x, y=y, batch_size=16, steps_per_epoch=3),
        "one epoch": dict(x=x, y=y, batch_size=16, steps_per_epoch=2, epochs=1),
    }
    told = {}
    for name, arguments in data.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            resume = ResumeTraining(tmp_path / name, verbose=0)
            model.fit(**{"epochs": 2, **arguments}, callbacks=[resume], verbose=0)
        told[name] = sum("does not know the position in data" in str(one.message) for one in caught)
    assert told == {"steps": 1, "generator": 1, "all": 0, "one epoch": 0}


def test_a_full_disk_is_told_and_the_training_goes_on(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_dcnn.callbacks.resume_training.write_state", full)
    message = r"could not write \(\[Errno 28\] No space left on device\); the training goes on"
    with pytest.warns(UserWarning, match=message) as told:
        history = trainings.fit(trainings.compiled(), [ResumeTraining(tmp_path)], epochs=2)
    assert len(history["loss"]) == len([o for o in told if o.category is UserWarning]) == 2


def test_a_bad_argument(tmp_path):
    with pytest.raises(ValueError, match="`every` must be a whole number of at least 1; got 0"):
        ResumeTraining(tmp_path, every=0)
    with pytest.raises(ValueError, match=r"`state_path` must be a path.*; got ''"):
        ResumeTraining("")


def long_epoch(folder, stop_at=None, **more):
    """Three epochs of six batches in an order drawn anew for each; the weights and the losses."""
    keras.utils.set_random_seed(4)
    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.3), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    steps, metrics = more.pop("steps", 1), more.pop("metrics", ["mae"])
    model.compile(keras.optimizers.Adam(0.05), "mse", metrics=metrics, steps_per_execution=steps)
    losses, averaging = [], WeightAveraging("ema", start=0.0, decay=0.7, evaluate="raw")

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == stop_at:
                raise KeyboardInterrupt

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_epoch_end(self, epoch, logs=None):
            losses.append([logs["loss"], logs["mae"]])

    callbacks = [SnapshotSchedule(cycles=1, lr_max=0.1), averaging, Stop()]
    if folder:
        callbacks.insert(1, ResumeTraining(folder, verbose=0, **more))
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(24, 4)).astype("float32"), rng.normal(size=(24, 3))
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=callbacks)
    return model.get_weights(), losses


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2])
def test_an_epoch_goes_on_in_its_middle(tmp_path, steps, backend):
    """Behind the fourth batch of the second epoch, where the last file within it was written.

    Regression: on TensorFlow, with metrics: "zip() argument 2 is longer than argument 1".
    """
    if backend == "torch" and steps > 1:
        pytest.skip("no steps_per_execution on PyTorch")
    whole, losses = long_epoch(None, steps=steps)
    with pytest.raises(KeyboardInterrupt):
        long_epoch(tmp_path, stop_at=(1, 5), every_batches=2, steps=steps)
    with pytest.raises(ValueError, match="with the metrics that it began with"):
        long_epoch(tmp_path, every_batches=2, steps=steps, metrics=["mae", "mse"])
    assert any(path.name.startswith("epoch-00001-batch-0000004") for path in tmp_path.iterdir())
    weights, again = long_epoch(tmp_path, every_batches=2, steps=steps)
    for one, other in zip(weights, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again, losses[1:], rtol=1e-5)
