"""The command: answers before Keras is imported, one line for what's wrong, exit codes, output."""

import csv
import errno
import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from odd_folder import make_plain

from keras_dcnn._command import arguments, commands
from keras_dcnn._command.entry import main
from keras_dcnn._images.listing import list_folder
from keras_dcnn.models import small_cnn
from keras_dcnn.recipes import ImageClassifier, _settings


@pytest.fixture
def images(tmp_path):
    return make_plain(tmp_path / "images", {"red": 5, "blue": 5})


@pytest.fixture
def run(tmp_path):
    """The folder of a run that ended, of a network that knows nothing."""
    folder = tmp_path / "run"
    folder.mkdir()
    keras.utils.set_random_seed(0)
    names = ["blue", "red"]
    ImageClassifier(small_cnn((16, 16, 3), 2, width=2), names, sure_from=0.4).save(
        folder / "model.keras"
    )
    (folder / "summary.json").write_text(json.dumps({"class_names": names, "record": []}))
    return folder


def failure(capsys, *given):
    """The one line on stderr of a command that ends with code 2."""
    assert main([str(one) for one in given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-dcnn: ")
    return line


WITHOUT_KERAS = """
import sys
import keras_dcnn_command

for arguments in {arguments!r}:
    try:
        code = keras_dcnn_command.main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    print(code, "keras" in sys.modules, file=sys.stderr)
    del sys.modules["keras_dcnn"]
"""


@pytest.mark.once
def test_what_is_wrong_is_said_before_keras_is_imported(images, tmp_path):
    (tmp_path / "unended").mkdir()
    (tmp_path / "unended" / "run.json").write_text("{}")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old.txt").touch()
    (images / "red" / "1.heic").touch()
    (images / "empty").mkdir()
    fine = make_plain(tmp_path / "fine", {"a": 3, "b": 3})
    wrong = {
        ("--help",): (0, ""),
        ("train", "--help"): (0, ""),
        ("--version",): (0, ""),
        ("fly",): (2, "invalid choice: 'fly'"),
        ("trian",): (2, "did you mean train?"),
        (): (2, "COMMAND"),
        ("train",): (2, "DIR, or --resume RUN"),
        ("train", ""): (2, "DIR must be a path"),
        ("train", fine, "--epochs", "0"): (2, "whole number from 1"),
        ("train", fine, "--seed", str(2**31)): (2, "whole number from 0"),
        ("train", fine, "--network", "ResNet-50"): (2, "'ResNet-50'; did you mean ResNet50"),
        ("train", fine, "--background", "whitish"): (2, "such as white"),
        ("train", fine, "--learning-rate", "-1"): (2, "above 0"),
        ("train", fine, "--resume", "run"): (2, "not both"),
        ("train", tmp_path / "nowhere"): (2, "nowhere is not a folder"),
        ("train", images): (2, "none of 'empty'"),
        ("train", fine, "--labels", tmp_path / "no.csv"): (2, "no.csv can't be read"),
        ("train", fine, "--output", tmp_path / "full"): (2, "full is not empty"),
        ("train", fine, "--output", tmp_path / "unended"): (
            2,
            "has not ended: go on with it by --resume",
        ),
        ("train", fine, "--output", fine / "runs" / "1"): (2, "would lie in"),
        ("train", "--resume", tmp_path / "full"): (2, "no run to go on with"),
        ("train", "--resume", tmp_path / "typo"): (2, "there is no such folder"),
        ("train", fine / "a"): (2, "images itself: give the folder above"),
        ("predict", tmp_path / "unended"): (2, "required: FILE"),
        ("predict", tmp_path / "full", "a.png"): (2, "holds no run"),
        ("evaluate", tmp_path / "unended", fine): (2, "train --resume"),
        ("preview", tmp_path / "nowhere"): (2, "nowhere is not a folder"),
        ("stats", fine / "a"): (2, "two or more classes"),
        ("doctor", tmp_path / "no.csv"): (2, "no.csv: no such file"),
        ("export", tmp_path / "full", "--format", "pickle"): (2, "invalid choice: 'pickle'"),
    }
    program = WITHOUT_KERAS.format(arguments=[[str(one) for one in given] for given in wrong])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    said = re.split(r"^(\d+) (True|False)\n", done.stderr, flags=re.M)
    found = list(zip(said[::3], said[1::3], said[2::3], strict=False))
    assert len(found) == len(wrong), done.stderr
    for (given, (code, text)), (message, number, has_keras) in zip(
        wrong.items(), found, strict=True
    ):
        assert (int(number), has_keras) == (code, "False"), (given, message)
        assert text in " ".join(message.split()), given
        assert "Traceback" not in message
        assert message.count("\n") == 1 or code == 0
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "typo").exists()


def test_the_choices_are_those_of_the_recipe():
    for name in ("STRATEGIES", "IMBALANCE", "COMBINE"):
        assert getattr(arguments, name) == getattr(_settings, name)
    given = vars(arguments.parser().parse_args(["train", "images"]))
    assert set(_settings.FIELDS) <= set(given)
    networks = {
        name for name, made in vars(keras.applications).items() if callable(made) and name[0] != "_"
    }
    assert set(arguments.APPLICATIONS) == networks


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError("Unable to allocate 117 GiB"), "117 GiB"),
        (MemoryError(), "the memory is full: give a smaller --batch-size or --image-size"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9"), "the memory is full"),
        (RuntimeError("Unable to flush: No space left on device"), "the disk is full"),
        (OSError(errno.EACCES, "Permission denied", "model.keras"), "model.keras: Permission"),
        (ImportError("needs matplotlib"), "needs matplotlib"),
        (ValueError("the training\ndiverged"), "the training diverged"),
    ],
)
def test_errors_are_one_line(images, tmp_path, capsys, monkeypatch, error, text):
    def fail(*_):
        raise error

    monkeypatch.setattr(commands, "run_job", fail)
    assert text in failure(capsys, "train", images, "--output", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_mistake_of_ours_keeps_its_traceback(images, tmp_path, monkeypatch):
    def fail(*_):
        raise AttributeError("'NoneType' object has no attribute 'shape'")

    monkeypatch.setattr(commands, "run_job", fail)
    with pytest.raises(AttributeError):
        main(["train", str(images), "--output", str(tmp_path / "run")])


def interrupted(folder, epochs, error):
    """A job that wrote the beginning of a run, and so many epochs, when it was stopped."""

    def job(source, path, *_):
        (path / "run.json").write_text(json.dumps({"data": str(source)}))
        rows = [f"{epoch},0.5\n" for epoch in range(epochs)]
        (path / "history.csv").write_text("".join(["epoch,loss\n", *rows]))
        raise error

    return job


def test_a_full_disk_is_called_one_and_what_was_trained_stays(
    images, tmp_path, capsys, monkeypatch
):
    full = OSError(errno.ENOSPC, "No space left on device", "model.keras")
    monkeypatch.setattr(commands, "run_job", interrupted(tmp_path, 7, full))
    line = failure(capsys, "train", images, "--output", tmp_path / "run")
    assert "the disk is full (model.keras: No space left on device): free some of it" in line
    assert f"{tmp_path / 'run'} keeps 7 epochs: go on with keras-dcnn train --resume" in line
    assert (tmp_path / "run" / "history.csv").is_file()


def test_a_disk_that_is_full_already_is_said_before_the_training(
    images, tmp_path, capsys, monkeypatch
):
    from keras_dcnn.recipes import _job

    monkeypatch.setattr(_job.shutil, "disk_usage", lambda _: type("", (), {"free": 1e6}))
    line = failure(capsys, "train", images, "--network", "small_cnn", "--output", tmp_path / "run")
    assert "the disk is full" in line
    assert "1 MB are free, a run needs 200 MB" in line


@pytest.mark.parametrize(("epochs", "kept"), [(3, "keeps 3 epochs"), (0, "keeps its beginning")])
def test_ctrl_c_ends_in_one_line_that_says_how_to_go_on(
    images, tmp_path, capsys, monkeypatch, epochs, kept
):
    stopped = interrupted(tmp_path, epochs, KeyboardInterrupt())
    monkeypatch.setattr(commands, "run_job", stopped)
    assert main(["train", str(images), "--output", str(tmp_path / "run")]) == 130
    (line,) = capsys.readouterr().err.split("\n")[1:-1]
    assert kept in line
    assert line.endswith(f"go on with keras-dcnn train --resume {tmp_path / 'run'}")


def test_ctrl_c_before_anything_was_written(images, tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run_job", stop)
    assert main(["train", str(images), "--output", str(tmp_path / "run")]) == 130
    assert "stopped, nothing is kept" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_predict_prints_a_line_for_each_file_and_says_where_it_is_not_sure(
    run, images, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "60")
    (images / "red" / "broken.png").write_bytes(b"broken")
    (images / "blue" / "phone.heic").touch()
    table = tmp_path / "said.csv"
    assert main(["predict", str(run), str(images), "--csv", str(table)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len([line for line in out if re.search(r"\.png +(red|blue) \d+ %", line)]) == 10
    assert f"passed over: {images / 'blue' / 'phone.heic'}: .heic needs a plug-in" in "".join(out)
    assert "broken.png can't be read" in " ".join("".join(out).split())
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    for row in rows:
        if row["error"]:
            assert row["label"] == ""
            continue
        p, second = float(row["probability"]), float(row["probability_2"])
        assert p + second == pytest.approx(1)
        assert row["sure"] == str(p >= 0.4 > second)


def test_predict_as_json(run, images, capsys):
    file = next((images / "red").iterdir())
    assert main(["predict", str(run), str(file), "--json", "--top", "1"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["file"] == str(file)
    assert found["top"] == [[found["label"], found["probability"]]]


def test_evaluate_ends_with_1_for_a_model_of_no_use(run, tmp_path, capsys):
    folder = make_plain(tmp_path / "many", {"red": 12, "blue": 12})
    assert main(["evaluate", str(run), str(folder), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 24
    assert found["findings"][0]["severity"] == "error"
    assert main(["evaluate", str(run), str(folder)]) == 1
    assert "Of 24 test images, with 95 % intervals:" in capsys.readouterr().out


def test_stats_are_those_of_numpy(images, capsys):
    assert main(["stats", str(images), "--image-size", "8"]) == 0
    found = json.loads(capsys.readouterr().out)
    from keras_dcnn._images.pixels import Reading, read_pixels

    files = list_folder(images).files
    pixels = np.stack([read_pixels(Reading(8), file) for file in files]).reshape(-1, 3)
    np.testing.assert_allclose(found["mean"], pixels.mean(0))
    np.testing.assert_allclose(found["standard_deviation"], pixels.std(0))
    vectors, values = np.array(found["eigenvectors"]), np.array(found["eigenvalues"])
    covariance = np.cov(pixels.T.astype(float), bias=True)
    np.testing.assert_allclose(vectors.T * values @ vectors, covariance, atol=1e-8)
    assert (np.diff(values) <= 0).all()


def test_preview_draws_a_picture(images, tmp_path, capsys):
    from PIL import Image

    path = tmp_path / "preview.png"
    assert main(["preview", str(images), "--output", str(path), "--image-size", "32"]) == 0
    with Image.open(path) as picture:
        assert picture.width > 300
        assert len(set(picture.convert("L").resize((64, 64)).getdata())) > 20
    assert str(path) in capsys.readouterr().out


def test_evaluate_tells_what_it_leaves_out(run, tmp_path, capsys):
    folder = make_plain(tmp_path / "some", {"red": 6, "blue": 6})
    (folder / "red" / "broken.png").write_bytes(b"")
    (folder / "red" / "copy.png").write_bytes((folder / "red" / "000.png").read_bytes())
    main(["evaluate", str(run), str(folder)])
    out = " ".join(capsys.readouterr().out.split())
    assert "1 file skipped, as unreadable:" in out
    assert "can't be read as an image (the file is empty)" in out
    assert "Of 12 test images" in out


def test_one_missing_file_does_not_stop_the_others(run, images, capsys):
    file = images / "red" / "000.png"
    assert main(["predict", str(run), str(file), str(images / "gone.png"), "--json"]) == 1
    found, gone = json.loads(capsys.readouterr().out)
    assert found["label"] in ("red", "blue")
    assert "gone.png can't be read as an image (no such file" in gone["error"]


def test_doctor_takes_the_folder_of_a_run(run, images, capsys):
    assert main(["doctor", str(run), "--data", str(images)]) in (0, 1)
    out = capsys.readouterr().out
    assert f"{run / 'model.keras'}:" in out
    assert "classes blue, red" in out


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_no_write_permission(images, tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):  # root may write anywhere but here
        locked = "/proc"
    assert str(locked) in failure(capsys, "train", images, "--output", f"{locked}/run")


@pytest.mark.slow
@pytest.mark.once
def test_the_whole_from_a_folder_to_a_prediction(tmp_path):
    """As a user types it; nothing of C++ on the terminal, and an interrupted run is taken up."""
    images = make_plain(tmp_path / "images", {"red": 10, "blue": 10})
    command = os.path.join(os.path.dirname(sys.executable), "keras-dcnn")

    env = {name: one for name, one in os.environ.items() if name != "TF_XLA_FLAGS"}  # of the tests

    def call(*given):
        given = [command, *map(str, given)]
        return subprocess.run(
            given, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=env
        )

    small = ("--network", "small_cnn", "--image-size", "16", "--output", "run", "--compare")
    small += ("--no-augmentation",)
    done = call("train", images, *small, "--epochs", "3")
    assert done.stderr == ""
    assert done.returncode in (0, 1)
    assert "with the parts" in done.stdout
    assert call("train", "--resume", "run").stdout.startswith("the run in run has ended")
    done = call("predict", "run", images / "red")
    assert done.stderr == ""
    assert done.stdout.count("000.png") == 1
    assert call("report", "run").stdout == f"written to {os.path.join('run', 'report.html')}\n"
    done = call("export", "run")
    assert done.returncode == 0
    assert (tmp_path / "run" / "labels.txt").read_text() == "blue\nred\n"


@pytest.mark.slow
@pytest.mark.once
def test_demo_ends_in_the_same_kind_of_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["demo", "--epochs", "1"])
    (run,) = (tmp_path / "runs").iterdir()
    assert {"model.keras", "report.html", "summary.json"} <= {one.name for one in run.iterdir()}
    assert "with the parts" in capsys.readouterr().out
