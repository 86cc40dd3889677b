"""What diagnose reads: the same curves in every form, and one sentence for what is none."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_dcnn.diagnosis import diagnose
from keras_dcnn.diagnosis._curves.reading import read_curves

LOGS = {
    "loss": [2.25, 1.75, 1.5, 1.25, 1.125, 1.0625, 1.0],
    "accuracy": [0.25, 0.375, 0.5, 0.5, 0.5625, 0.625, 0.625],
    "val_loss": [2.0, 1.75, 1.625, 1.5, 1.5, 1.625, 1.75],
    "val_accuracy": [0.375, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    "learning_rate": [0.125] * 7,
}


def as_csv(path, logs, separator=","):
    rows = zip(*logs.values(), strict=True)
    path.write_text(
        "\n".join(
            separator.join(map(str, row)) for row in [("epoch", *logs), *enumerate_rows(rows)]
        )
        + "\n"
    )
    return path


def enumerate_rows(rows):
    return [(epoch, *row) for epoch, row in enumerate(rows)]


def as_events(folder, logs):
    """As Keras's TensorBoard: a run each for training and validation, tags `epoch_…`."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    for run, prefix in (("train", ""), ("validation", "val_")):
        writer = EventFileWriter(str(folder / run))
        for name, values in logs.items():
            if name.startswith("val_") != bool(prefix):
                continue
            for epoch, value in enumerate(values):
                tag = f"epoch_{name.removeprefix('val_')}"
                tensor = make_tensor_proto(np.float32(value))
                summary = Summary(value=[Summary.Value(tag=tag, tensor=tensor)])
                writer.add_event(Event(step=epoch, summary=summary))
        writer.close()
    return folder


def test_all_forms_of_one_training_say_the_same(tmp_path):
    expected = diagnose(LOGS)
    assert "overfitting" in {finding.rule for finding in expected}
    assert diagnose(SimpleNamespace(history=LOGS)) == expected
    assert diagnose({name: np.float32(values) for name, values in LOGS.items()}) == expected
    assert diagnose(as_csv(tmp_path / "log.csv", LOGS)) == expected
    assert diagnose(str(as_csv(tmp_path / "semicolons.csv", LOGS, ";"))) == expected
    assert diagnose(as_events(tmp_path / "board", LOGS)) == expected


def test_a_list_is_the_loss_and_says_nothing_of_validation():
    rules = [finding.rule for finding in diagnose(LOGS["loss"])]
    assert "no_validation" not in rules
    assert "no_validation" in [finding.rule for finding in diagnose({"loss": LOGS["loss"]})]


def test_epochs_that_were_not_validated(tmp_path):
    every_other = LOGS["val_loss"][1::2]
    curve = read_curves({"loss": LOGS["loss"], "val_loss": every_other}).val_loss
    assert (curve.epochs.tolist(), curve.values.tolist()) == ([2, 4, 6], every_other)
    gaps = ["NA", 1.75, "", 1.5, "NA", 1.625, "NA"]
    path = as_csv(tmp_path / "log.csv", {"loss": LOGS["loss"], "val_loss": gaps})
    curve = read_curves(path).val_loss
    assert (curve.epochs.tolist(), curve.values.tolist()) == ([2, 4, 6], every_other)


