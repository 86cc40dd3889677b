"""TrainingDiagnosis driven by hand: what it says of which curve, when, and when no more."""

import dataclasses
import json
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._files.states import pack, unpack
from keras_dcnn.callbacks import TrainingDiagnosis, _model_looks
from keras_dcnn.callbacks._live_curves import LiveCurves
from keras_dcnn.callbacks._live_findings import settled, table
from keras_dcnn.callbacks._model_looks import ModelLooks
from keras_dcnn.diagnosis import Finding, diagnose
from keras_dcnn.diagnosis.finding import plain

TIME = np.arange(30) / 30
SMOOTH = 0.1 + 2.2 * np.exp(-10 * TIME)
HEALTHY = {
    "accuracy": 0.99 - SMOOTH / 3,
    "loss": SMOOTH,
    "val_loss": SMOOTH * 1.02,
    "val_accuracy": 0.98 - SMOOTH / 3,
}
CHANCE = math.log(10) + 0.003 * np.random.default_rng(1).normal(size=30)


def begin(callback, epochs=30, model=None, verbose=0):
    callback.set_model(model or keras.Sequential())
    callback.set_params({"epochs": epochs, "steps": 1, "verbose": verbose})
    callback.on_train_begin()
    return callback


def feed(callback, history, epochs=None, ends=False):
    """What a loop of these logs calls; the rules that stand after each epoch."""
    said = []
    for epoch in epochs or range(len(next(iter(history.values())))):
        callback.on_epoch_begin(epoch)
        logs = {name: values[epoch] for name, values in history.items()}
        callback.on_epoch_end(epoch, {key: v for key, v in logs.items() if v is not None})
        said.append({finding.rule for finding in callback.findings})
    if ends:
        callback.on_train_end()
    return said


def first_of(rule, said):
    """The epoch, from 1, after which a rule stands for the first time."""
    return next((i for i, rules in enumerate(said, 1) if rule in rules), None)


# What is said, and when


@pytest.mark.parametrize(
    ("rule", "epoch", "history"),
    [
        ("not_finite", 3, {"loss": [2.3, 2.0, math.nan, math.nan]}),
        ("constant_loss", 3, {"loss": [2.3] * 4}),
        ("negative_loss", 2, {"loss": [-3.0, -4.0, -5.0], "accuracy": [0.1] * 3}),
        ("learning_rate_too_high", 6, {"loss": 2.3 + 3 * TIME}),
        ("chance", 6, {"loss": CHANCE, "accuracy": [0.1] * 30}),
        # Mann and Kendall's z of 4 values that rise, from epoch 4 on, is above 2; and one more.
        ("overfitting", 8, {**HEALTHY, "val_loss": 1 + abs(np.arange(30) - 3) / 10}),
    ],
)
def test_says_it_as_soon_as_it_can_be_told(rule, epoch, history):
    said = feed(begin(TrainingDiagnosis()), history)
    assert first_of(rule, said) == epoch
    assert not any(said[: epoch - 1])


def test_of_a_healthy_training_nothing_is_said_before_its_end():
    callback = begin(TrainingDiagnosis())
    assert not any(feed(callback, HEALTHY, ends=True))
    assert callback.findings == [plain(one) for one in diagnose(HEALTHY)]
    assert [one.rule for one in callback.findings] == ["learning_rate_good"]


def test_no_validation_is_not_said_where_nobody_knows():
    said = feed(begin(TrainingDiagnosis()), {"loss": SMOOTH}, ends=True)
    assert first_of("no_validation", said) is None


def finding(severity="warning", confidence="likely", rule="spikes"):
    return Finding(rule, "it leaps", "look", severity=severity, confidence=confidence)


@pytest.mark.parametrize(
    ("standing", "before", "now", "stands"),
    [
        (None, None, finding(), None),
        (None, finding(), finding(), "warning"),
        (None, finding(), finding("error"), None),
        (None, None, finding(confidence="certain"), "warning"),
        (finding(), finding(), finding("error"), "warning"),
        (finding(), finding("error"), finding("error"), "error"),
        (finding(), finding(), None, "warning"),
        (finding(), None, None, None),
        (finding(), None, finding(), "warning"),
    ],
)
def test_what_is_not_certain_stands_when_it_was_read_twice(standing, before, now, stands):
    given = ({} if one is None else {"a": one} for one in (standing, before, now))
    assert {key: one.severity for key, one in settled(*given).items()} == (
        {"a": stands} if stands else {}
    )


