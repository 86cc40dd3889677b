"""CheckpointEnsemble: the right members, whole on disk, that answer as the model did."""

import json
import os
import re
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import trainings
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dcnn._files.members import write_manifest, write_member
from keras_dcnn.callbacks import CheckpointEnsemble, checkpoint_ensemble
from keras_dcnn.callbacks._kept_members import leaving

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.arange(8) % 3


def classifier():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.compile(
        keras.optimizers.SGD(0.5),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=trainings.jit(),
    )
    return model


def train(callback, values, model=None, others=()):
    """Epochs whose `score` is given, in each of which the model becomes another."""
    model = model or classifier()
    trainings.rehearse(model, [trainings.Learn(), *others, callback], values)
    return model


SCORES = [0.3, 0.1, 0.2, np.nan, 0.1, 0.5]


@pytest.mark.parametrize(
    ("keep", "max_members", "mode", "every", "epochs"),
    [
        ("best", 3, "min", 1, [2, 3, 5]),
        ("best", 2, "max", 1, [1, 6]),
        ("best", 1, "min", 1, [2]),  # a tie: the earlier stays
        ("best", 9, "min", 1, [1, 2, 3, 5, 6]),  # NaN never
        ("last", 2, "min", 1, [5, 6]),
        ("all", 2, "min", 1, [1, 2, 3, 4, 5, 6]),
        ("last", 2, "min", 2, [4, 6]),
        ("best", 2, "min", 3, [3, 6]),
    ],
)
def test_which_members_stay(tmp_path, keep, max_members, mode, every, epochs):
    callback = CheckpointEnsemble(tmp_path, keep, max_members, "score", every, mode)
    train(callback, SCORES)
    assert [member["epoch"] for member in callback.members] == epochs
    files = {path.name for path in tmp_path.iterdir()}
    members = {f"member-{epoch:04d}.weights.h5" for epoch in epochs}
    assert files == members | {"manifest.json", "architecture.json"}
    for member in callback.members:
        value = SCORES[member["epoch"] - 1]
        assert member["value"] == (None if np.isnan(value) else value)


@pytest.mark.once
@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=1, max_size=12), st.integers(1, 4))
def test_best_are_the_first_of_a_stable_sort(values, max_members):
    members = []
    for i, value in enumerate(values):
        gone = leaving(members, value, "best", max_members, cost=float)
        if gone is not None:
            rest = [member for member in members if member not in gone]
            members = [*rest, {"file": f"{i:04d}", "value": value, "i": i}]
    expected = sorted(np.argsort(values, kind="stable")[:max_members])
    assert [member["i"] for member in members] == expected


def test_infinite_values_are_the_worst_and_the_best(tmp_path):
    """Regression: they were turned away like NaN."""
    callback = CheckpointEnsemble(tmp_path, "best", 2, "score", 1, "min")
    train(callback, [np.inf, 3.0, -np.inf, np.nan, 2.0])
    assert [one["value"] for one in callback.members] == [-np.inf, 2.0]
    assert "Infinity" not in (tmp_path / "manifest.json").read_text()  # strict JSON
    again = CheckpointEnsemble(tmp_path, "best", 2, "score", 1, "min")
    again.set_state(callback.get_state())
    assert again.members == callback.members


@pytest.mark.parametrize(
    ("values", "arguments", "why"),
    [
        ([], {}, "train with this callback first, or correct `directory`"),
        ([np.nan] * 2, {}, "in epoch 2, the last candidate, 'score' was NaN"),
        ([np.nan] * 3, {"every": 2}, "in epoch 2, the last candidate, 'score' was NaN"),
        ([1.0], {"monitor": "other"}, "'other' was missing from the logs"),
        ([1.0], {"every": 3}, "`every` is 3, and it has seen 1 epochs"),
    ],
)
@pytest.mark.filterwarnings("ignore:CheckpointEnsemble monitors 'other'")
def test_why_there_is_no_member(tmp_path, values, arguments, why):
    """Regression: of NaN it said that the quantity was not among the logs."""
    callback = CheckpointEnsemble(tmp_path, mode="min", **{"monitor": "score", **arguments})
    if values:
        train(callback, values)
    with pytest.raises(ValueError, match=re.escape(why)):
        callback.ensemble()


@pytest.mark.every_backend
def test_epochs_without_validation_are_passed_over(tmp_path):
    """Regression: with `validation_freq=2` it said that it did nothing."""
    callback, data = CheckpointEnsemble(tmp_path, monitor="val_loss"), (X, Y)
    classifier().fit(
        X, Y, epochs=4, validation_data=data, validation_freq=2, callbacks=[callback], verbose=0
    )
    assert [member["epoch"] for member in callback.members] == [2, 4]


