"""The command: what it writes, what it prints, and one line with exit code 2 for what's wrong."""

import csv
import json
import os
import subprocess
import sys
from unittest import mock

import keras
import numpy as np
import pytest
from PIL import Image

from keras_dcnn._command.comparison import ComparisonError, Data, compare
from keras_dcnn._command.main import main
from keras_dcnn.datasets import image_folder

# TensorFlow does not apply `without_graphs` to what tf.data runs, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the .* option is set")


@pytest.fixture
def without_graphs(backend):
    """A few steps take TensorFlow less than the compilation; the slow demo has that."""
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
        yield
        tf.config.run_functions_eagerly(False)
    else:
        yield


@pytest.fixture
def folder(tmp_path):
    """Two classes that differ in brightness."""
    rng = np.random.default_rng(0)
    for name, base in (("dark", 60), ("light", 180)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.clip(rng.normal(base, 20, (20, 24, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path / "images"


@pytest.mark.slow
def test_train_writes_what_it_says(folder, tmp_path, capsys, without_graphs):
    run = tmp_path / "run"
    code = main(["train", str(folder), "--image-size", "16", "--epochs", "2", "--output", str(run)])
    assert code == 0
    out = capsys.readouterr().out
    assert "16 images to train on, 4 to validate, 4 to test; 2 classes" in out
    assert "their ensemble" in out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["class_names"] == ["dark", "light"]
    assert summary["images"] == {"train": 16, "validation": 4, "test": 4}
    for run_name in ("plain", "parts"):
        assert 0 <= summary[run_name]["accuracy"]["colour cast"] <= 1
        assert summary[run_name]["seconds"] > 0
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["epoch"]) for row in rows] == [
        ("plain", "1"),
        ("plain", "2"),
        ("parts", "1"),
        ("parts", "2"),
    ]
    assert float(rows[2]["learning_rate"]) == pytest.approx(0.02)
    with Image.open(run / "training.png") as figure:
        assert figure.width > 800
    model = keras.saving.load_model(run / "ensemble.keras")
    assert model.predict(np.zeros((1, 16, 16, 3)), verbose=0).shape == (1, 2)
    assert len(summary["parts"]["members"]) == len(model.members) == 2
    rules = [finding["rule"] for finding in summary["parts"]["findings"]]
    assert rules[-1] == "few_samples"
    assert "info: too few samples to judge: 'dark' (2 samples), 'light' (2" in " ".join(out.split())


@pytest.mark.slow
def test_an_accuracy_of_the_largest_class_is_not_sold_as_success(
    tmp_path, monkeypatch, capsys, without_graphs
):
    x, y = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), "uint8"), np.zeros(40, int)
    tested = np.repeat([0, 1], [38, 2])
    data = ((x, y), (x, y), (x, tested), ["[red] cat", "dog"])  # only cats to train on
    monkeypatch.setattr(image_folder, "load_data", lambda *_: data)
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["train", "images", "--epochs", "1", "--output", str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (first,) = (i for i, line in enumerate(lines) if line.startswith("error: "))
    assert max(map(len, lines[first:-2])) <= 60
    text = " ".join(" ".join(lines[first:]).split())
    assert "accuracy 95.0 % of 40 samples is no better than always '[red] cat' (95.0 %)" in text
    assert "info: too few samples to judge: 'dog' (2 samples)" in text
    found = json.loads((tmp_path / "run" / "summary.json").read_text())["parts"]["findings"]
    assert found[0]["severity"] == "error"
    assert found[0]["evidence"]["balanced_accuracy"] == 0.5


@pytest.mark.slow
@pytest.mark.once
def test_demo_runs_on_the_embedded_digits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--epochs", "1"]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert {path.name for path in run.iterdir()} == {
        "ensemble.keras",
        "history.csv",
        "members",
        "summary.json",
        "training.png",
    }
    assert "Test accuracy, seed 0, 1 epochs each" in capsys.readouterr().out


def failure(capsys, *arguments):
    """The one line on stderr of a command that ends with code 2."""
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-dcnn: ")
    return line


def test_errors_are_one_line_and_name_the_file(folder, tmp_path, capsys):
    run = ["--output", tmp_path / "run"]
    assert "no-such is not a folder" in failure(capsys, "train", tmp_path / "no-such", *run)
    assert "two or more classes" in failure(capsys, "train", folder / "dark", *run)
    (folder / "dark" / "3.png").write_bytes(b"broken")
    assert "dark/3.png can't be read" in failure(capsys, "train", folder, *run)
    for output in (folder / "dark" / "1.png", folder / "dark" / "1.png" / "run"):
        assert "1.png" in failure(capsys, "train", folder, "--output", output)
    (folder / "dark" / "3.png").unlink()
    (tmp_path / "full" / "old").mkdir(parents=True)
    assert "is not empty" in failure(capsys, "train", folder, "--output", tmp_path / "full")
    inside = failure(capsys, "train", folder, "--output", folder / "runs" / "1")
    assert "would lie in" in inside
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "images"]  # nothing left


def test_images_that_do_not_fit_in_memory_are_one_line(folder, capsys, monkeypatch):
    for text in ("Unable to allocate 117 GiB", ""):
        error = MemoryError(text)
        monkeypatch.setattr(image_folder, "load_data", mock.Mock(side_effect=error))
        assert (text or "the memory is full") in failure(capsys, "train", folder)


def test_copies_of_one_image_are_refused_before_training(folder, tmp_path, capsys):
    for path in folder.glob("*/*.png"):
        Image.new("RGB", (16, 16), (7, 8, 9)).save(path)
    line = failure(capsys, "train", folder, "--output", tmp_path / "run")
    assert "it has 0 beside 12 that are in another class too" in line
    assert not (tmp_path / "run").exists()


def test_a_training_that_never_was_finite_says_so_and_keeps_its_curves(tmp_path, without_graphs):
    x, y = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), "uint8"), np.arange(6) % 2
    data = Data((x, y), (np.full(x.shape, np.nan), y), (x, y), ["a", "b"])
    with pytest.raises(ComparisonError, match=r"never had a finite .*history\.csv"):
        compare(data, tmp_path, epochs=1, seed=0)
    with open(tmp_path / "history.csv", newline="") as file:
        plain, parts = csv.DictReader(file)
    assert (plain["run"], parts["run"], parts["val_loss"]) == ("plain", "parts", "nan")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_no_write_permission(folder, tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):  # root may write anywhere but here
        locked = "/proc"
    assert str(locked) in failure(capsys, "train", folder, "--output", f"{locked}/run")


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--epochs", "0"],
        ["demo", "--seed", str(2**31 - 1)],
        ["train"],
        ["train", ""],
        ["fly"],
        [],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: keras-dcnn" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_ends_in_one_sentence(tmp_path):
    command = os.path.join(os.path.dirname(sys.executable), "keras-dcnn")
    done = subprocess.run(
        [command, "train", tmp_path / "no-such", "--output", tmp_path / "run"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("keras-dcnn: "), done.stderr
    assert done.stdout == ""
