"""train_classifier: from a folder, or arrays, to a judged classifier and what it leaves."""

import contextlib
import csv
import io
import json
import re

import keras
import numpy as np
import pytest
from odd_folder import make_odd, make_plain
from PIL import Image

from keras_dcnn._files.run_folder import RunFolderError
from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn.datasets import image_folder
from keras_dcnn.ensemble import Ensemble
from keras_dcnn.recipes import _epoch_table, _images_of_run, _network, load_run, train_classifier
from keras_dcnn.recipes import run as run_module
from keras_dcnn.recipes._images_of_run import array_images
from keras_dcnn.recipes._settings import Settings
from keras_dcnn.recipes._training import _augmentation, _callbacks

PLAIN = {"augmentation": None}  # which compiles in a tenth of the time
SMALL = {"network": "small_cnn", "image_size": 16, "learning_rate": 0.02, "verbose": 0}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return make_odd(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="module")
def said_and_run(odd, tmp_path_factory):
    """What a run says on a terminal of 60 columns that is none, and the run."""
    folder, out = tmp_path_factory.mktemp("runs") / "run", io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out):
        patched.setenv("COLUMNS", "60")
        patched.setenv("NO_COLOR", "1")
        run = train_classifier(odd, folder, epochs=2, **SMALL | PLAIN | {"verbose": 1})
    return out.getvalue(), run


@pytest.fixture(scope="module")
def run(said_and_run):
    return said_and_run[1]


def test_what_is_said_fits_60_columns_without_a_terminal(said_and_run):
    out, _ = said_and_run
    assert "\x1b" not in out
    too_long = [line for line in out.splitlines() if len(line) > 60]
    assert [line for line in too_long if " " in line.strip() and "report.html" not in line] == []
    assert "training, epoch 2 of 2, loss" in out
    assert "Of 4 test images, with 95 % intervals:" in out
    assert "red/gone.png: a link to a file that isn't there" in out


def test_it_writes_what_it_says(run, odd):
    names = {path.name for path in run.folder.iterdir()} - {".lock"}
    assert names == {
        *("model.keras", "report.html", "summary.json", "run.json"),
        *("images.csv", "data.json", "history.csv", "training.png", "confusion.png", "test.csv"),
    }
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["class_names"] == ["blue", "grey", "red"]
    assert summary["images"] == {"train": 19, "validation": 4, "test": 4}
    assert summary["bits"] == 12
    card = json.loads((run.folder / "data.json").read_text())
    assert card["passed_over"]["red/gone.png"] == "a link to a file that isn't there"
    with open(run.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[1]["learning_rate"]) == pytest.approx(0.02)
    html = (run.folder / "report.html").read_text()
    assert "balanced accuracy" in html
    assert ".heic needs a plug-in" in html


def test_each_decision_has_its_reason(run):
    record = " ".join(run.summary["record"])
    assert "small CNN from scratch at 16 pixels, as asked for" in record
    assert (
        "7 training images of 'blue' and 5 of 'grey': less than 3 : 1, so nothing is done about it"
        in record
    )
    assert "preflight, by 19 of the images: nothing wrong" in record
    assert "the weights of the last quarter of the epochs are averaged" in record
    assert "2 epochs at a rate of 0.02" in record


def test_loaded_again_it_says_the_same(run, odd):
    files = sorted((odd / "blue").rglob("*.jpg"))
    loaded = load_run(run.folder)
    assert loaded.predict(files) == run.predict(files)
    assert loaded.summary == json.loads((run.folder / "summary.json").read_text())
    assert str(run.folder) in str(loaded)


def test_the_scores_are_those_of_the_test_images(run):
    with open(run.folder / "images.csv", newline="") as file:
        test = [row for row in csv.DictReader(file) if row["part"] == "test"]
    said = [one.label for one in run.predict([row["file"] for row in test])]
    right = np.mean([one == row["label"] for one, row in zip(said, test, strict=True)])
    assert run.summary["scores"]["accuracy"]["value"] == pytest.approx(right)


def test_the_list_of_images_is_a_file_of_labels(run, odd):
    *parts, names = image_folder.load_data(odd, 16, labels=run.folder / "images.csv")
    assert names == run.class_names
    assert [len(y) for _, y in parts] == [19, 4, 4]


def test_the_report_can_be_written_again(run):
    before = (run.folder / "report.html").read_text()
    (run.folder / "report.html").unlink()
    assert run.report() == run.folder / "report.html"
    after = (run.folder / "report.html").read_text()
    tables = [text[text.index('id="scores"') :] for text in (before, after)]
    scores = [re.findall(r"[0-9.]+\s%", text)[:20] for text in tables]
    assert scores[0] == scores[1] != []


def test_it_is_judged_on_another_folder(run, tmp_path):
    folder = make_plain(tmp_path, {"red": 3, "blue": 5})
    scores = run.evaluate(folder)
    assert scores["images"] == 8
    assert "duplicates" not in {one["rule"] for one in scores["findings"]}
    assert set(scores["recall"]) == {"red", "blue"}
    make_plain(tmp_path / "other", {"green": 3, "blue": 5})
    with pytest.raises(ImageFolderError, match="doesn't know: 'green'; it knows 'blue'"):
        run.evaluate(tmp_path / "other")