def test_prints_a_table_only_when_something_changed(capsys, monkeypatch):
    """Between two epochs, so behind the bar; and another severity as one row."""
    monkeypatch.setenv("COLUMNS", "60")
    callback = begin(TrainingDiagnosis(), verbose=2)
    printed = []
    for epoch in range(14):
        feed(callback, {"loss": CHANCE, "accuracy": [0.1] * 30}, [epoch])
        assert capsys.readouterr().out == "" or epoch in printed
        callback.on_epoch_begin(epoch + 1)
        out = capsys.readouterr().out
        printed += [(epoch + 1, out)] if out else []
    assert [epoch for epoch, _ in printed] == [6, 11]
    assert max(len(line) for _, out in printed for line in out.splitlines()) <= 60
    first, second = (out.splitlines()[1:3] for _, out in printed)
    assert first == ["TrainingDiagnosis, epoch 6:", "new   warning  chance"]
    assert second == ["TrainingDiagnosis, epoch 11:", "now   error    chance (was warning)"]
    assert [one["rule"] for one in callback.log[1]["gone"]] == ["chance"]


def test_what_went_is_a_row():
    entry = {
        "epoch": 3,
        "appeared": [],
        "gone": [{"rule": "dead", "layer": "a/b", "severity": "info"}],
    }
    assert table(entry, 60).splitlines()[1] == "gone  info     dead of `a/b`"


def test_not_all_epochs_of_a_long_training_are_read():
    curves, read = LiveCurves(), []
    for epoch in range(1000):
        curves.begin_epoch(epoch)
        read.append(curves.is_to_read())
    assert all(read[:99])
    assert sum(read) <= 240
    assert all(any(read[i : i + 20]) for i in range(980))


# What can't be read


def test_curves_that_cannot_be_read_are_a_finding():
    callback = begin(TrainingDiagnosis())
    assert feed(callback, {"loss": [1.0], "accuracy": [83.0]}) == [{"not_read"}]
    (said,) = callback.findings
    assert "divide percentages by 100" in str(said)
    assert said.severity == "info"
    assert feed(begin(TrainingDiagnosis()), {"score": [1.0]}) == [{"not_read"}]


def test_logs_that_are_no_numbers_are_passed_over():
    logs = {"loss": [2.0, 1.0], "f1": [np.ones(3)] * 2, "name": ["a", "b"]}
    assert not any(feed(begin(TrainingDiagnosis()), logs))