def test_a_file_that_was_cut_off_lacks_the_last_values(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("\ufeffepoch,loss,val_loss\n0,2.5,2.0\n\n1,1.5\n", encoding="utf-8")
    curves = read_curves(path)
    assert curves.loss.values.tolist() == [2.5, 1.5]
    assert curves.val_loss.epochs.tolist() == [1]


def test_a_recorder_and_its_file(tmp_path):
    losses = 2 * 0.995 ** np.arange(800) + 0.01 * np.random.default_rng(0).normal(size=800)
    path = tmp_path / "curve.csv"
    rows = [
        f"{i + 1},{i // 200 + 1},{i % 200 + 1},{loss!r}" for i, loss in enumerate(losses.tolist())
    ]
    path.write_text("\n".join(["step,epoch,batch,loss", *rows]) + "\n")
    curves = read_curves(path)
    np.testing.assert_allclose(curves.loss.values, losses.reshape(4, 200).mean(1))
    np.testing.assert_array_equal(curves.batches.losses, losses)
    recorder = SimpleNamespace(points=lambda: {"loss": losses, "step": np.arange(1, 801)})
    curves = read_curves(recorder)
    assert len(curves.loss) == 80
    np.testing.assert_allclose(curves.loss.values[7], losses[70:80].mean())
    assert curves.where(8) == "batch 80"
    for source in (recorder, path, losses.tolist()):
        read = read_curves(LOGS, source).batches
        np.testing.assert_array_equal(read.losses, losses)


WRONG = [
    ({}, "must have a 'loss' of at least one epoch; it has nothing: give"),
    ({"accuracy": [0.5]}, "it has 'accuracy'"),
    ({"loss": []}, "must have a 'loss' of at least one epoch"),
    ({"loss": [None, "NA"]}, "must have a 'loss' of at least one epoch"),
    ([], "must have a 'loss' of at least one epoch"),
    ({"loss": 0.5}, r"`history\['loss'\]` must be a list of numbers; got 0.5"),
    ({"loss": "abc"}, "must be a list of numbers; got 'abc'"),
    ({"loss": [1.0, "high"]}, "must be a list of numbers; its value 2 is 'high'"),
    ({"loss": [[1.0], [2.0]]}, "its value 1 is"),
    ({"loss": np.ones((2, 2))}, "its value 1 is"),
    ({"loss": [1j]}, "its value 1 is 1j"),
    ({"loss": [10**400]}, "its value 1 is 1000"),
    (
        {"loss": [2.0] * 7, "val_loss": [1.0] * 5},
        "'loss' has 7 and 'val_loss' 5: give lists of one",
    ),
    ({"loss": [2.0], "val_loss": [1.0, 2.0]}, "'loss' has 1 and 'val_loss' 2"),
    ({"loss": [2.0], "accuracy": [97.5]}, "between 0 and 1; it goes from 97.5 to 97.5: divide"),
    ("missing.csv", "can't be read: No such file"),
    ("", "must be a path"),
]


@pytest.mark.parametrize(("history", "message"), WRONG, ids=str)
def test_what_is_no_history(history, message):
    with pytest.raises(ValueError, match=message):
        diagnose(history)


def test_what_holds_no_curves():
    with pytest.raises(TypeError, match=r"must be what `fit` returned, .*; got int"):
        diagnose(3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has nothing"),
        (b"epoch,loss\n", "at least one epoch"),
        (b"epoch,loss\n0,1.5,3\n1,2\n", "it is no text in UTF-8 with columns"),
        (b"epoch,loss\n0,high\n", "its value 1 is 'high'"),
        (b"\xff\xfe\x00\x01\x02", "it is no text in UTF-8 with columns"),
        (b"step,epoch,batch,loss\n", "at least one batch"),
    ],
)
def test_what_is_no_file_of_curves(tmp_path, content, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        diagnose(path)


def test_folders_without_events(tmp_path):
    with pytest.raises(ValueError, match="holds no events"):
        diagnose(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1"),
        ({"num_classes": 1}, "`num_classes` must be a whole number of at least 2"),
        ({"majority_share": 1.0}, "`majority_share` must be a finite number above 0 and below 1"),
        ({"batch_losses": []}, "`batch_losses` must hold the loss of at least one batch"),
        ({"batch_losses": 3}, "`batch_losses` must be a list of numbers; got 3"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        diagnose(LOGS, **arguments)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.sampled_from(["", "NA", "nan", "inf", "1e999", "x", "ä"]),
    st.complex_numbers(),
)
LISTS = st.one_of(
    st.lists(st.one_of(st.floats(), st.floats(0, 3), JUNK), max_size=14),
    st.lists(st.floats(0, 1), min_size=5, max_size=14),
    st.lists(st.lists(JUNK, max_size=2), max_size=3),
    JUNK,
)
NAMES = ["loss", "val_loss", "accuracy", "val_accuracy", "learning_rate", "lr", "x"]


def check_answer(*arguments, **keywords):
    """Findings that can be printed, or one sentence; no warning of NumPy's."""
    answer = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            findings = diagnose(*arguments, **keywords)
        except (TypeError, ValueError) as error:
            answer = str(error)
        else:
            assert all(str(finding).endswith(".") for finding in findings)
    assert not answer or re.fullmatch(r"(`|the lists|'acc).* (must|can't).*\.", answer, re.S)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), LISTS, max_size=7),
    st.one_of(st.none(), LISTS),
    st.one_of(st.none(), st.integers(2, 12)),
)
@example({"loss": [1e308, -1e308] * 5, "val_loss": [1e308] * 10}, [1e308, -1e308] * 80, 2)
@example({"loss": [5e-324, 0.0] * 5, "val_loss": [5e-324] * 10}, [5e-324, 0.0] * 80, 2)
@example({"loss": [1.0], "val_loss": [1.0]}, None, None)
def test_malformed_histories(logs, batches, num_classes):
    check_answer(logs, batch_losses=batches, num_classes=num_classes, batch_size=4)
    check_answer(logs.get("loss"))


@settings(max_examples=80, deadline=None)
@given(st.text("epochlsv_,;\n\t0123456789.-eNAnaif\"' ", max_size=80))
def test_malformed_files(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    path.write_text("loss,val_loss\n" * text.startswith("0") + text)
    check_answer(path)
    check_answer(LOGS, batch_losses=path)