@pytest.mark.parametrize(
    ("monitor", "data", "advice"),
    [
        ("val_loss", None, "pass `validation_data` to fit, or correct `monitor`"),
        ("val_acc", (X, Y), "correct `monitor`, or put the callback that logs it before"),
        ("acc", (X, Y), "correct `monitor`, or put the callback that logs it before"),
    ],
)
def test_what_a_missing_quantity_is_told_of(tmp_path, monitor, data, advice):
    callback = CheckpointEnsemble(tmp_path, monitor=monitor)
    with pytest.warns(UserWarning, match=rf"'{monitor}', which is not .* nothing here: {advice}"):
        classifier().fit(X, Y, validation_data=data, callbacks=[callback], verbose=0)


def test_members_answer_as_the_model_did_and_average(tmp_path):
    callback = CheckpointEnsemble(tmp_path, "last", 3, "score")
    model, record = classifier(), trainings.Record()
    model.fit(X, Y, epochs=4, callbacks=[callback, record], verbose=0)
    ensemble = CheckpointEnsemble(tmp_path).ensemble()  # as on another day
    expected = []
    for weights, member in zip(record.epochs[-3:], ensemble.members, strict=True):
        model.set_weights(weights)
        expected.append(model.predict(X, verbose=0))
        np.testing.assert_allclose(member.predict(X, verbose=0), expected[-1], rtol=1e-6)
    np.testing.assert_allclose(ensemble.predict(X, verbose=0), np.mean(expected, axis=0), rtol=1e-5)
    loss, accuracy = ensemble.evaluate(X, Y, verbose=0)
    assert accuracy == pytest.approx(np.mean(np.mean(expected, 0).argmax(1) == Y))
    assert loss == pytest.approx(-np.log(np.mean(expected, 0)[range(8), Y]).mean(), rel=1e-5)


def test_a_changed_or_missing_member_is_named(tmp_path):
    callback = CheckpointEnsemble(tmp_path, "last", 2, "score")
    train(callback, SCORES)
    path = tmp_path / callback.members[1]["file"]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match=f"{path.name} is missing or was changed"):
        callback.ensemble()
    path.unlink()
    with pytest.raises(ValueError, match=f"{path.name} is missing or was changed"):
        callback.ensemble()


def test_damage_is_found_a_hundred_times_of_a_hundred(tmp_path):
    callback = CheckpointEnsemble(tmp_path, "last", 2, "score")
    train(callback, SCORES)
    path = tmp_path / callback.members[0]["file"]
    content, rng = path.read_bytes(), np.random.default_rng(1)
    for number in range(100):
        place = int(rng.integers(len(content)))
        if number % 2:
            path.write_bytes(content[:place])
        else:
            flipped = content[place] ^ (1 << int(rng.integers(8)))
            path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        with pytest.raises(ValueError, match=f"{path.name} is missing or was changed"):
            callback.ensemble()
    path.write_bytes(content)
    assert callback.ensemble().predict(X, verbose=0).shape == (8, 3)


def test_a_damaged_manifest_is_named(tmp_path):
    callback = CheckpointEnsemble(tmp_path, "last", 2, "score")
    train(callback, SCORES)
    (tmp_path / "manifest.json").write_text('{"members": [')
    with pytest.raises(ValueError, match=r"manifest\.json must be as it was written"):
        callback.ensemble()


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")],
)
def test_what_cannot_be_written_is_told_and_training_goes_on(tmp_path, monkeypatch, error):
    callback = CheckpointEnsemble(tmp_path, "last", 2, "score")
    model = classifier()
    calls, save_weights = [], keras.saving.save_weights

    def fail_at_the_third(model, path, **more):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise error
        save_weights(model, path, **more)

    monkeypatch.setattr(keras.saving, "save_weights", fail_at_the_third)
    message = f"Epoch 3: CheckpointEnsemble could not write a member ({error}); the training goes"
    with pytest.warns(UserWarning, match=re.escape(message)):
        train(callback, SCORES, model)
    assert [member["epoch"] for member in callback.members] == [5, 6]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_member_that_cannot_be_listed_is_taken_back(tmp_path, monkeypatch):
    def fail_at_the_third(directory, members, **more):
        if [member["epoch"] for member in members][-1:] == [3]:
            raise OSError(28, "No space left on device")
        write_manifest(directory, members, **more)

    monkeypatch.setattr(checkpoint_ensemble, "write_manifest", fail_at_the_third)
    callback = CheckpointEnsemble(tmp_path, "all", monitor="score")
    with pytest.warns(UserWarning, match="Epoch 3: CheckpointEnsemble could not write"):
        train(callback, SCORES)
    assert [member["epoch"] for member in callback.members] == [1, 2, 4, 5, 6]
    assert not (tmp_path / "member-0003.weights.h5").exists()


def test_a_full_disk_is_asked_before_hdf5_would_end_the_process(tmp_path, monkeypatch):
    """The third and the fourth member find room for less than their weights, 15 numbers."""
    rooms = iter([10**9, 10**9, 59, 10**4, 10**9, 10**9])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(rooms)))
    callback = CheckpointEnsemble(tmp_path, "all", monitor="score")
    with pytest.warns(UserWarning, match="could not write a member") as seen:
        train(callback, SCORES)
    told = [str(one.message) for one in seen if one.category is UserWarning]
    assert len(told) == 2
    assert "bytes may be needed and 59 are free" in told[0]
    assert [member["epoch"] for member in callback.members] == [1, 2, 5, 6]
    assert len(list(tmp_path.iterdir())) == 6
    assert callback.ensemble().predict(X, verbose=0).shape == (8, 3)