def test_images_that_it_was_trained_on_are_not_taken_for_new_ones(run, odd):
    found = {one["rule"]: one["message"] for one in run.evaluate(odd)["findings"]}
    assert found["duplicates"].startswith("17 of 25 images were trained on and 4 chosen by")
    said = "an image is in more than one class, such as blue/0.png = "
    assert said in found["same_image_other_label"]


def test_it_is_judged_alike_where_the_images_do_not_fit_in_memory(run, odd, monkeypatch):
    expected = run.judge(odd)
    monkeypatch.setattr(run_module, "fits", lambda num_bytes: False)
    found = run.judge(odd)
    np.testing.assert_allclose(found.scores.p, expected.scores.p, rtol=1e-5)
    np.testing.assert_array_equal(found.scores.y, expected.scores.y)


def test_dark_images_of_16_bits_are_judged_as_they_are_predicted(run, tmp_path):
    folder = make_plain(tmp_path, {"red": 3, "blue": 3})
    (folder / "grey").mkdir()
    dark = np.random.default_rng(0).integers(0, 200, (20, 20)).astype("uint16")
    Image.fromarray(dark).save(folder / "grey" / "dark.png")  # 8 bits would do for these
    found = run.judge(folder)
    (place,) = np.flatnonzero(found.scores.y == run.class_names.index("grey"))
    (said,) = run.predict(folder / "grey" / "dark.png")
    assert found.scores.p[place].max() == pytest.approx(said.probability, rel=1e-5)


def test_each_test_image_is_in_a_table_the_worst_first(run):
    with open(run.folder / "test.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    p = [float(row["probability"]) for row in rows]
    assert p == sorted(p)
    said = run.predict([row["file"] for row in rows])
    assert [one.label for one in said] == [row["predicted"] for row in rows]


def test_arrays_and_a_network_of_ones_own(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 16, 16, 3), "uint8"), np.repeat([0, 1], [32, 8])
    order = rng.permutation(40)
    x, y = x[order], y[order]
    data = ((x[:24], y[:24]), (x[24:32], y[24:32]), (x[32:], y[32:]), ["cat", "dog"])
    network = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255)])
    network.add(keras.layers.Conv2D(4, 3, activation="relu", name="features"))
    run = train_classifier(data, tmp_path / "run", network=network, strategy="probe", verbose=0)
    assert run.summary["strategy"] == "probe"
    assert any("logits are adjusted" in sentence for sentence in run.summary["record"])
    assert not (run.folder / "images.csv").exists()
    with pytest.raises(ValueError, match="training on arrays"):
        run.report()


@pytest.mark.parametrize(("combine", "count"), [("checkpoints", 3), ("cycles", 4)])
@pytest.mark.slow
def test_members_of_the_training_answer_together(tmp_path, combine, count):
    folder = make_plain(tmp_path / "images", {"red": 8, "blue": 8})
    run = train_classifier(folder, tmp_path / "run", epochs=4, combine=combine, **SMALL | PLAIN)
    assert isinstance(run.model.network, Ensemble)
    assert len(load_run(run.folder).model.network.members) == count
    assert run.predict(np.zeros((9, 9, 3), "uint8"))[0].spread is not None


class Killed(BaseException):
    """What nobody catches."""


def stop_after(monkeypatch, epochs, error=Killed):
    """Have the training die after so many epochs."""
    written = _epoch_table.EpochTable.on_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        written(self, epoch, logs)
        if epoch + 1 == epochs:
            raise error

    monkeypatch.setattr(_epoch_table.EpochTable, "on_epoch_end", on_epoch_end)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.slow
def test_interrupted_it_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, stream):
    folder = make_plain(tmp_path / "images", {"red": 10, "blue": 10})
    if stream:
        monkeypatch.setattr(_images_of_run, "fits", lambda num_bytes: False)
    options = {"epochs": 4, **SMALL}
    options |= {} if stream else PLAIN
    whole = train_classifier(folder, tmp_path / "whole", **options)
    with monkeypatch.context() as patched:
        stop_after(patched, 3)
        with pytest.raises(Killed):
            train_classifier(folder, tmp_path / "run", **options)
    with pytest.raises(RunFolderError, match="has not ended: resume it"):
        train_classifier(folder, tmp_path / "run", **options)
    with pytest.raises(ValueError, match=r"differs in its epochs \(4 there, 5 here\)"):
        train_classifier(folder, tmp_path / "run", resume=True, **options | {"epochs": 5})
    run = train_classifier(folder, tmp_path / "run", resume=True, **options)
    histories = [(one.folder / "history.csv").read_text() for one in (whole, run)]
    if keras.backend.backend() == "torch":
        rows = [np.array([r.split(",") for r in text.split()[1:]], float) for text in histories]
        np.testing.assert_allclose(*rows, rtol=1e-4)
    else:
        assert histories[0] == histories[1]
    assert train_classifier(folder, tmp_path / "run", resume=True).summary == json.loads(
        (run.folder / "summary.json").read_text()
    )