def test_a_look_that_fails_is_a_finding_and_what_it_costs_is_kept_low(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(_model_looks, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def fails(model, data, batch_size):
        clock[0] += 3  # seconds
        raise RuntimeError("out of memory\n  at line 7")

    monkeypatch.setattr(_model_looks, "examine", fails)
    looks = ModelLooks(None)
    assert looks.is_due(1)
    (said,) = looks.look(None, None, 32)
    assert (said.rule, said.advice) == ("not_examined", "out of memory")
    clock[0] = 3 + 3 / 0.05 - 1e-6
    assert not looks.is_due(2)
    clock[0] = 3 + 3 / 0.05 + 1e-6
    assert looks.is_due(3)
    assert [epoch for epoch in range(1, 10) if ModelLooks(4).is_due(epoch)] == [1, 4, 8]


def test_findings_of_a_look_stand_until_the_next(monkeypatch):
    seen = [[finding(rule="dead")], [], []]
    monkeypatch.setattr(_model_looks, "examine", lambda *_, **size: seen.pop(0))
    callback = begin(TrainingDiagnosis((np.ones((2, 1)), [0, 1]), examine_every=4))
    said = feed(callback, HEALTHY, range(9))
    assert [i for i, rules in enumerate(said, 1) if "dead" in rules] == [2, 3, 4]
    assert [(one["epoch"], bool(one["gone"])) for one in callback.log] == [(2, False), (5, True)]


# What is kept


def test_the_file_is_strict_json_of_what_is_said(tmp_path):
    path = tmp_path / "new" / "findings.json"
    callback = begin(TrainingDiagnosis(path=path))
    feed(callback, {"loss": [2.3, math.inf, math.nan]}, ends=True)
    read = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert read["findings"] == [dataclasses.asdict(one) for one in callback.findings]
    assert read["log"] == callback.log
    assert read["log"][0]["epoch"] == 2
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    odd = {"a": np.float32("nan"), "b": np.arange(2), 3: (np.int64(1), object)}
    evidence = plain(dataclasses.replace(finding(), evidence=odd)).evidence
    assert json.dumps(evidence) == '{"a": null, "b": [0, 1], "3": [1, "<class \'object\'>"]}'


def test_a_full_disk_is_a_warning(tmp_path):
    callback = begin(TrainingDiagnosis(path=tmp_path / "new" / "findings.json"))
    feed(callback, {"loss": [1.0]})
    callback.path.unlink()
    callback.path.parent.rmdir()
    with pytest.warns(UserWarning, match="could not write .* the training goes on"):
        feed(callback, {"loss": [1.0, math.nan]}, [1])


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "history.json"
    for text in ('{"loss": [1]}', "loss\n1\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="holds something else"):
            begin(TrainingDiagnosis(path=path)).on_epoch_begin(0)
        assert path.read_text() == text
    with pytest.raises(ValueError, match="is a directory"):
        begin(TrainingDiagnosis(path=tmp_path)).on_epoch_begin(0)


@pytest.mark.parametrize("cut", [1, 7, 12])
def test_goes_on_from_a_state(cut):
    losses = [*CHANCE[:20], math.nan, math.nan]
    history = {"loss": losses, "accuracy": [0.1] * 22, "val_loss": [None, 2.3] * 11}
    whole, first = begin(TrainingDiagnosis()), begin(TrainingDiagnosis())
    feed(whole, history, ends=True)
    feed(first, history, range(cut))
    first.on_epoch_begin(cut)  # when a state is written
    second = TrainingDiagnosis()
    second.set_state(unpack(*pack(first.get_state())))
    feed(begin(second), history, range(cut, 22), ends=True)
    (text, arrays), (other, others) = (pack(one.get_state()) for one in (whole, second))
    assert text == other
    for one, other in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.log


def test_fits_one_after_the_other_are_one_training():
    model, callback = keras.Sequential(), TrainingDiagnosis()
    for loss in SMOOTH:
        feed(begin(callback, 1, model), {"loss": [loss]}, ends=True)
    assert [one.rule for one in callback.findings] == [
        one.rule for one in diagnose({"loss": SMOOTH}) if one.rule != "no_validation"
    ]
    appeared = [finding["rule"] for one in callback.log for finding in one["appeared"]]
    assert appeared.count("too_short") == 1
    feed(begin(callback), {"loss": [1.0]})  # another model
    assert callback.findings == callback.log == []


def test_epochs_are_keras_s():
    callback = begin(TrainingDiagnosis())
    feed(callback, {"loss": [1.0] * 10 + [math.nan]}, [9, 10])
    assert callback.log[0]["epoch"] == 11
    assert "from epoch 11 on" in callback.findings[0].message


class Adds(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = 0.1


def test_its_place_among_the_callbacks_changes_nothing():
    states = []
    for order in (1, -1):
        parts = [TrainingDiagnosis(), Adds()]
        model = keras.Sequential()
        calls = keras.callbacks.CallbackList(parts[::order], model=model, epochs=9, verbose=0)
        calls.on_train_begin()
        for epoch in range(9):
            calls.on_epoch_begin(epoch)
            calls.on_epoch_end(epoch, {"loss": 2.3 + epoch})
        calls.on_train_end()
        states.append(pack(parts[0].get_state()))
        assert "in place of 0.1" in parts[0].findings[0].advice
    assert states[0][0] == states[1][0]
    assert trainings.same(states[0][1], states[1][1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"examine_every": 0}, "`examine_every` must be a whole number of at least 1"),
        ({"batch_size": 0.5}, "`batch_size` must be a whole number"),
        ({"num_classes": 1}, "`num_classes` must be a whole number of at least 2"),
        ({"majority_share": 1.0}, "`majority_share` must be"),
        ({"path": ""}, "`path` must be a path"),
        ({"data": iter([1])}, "`data` must be readable again and again"),
        ({"data": (np.ones((3, 2)), [0, 1])}, "must have as many samples"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingDiagnosis(**arguments)


def test_data_of_another_kind():
    with pytest.raises(TypeError, match=r"`data` must be x or \(x, y\) of arrays"):
        TrainingDiagnosis(3)