def test_a_file_of_weights_is_no_larger_than_was_asked_for(tmp_path, monkeypatch):
    """One of many names and small values, and one of large values."""
    asked = []
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: asked.append(folder) or usage(folder))
    small = keras.Sequential([keras.Input((1,)), *(keras.layers.Dense(1) for _ in range(30))])
    large = keras.Sequential([keras.Input((300,)), keras.layers.Dense(500)])
    for model in (small, large):
        path = tmp_path / "member.weights.h5"
        write_member(model, path)
        room = path.stat().st_size - 1
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _, room=room: SimpleNamespace(free=room))
            with pytest.raises(OSError, match=f"and {room:,} are free"):
                write_member(model, path)
    assert asked == [tmp_path] * 2


def test_never_more_than_one_member_beyond_the_limit(tmp_path, monkeypatch):
    """Seen at each of the operations by which files come and go."""
    seen = []

    def watched(operation):
        def wrapped(*args, **kwargs):
            seen.append(len(list(tmp_path.glob("*member-*"))))
            result = operation(*args, **kwargs)
            seen.append(len(list(tmp_path.glob("*member-*"))))
            return result

        return wrapped

    monkeypatch.setattr(os, "replace", watched(os.replace))
    monkeypatch.setattr(os, "fsync", watched(os.fsync))
    callback = CheckpointEnsemble(tmp_path, "last", 2, "score")
    train(callback, SCORES)
    assert max(seen) == 3


def test_what_a_killed_process_left_by_half_is_swept(tmp_path):
    (tmp_path / ".999999999-member-0002.weights.h5").write_bytes(b"half")
    train(CheckpointEnsemble(tmp_path, "last", 3, "score"), SCORES)
    assert not list(tmp_path.glob(".*"))


def test_a_second_fit_goes_on(tmp_path):
    callback = CheckpointEnsemble(tmp_path, "all", monitor="score")
    model = train(callback, SCORES)
    train(callback, SCORES, model)
    assert len(callback.members) == 12
    assert len({member["sha256"] for member in callback.members}) == 12


def test_another_model_is_refused(tmp_path):
    callback = CheckpointEnsemble(tmp_path, "last", monitor="score")
    train(callback, SCORES)
    with pytest.raises(ValueError, match=r"members of another run"):
        train(callback, SCORES, classifier())


def test_another_runs_directory_is_refused(tmp_path):
    train(CheckpointEnsemble(tmp_path, "last", monitor="score"), SCORES)
    with pytest.raises(ValueError, match=r"members of another run.*holds 5"):
        train(CheckpointEnsemble(tmp_path, "last", monitor="score"), SCORES)


@pytest.mark.parametrize(("keep", "every"), [("last", 3), ("best", 1)])
def test_a_finished_run_is_not_begun_again(tmp_path, keep, every):
    def run():
        keras.utils.set_random_seed(5)
        train(CheckpointEnsemble(tmp_path, keep, 1, "score", every, "max"), [3.0, 2.0, 1.0])

    run()
    with pytest.raises(ValueError, match="members of another run"):
        run()
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "member-0009.weights.h5").write_bytes(b"")
    with pytest.raises(ValueError, match="members of another run"):
        run()
    assert len(list(tmp_path.glob("member-*"))) == 2


def test_no_member(tmp_path):
    with pytest.raises(ValueError, match=r"at least one member; .* holds none"):
        CheckpointEnsemble(tmp_path).ensemble()


def test_a_missing_quantity_warns(tmp_path):
    with pytest.warns(UserWarning, match="CheckpointEnsemble monitors 'val_loss'"):
        train(CheckpointEnsemble(tmp_path), SCORES)


def test_an_unregistered_loss_leaves_the_ensemble_uncompiled(tmp_path):
    def my_loss(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_pred), axis=-1)

    model = classifier()
    model.compile("sgd", my_loss)
    callback = CheckpointEnsemble(tmp_path, monitor="score", mode="min")
    train(callback, SCORES, model)
    with pytest.warns(UserWarning, match="call `compile` before `evaluate`"):
        ensemble = callback.ensemble()
    assert not ensemble.compiled


def test_manifest_is_plain_json(tmp_path):
    train(CheckpointEnsemble(tmp_path, "last", 1, "score"), SCORES)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["monitor"] == "score"
    assert set(manifest["members"][0]) == {"file", "epoch", "value", "sha256"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": "newest"}, "`keep` must be one of 'best', 'last', 'all', 'cycle'; got 'newest'"),
        ({"max_members": 0}, "`max_members` must be a whole number of at least 1"),
        ({"every": 0}, "`every` must be a whole number of at least 1"),
        ({"mode": "up"}, "`mode` must be one of"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        CheckpointEnsemble(tmp_path, **arguments)
