"""The doctor: what it prints and its exit code, on curves, models, images and the installation."""

import ast
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_dcnn
from keras_dcnn._command.entry import main
from keras_dcnn._keras import names


@pytest.fixture
def history(tmp_path):
    """The file of a CSVLogger: a training that came to NaN."""
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,val_loss\n0,2.3,2.3\n1,nan,nan\n")
    return path


def saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return str(tmp_path / "model.keras")


def network(last="softmax", loss="categorical_crossentropy"):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255)])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(2, last, kernel_initializer="zeros"))
    model.compile("adam", loss)
    return model


def test_curves_have_findings(history, capsys):
    assert main(["doctor", str(history), "--json"]) == 1
    (examined,) = json.loads(capsys.readouterr().out)
    assert examined["name"] == str(history)
    assert examined["findings"][0]["rule"] == "not_finite"
    main(["doctor", str(history)])
    assert capsys.readouterr().out.startswith(f"{history}:\nerror: ")


def test_what_is_no_fault_is_healthy(tmp_path, capsys):
    curve = [2.3 * 0.6**epoch for epoch in range(12)]
    rows = [f"{epoch},{loss},{loss + 0.01}" for epoch, loss in enumerate(curve)]
    path = tmp_path / "history.csv"
    path.write_text("\n".join(["epoch,loss,val_loss", *rows]))
    assert main(["doctor", str(path)]) == 0
    assert "info: " in capsys.readouterr().out


def test_a_model_by_itself(tmp_path, capsys):
    assert main(["doctor", saved(network(last=None), tmp_path)]) == 1
    assert "model.keras:\n  layers 3\n  parameters 386\nerror: `dense" in capsys.readouterr().out


def test_a_model_on_images(tmp_path, capsys):
    for name, grey in (("dark", 60), ("light", 180)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.full((8, 8, 3), grey + i, "uint8")
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    file, images = saved(network(), tmp_path), str(tmp_path / "images")
    assert main(["doctor", file, "--data", images, "--json"]) == 1
    (examined,) = json.loads(capsys.readouterr().out)
    assert (examined["facts"]["images"], examined["facts"]["classes"]) == (12, ["dark", "light"])
    rules = {one["rule"] for one in examined["findings"]}
    assert "never_predicted" in rules  # weights of 0 always name the first
    assert not rules & {"class_numbers_for_one_hot", "one_hot_for_class_numbers", "step_fails"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["absent.csv"], "absent.csv: no such file"),
        (["notes.keras"], "notes.keras can't be loaded as a Keras model: "),
        (["notes.csv"], "notes.csv: `history` must have a 'loss'"),
        (["notes.csv", "--data", "."], "--data needs a model"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(files, said, tmp_path, capsys):
    for name in ("notes.keras", "notes.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    files = [str(tmp_path / one) if one != "--data" else one for one in files]
    assert main(["doctor", *files]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_the_installation(capsys):
    assert main(["doctor", "--json"]) == 0
    (examined,) = json.loads(capsys.readouterr().out)
    assert examined["findings"] == []
    assert examined["facts"]["backend"].startswith(keras.backend.backend())


def test_private_names_that_are_gone(monkeypatch):
    assert names.missing_names() == []
    gone = (("keras.src.nowhere", "something"), ("keras.src.models.functional", "other"))
    monkeypatch.setattr(names, "NAMES", gone)
    assert names.missing_names() == [".".join(one) for one in gone]


def test_the_list_of_private_names_is_that_of_the_package():
    found = {
        (node.module, name.name)
        for path in Path(keras_dcnn.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("keras.src")
        for name in node.names
    }
    assert found == set(names.NAMES)