@pytest.mark.slow
def test_other_images_are_not_gone_on_with(tmp_path, monkeypatch):
    folder = make_plain(tmp_path / "images", {"red": 8, "blue": 8})
    stop_after(monkeypatch, 1)
    with pytest.raises(Killed):
        train_classifier(folder, tmp_path / "run", epochs=2, **SMALL | PLAIN)
    (folder / "red" / "000.png").unlink()
    with pytest.raises(ValueError, match="differs in its images"):
        train_classifier(folder, tmp_path / "run", epochs=2, resume=True, **SMALL | PLAIN)


def test_the_augmentation_is_adapted_to_the_colours_of_the_images():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (6, 16, 16, 3), "uint8"), np.arange(6) % 2
    x[..., 1:] = 90  # only red varies
    images = array_images(((x, y), (x, y), (x, y)), Settings())
    layer, said = _augmentation(images, Settings(flip=False), from_scratch=True)
    assert said.endswith("fancy PCA along those of these images.")
    assert "mirrored" not in said
    values = np.var(x[..., 0] / 255)
    np.testing.assert_allclose(layer.layers[-1].eigenvalues, [values, 0, 0], atol=1e-6)
    grey = array_images(((x * 0 + 7, y), (x, y), (x, y)), Settings())
    _, said = _augmentation(grey, Settings(), from_scratch=False)
    assert "along those of ImageNet, since there must be more than one colour" in said


@pytest.mark.slow
def test_over_many_epochs_the_rate_stays_one_that_moves_weights(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    callbacks, members = _callbacks(Settings(combine="none"), 0.1, 45, tmp_path)
    x = np.zeros((4, 1))
    fit = {"validation_data": (x, x), "callbacks": callbacks, "verbose": 0}
    history = model.fit(x, x, epochs=45, **fit).history
    assert members is None
    assert history["learning_rate"][-1] == pytest.approx(0.1 / 32)


def test_images_that_need_more_memory_than_there_is_are_refused_before_they_are_read(
    tmp_path, monkeypatch
):
    folder = make_plain(tmp_path / "images", {"red": 4, "blue": 4})
    monkeypatch.setattr(_network, "free_memory", lambda: 8e9)
    with pytest.raises(MemoryError, match=r"32 images of 5000 × 5000 pixels need .* TB|GB"):
        train_classifier(folder, tmp_path / "run", network="small_cnn", image_size=5000, verbose=0)
    assert not (tmp_path / "run").exists()


def test_a_class_whose_files_are_all_unreadable_does_not_disappear(tmp_path):
    folder = make_plain(tmp_path / "images", {"red": 4, "blue": 4, "green": 3})
    for path in (folder / "green").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(ImageFolderError, match="can be read: 'green'"):
        train_classifier(folder, tmp_path / "run", skip_unreadable=True, **SMALL)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"network": "ResNet-50"}, "a name in keras.applications.*'ResNet-50'"),
        ({"network": 3}, "`network` must be a name or a Keras model"),
        ({"strategy": "best"}, "`strategy`"),
        ({"imbalance": "smote"}, "`imbalance`"),
        ({"combine": "sum"}, "`combine`"),
        ({"learning_rate": 0}, "`learning_rate`"),
        ({"epochs": 0}, "`epochs`"),
        ({"image_size": 4}, "`image_size`"),
        ({"background": (0, 0, 256)}, "`background`"),
        ({"background": "white"}, "`background`"),
        ({"augmentation": "strong"}, "`augmentation`"),
        ({"flip": 2}, "`flip`"),
        ({"resume": True}, "`folder` must be that of the run"),
        ({"network": "MobileNetV3Small", "weights": "no-such.h5"}, "weights of MobileNetV3Small"),
    ],
)
def test_bad_arguments(tmp_path, monkeypatch, options, match):
    monkeypatch.chdir(tmp_path)
    folder = make_plain(tmp_path / "images", {"red": 4, "blue": 4})
    with pytest.raises((TypeError, ValueError), match=match):
        train_classifier(folder, verbose=0, **options)
    assert not (tmp_path / "runs").exists()


def test_bad_arrays(tmp_path):
    x, y = np.zeros((4, 16, 16, 3), "uint8"), np.array([0, 1, 0, 1])
    for data, match in (
        (((x, y), (x, y)), "got 2 parts"),
        (((x / 255, y), (x, y), (x, y)), "the train data must be uint8 images"),
        (((x, y), (x[:, :8], y), (x, y)), "the validation data must be uint8"),
        (((x, y), (x, y), (x, y[:3])), "the test data must be"),
        (((x, y), (x, y), (x, y), ["a", "b", "c"]), "can be read: 'c'"),
    ):
        with pytest.raises(ValueError, match=match):
            train_classifier(data, tmp_path / "run", **SMALL | {"image_size": None})
