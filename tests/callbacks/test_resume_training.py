"""ResumeTraining: killed and resumed is not killed; nothing on disk is ever half."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn.callbacks import (
    CheckpointEnsemble,
    CurveRecorder,
    DivideLROnPlateau,
    ResumeTraining,
    WeightAveraging,
)
from keras_dcnn.callbacks._state import pack, read_state, unpack, write_state


def test_killed_fifty_times_it_ends_as_if_it_had_not_been(tmp_path, backend):
    """SIGKILL at random moments and in the middle of writes; see killed_training.py."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    script = Path(__file__).with_name("killed_training.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, "50", "1"],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].startswith("killed 50 times")


def callbacks(folder, resume, monitor):
    return [
        DivideLROnPlateau(monitor, patience=1, min_delta=0.1, warmup=1, restore="state", verbose=0),
        CheckpointEnsemble(folder / "members", max_members=2, monitor=monitor),
        WeightAveraging("ema", start=0.2, decay=0.7),
        CurveRecorder(folder / "loss.csv", max_points=4),
        resume,
    ]


def outcome(folder, model, parts, history):
    plateau, members, averaging, curve, _ = parts
    return [
        *model.get_weights(),
        *[np.array(value) for value in curve.points().values()],
        np.array([member["value"] for member in members.members]),
        np.array(history["learning_rate"][-1:]),
        np.frombuffer((folder / "loss.csv").read_bytes(), "uint8"),
        *averaging.averaged_weights(),
        np.array(plateau.get_state()["plateau"], "float64"),
    ]


@pytest.mark.parametrize("with_validation", [True, False])
@pytest.mark.parametrize("kind", ["ours", "Keras's"])
def test_resumed_after_each_epoch(tmp_path, kind, with_validation):
    """By ours at any place among the callbacks, by BackupAndRestore at their end."""

    monitor = "val_loss" if with_validation else "loss"

    def make(name):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        if kind == "ours":
            resume = ResumeTraining(folder / "state", verbose=0)
        else:
            resume = keras.callbacks.BackupAndRestore(folder / "backup")
        return folder, callbacks(folder, resume, monitor)

    more = {} if with_validation else {"validation_data": None}
    folder, parts = make("whole")
    model = trainings.compiled()
    history = trainings.fit(model, parts, epochs=5, **more)
    expected = outcome(folder, model, parts, history)
    for epoch in range(1, 5):
        folder, parts = make("killed")
        stop = trainings.StopAt(epoch)
        order = [parts[-1], *parts[:-1]] if kind == "ours" and epoch % 2 else parts
        with pytest.raises(KeyboardInterrupt):
            trainings.fit(trainings.compiled(), [*order, stop], epochs=5, **more)
    folder, parts = make("killed")
    model = trainings.compiled()
    history = trainings.fit(model, parts, epochs=5, **more)
    for one, other in zip(outcome(folder, model, parts, history), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_second_fit_is_a_training_of_its_own(tmp_path):
    resume = ResumeTraining(tmp_path, verbose=0)
    model = trainings.compiled()
    assert len(trainings.fit(model, [resume], epochs=2)["loss"]) == 2
    assert len(trainings.fit(model, [resume], epochs=3)["loss"]) == 3
    assert len(trainings.fit(model, [ResumeTraining(tmp_path)], epochs=3)["loss"]) == 3


def test_two_fits_of_one_script_go_on_in_the_second(tmp_path, monkeypatch):
    """A head, then all: the first `fit` of the script that is started again has nothing to do."""

    def script(*stop):
        monkeypatch.setattr("keras_dcnn.callbacks.resume_training._ENDED", set())
        model, resume = trainings.compiled(), ResumeTraining(tmp_path, verbose=0)
        trainings.fit(model, [resume, *stop], epochs=2)
        return model, trainings.fit(model, [resume, *stop], epochs=5, initial_epoch=2)

    with pytest.raises(KeyboardInterrupt):
        script(trainings.StopAt(4))
    model, history = script()
    assert len(history["loss"]) == 1
    whole = trainings.compiled()
    trainings.fit(whole, [], epochs=2)
    trainings.fit(whole, [], epochs=5, initial_epoch=2)
    assert trainings.same(model.get_weights(), whole.get_weights())


def test_an_interrupted_fit_goes_on_in_the_same_process(tmp_path, capsys):
    resume = ResumeTraining(tmp_path)
    model = trainings.compiled()
    with pytest.raises(KeyboardInterrupt):
        trainings.fit(model, [resume, trainings.StopAt(2)])
    assert len(trainings.fit(model, [resume])["loss"]) == 2
    assert capsys.readouterr().out.strip() == f"The training in {tmp_path} goes on after epoch 2."


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
    with pytest.raises(ValueError, match=r"of this model and optimizer; \d+ of \d+ variables"):
        trainings.fit(other, [ResumeTraining(tmp_path)])


def test_a_full_disk_is_told_in_a_line_and_the_training_goes_on(tmp_path, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_dcnn.callbacks.resume_training.write_state", full)
    history = trainings.fit(trainings.compiled(), [ResumeTraining(tmp_path)], epochs=2)
    assert len(history["loss"]) == 2
    lines = capsys.readouterr().out.strip().split("\n\n")
    assert len(lines) == 2
    assert "could not write ([Errno 28] No space left on device); the training goes on" in lines[0]


def test_backup_and_restore_in_front_of_ours_is_told(tmp_path):
    """Its file then lacks what our callbacks decided at the end of the epoch."""

    def parts():
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return [backup, DivideLROnPlateau(verbose=0)]

    with pytest.raises(KeyboardInterrupt):
        trainings.fit(trainings.compiled(), [*parts(), trainings.StopAt(2)])
    with pytest.warns(UserWarning, match="put BackupAndRestore after the callbacks of keras_dcnn"):
        trainings.fit(trainings.compiled(), parts())


def test_files_of_ready_models_hold_no_state(tmp_path):
    """ModelCheckpoint's `.keras` files and the members of an ensemble are weights only."""
    callbacks = [
        WeightAveraging("lawa", start=0.0),
        CheckpointEnsemble(tmp_path / "members"),
        keras.callbacks.ModelCheckpoint(tmp_path / "model.keras"),
    ]
    model = trainings.compiled()
    with pytest.raises(KeyboardInterrupt):
        trainings.fit(model, [WeightAveraging("lawa", start=0.0), trainings.StopAt(1)])
    trainings.fit(model, [], epochs=1)
    model.save_weights(tmp_path / "interrupted.weights.h5")
    trainings.fit(model, callbacks)
    model.save(tmp_path / "after.keras")
    model.save_weights(tmp_path / "after.weights.h5")
    import h5py

    files = [tmp_path / "after.weights.h5", tmp_path / "interrupted.weights.h5"]
    files = [*files, *(tmp_path / "members").glob("*.h5")]
    assert not [f for f in files if any("keras_dcnn" in name for name in h5py.File(f))]
    sizes = [(tmp_path / name).stat().st_size for name in ("model.keras", "after.keras")]
    assert abs(sizes[0] - sizes[1]) < 2000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every` must be a whole number of at least 1; got 0"),
        ({"verbose": 2}, "`verbose` must be one of 0, 1; got 2"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        ResumeTraining(tmp_path, **arguments)
