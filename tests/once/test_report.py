"""The report: one page of HTML whose numbers are those of the definitions, and nothing else."""

import base64
import csv
import html
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

import keras_dcnn
from keras_dcnn.diagnosis import Finding
from keras_dcnn.visualization import report
from keras_dcnn.visualization._report.read_data import WORST, DataRead

SCRIPT = "<script>alert('1')</script>"
NAMES = ["cat & dog", SCRIPT, "=never"]
VOID = {"meta", "link", "img"}
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (9, 4, 4, 3), dtype="uint8")
Y = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
KERNEL = RANDOM.normal(0, 3, (48, 3))
HISTORY = {"loss": [1.2, 0.9], "val_loss": [1.3, 1.0], "learning_rate": [0.1, 0.01]}
ACCURACIES = {"accuracy": [0.4, 0.6], "val_accuracy": [0.3, 0.5]}


class Page(HTMLParser):
    """What a page has: tags with their attributes, its texts, and tags that aren't closed right."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open, self.wrong = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.text).replace("\N{NO-BREAK SPACE}", " ").split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def all(self, attribute):
        return [attrs[attribute] for _, attrs in self.tags if attribute in attrs]

    def table(self, file):
        """The rows of a CSV file that the page holds, as dicts."""
        (link,) = [attrs["href"] for _, attrs in self.tags if attrs.get("download") == file]
        text = base64.b64decode(link.split("base64,")[1]).decode()
        return [*csv.DictReader(io.StringIO(text))]


def network(kernel=KERNEL, shape=(4, 4, 3), activation="softmax", bias=(0.0, 0.0, -50.0)):
    model = keras.Sequential([keras.Input(shape), keras.layers.Rescaling(1 / 255)])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(kernel.shape[1], activation=activation))
    model.layers[-1].set_weights([kernel, np.array(bias)])
    return model


def probabilities():
    """What `network` says, by the definition."""
    logits = X.reshape(9, -1) / 255 @ KERNEL + [0, 0, -50]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def losses(p):
    """−log p of the labels, as scikit-learn has it: of 0 it is finite."""
    return -np.log(np.maximum(p[np.arange(9), Y], np.finfo("float64").eps))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    extra = Finding("extra", f"`x` is {SCRIPT}", "mend it", severity="error", evidence={"n": 1})
    path = report(
        tmp_path_factory.mktemp("report") / "new" / "report.html",
        model=network(),
        data=(X, Y),
        history=HISTORY,
        class_names=NAMES,
        findings=[extra],
        settings={"seed": 7, "optimizer": {"rate": 1e-3}, "note": SCRIPT},
        passed_over={f"photos/{SCRIPT}.png": "it can't be read"},
    )
    return Page(path)


def test_the_page_is_whole_and_needs_nothing_from_outside(page):
    assert (page.wrong, page.open) == ([], [])
    assert all(address.startswith(("data:", "#")) for address in page.all("href"))
    assert all(address.startswith("data:image/") for address in page.all("src"))
    assert all(page.all("alt"))
    assert len(page.all("alt")) == len(page.all("src")) == 7
    ids = page.all("id")
    assert len(set(ids)) == len(ids)
    assert {link[1:] for link in page.all("href") if link.startswith("#")} == set(ids)


def test_texts_of_users_are_escaped(page):
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(SCRIPT) >= 5  # finding, class, confusion, setting, file
    assert "optimizer.rate 0.001" in page.text
    assert f"photos/{SCRIPT}.png it can't be read" in page.text


def test_the_worst_findings_come_first(page):
    found = [attrs["class"] for tag, attrs in page.tags if tag == "article"]
    assert found[0] == "finding error"
    assert found == sorted(found, key=["finding error", "finding warning", "finding info"].index)
    assert "→ Mend it." in page.text
    assert "never_predicted" in page.text


def test_scores_are_those_of_the_definitions(page):
    p = probabilities()
    right = (p.argmax(1) == Y).sum()
    scores = {row["measure"]: row for row in page.table("scores.csv")}
    assert scores["accuracy"]["value"] == f"{100 * right / 9:.1f} %"
    low, high = scipy.stats.binomtest(right, 9).proportion_ci(method="wilson")
    assert scores["accuracy"]["95 % interval"] == f"{100 * low:.1f} % to {100 * high:.1f} %"
    assert scores["accuracy"]["line to beat"] == "44.4 %, the share of 'cat & dog'"
    balanced = sklearn.metrics.balanced_accuracy_score(Y, p.argmax(1))
    assert scores["balanced accuracy"]["value"] == f"{100 * balanced:.1f} %"
    nll = float(scores["negative log-likelihood"]["value"])
    assert nll == pytest.approx(losses(p).mean(), abs=1e-3)
    ece = sum(
        int(b["images"]) * abs(float(b["share_right"]) - float(b["mean_probability"]))
        for b in page.table("reliability.csv")
    )
    assert float(scores["calibration error (ECE)"]["value"]) == pytest.approx(ece / 9, abs=5e-4)


def test_classes_and_confusion_agree(page):
    said = probabilities().argmax(1)
    matrix = sklearn.metrics.confusion_matrix(Y, said, labels=[0, 1, 2])
    cells = np.zeros((3, 3), int)
    for row in page.table("confusion_counts.csv"):
        cells[NAMES.index(row["true"]), NAMES.index(row["predicted"])] = row["images"]
    np.testing.assert_array_equal(cells, matrix)
    rows = {row["class"]: row for row in page.table("classes.csv")}
    for k, name in enumerate(NAMES):
        counts = [int(rows[name][key]) for key in ("images", "found", "predicted")]
        assert counts == [matrix[k].sum(), matrix[k, k], matrix[:, k].sum()]
        ends = scipy.stats.binomtest(matrix[k, k], matrix[k].sum()).proportion_ci(method="wilson")
        shown = [float(rows[name][key]) for key in ("low", "high")]
        np.testing.assert_allclose(shown, ends, atol=1e-6)
    recalls = [float(row["recall"]) for row in rows.values()]
    assert recalls == sorted(recalls)


def test_figures_have_their_numbers(page):
    assert [row["val_loss"] for row in page.table("loss.csv")] == ["1.3", "1"]
    assert [row["learning_rate"] for row in page.table("learning_rate_by_epoch.csv")] == [
        "0.1",
        "0.01",
    ]
    worst = [int(row["number"]) for row in page.table("worst_images.csv")]
    order = np.argsort(-losses(probabilities()), kind="stable")
    np.testing.assert_array_equal(worst, order)


@pytest.mark.slow
def test_augmentation_is_the_same_again_and_copies_are_found(tmp_path):
    """The random numbers of a layer are put back."""
    layer = keras_dcnn.layers.RandomHSV(seed=1)
    x = np.concatenate([X[:1], X[:1]])
    pages = [
        report(tmp_path / name, training_data=(x, [0, 1]), data=(x[:1], [0]), augmentation=layer)
        for name in ("a.html", "b.html")
    ]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    text = Page(pages[0]).text
    assert "1 of 1 held-out images (100.0 %) are in the training data as well, number 0, so" in text
    assert "2 images of the training data (100.0 %) are equal to others of another class" in text


def test_one_epoch_alone_and_batches_alone(tmp_path):
    paths = [report(tmp_path / name, history={"loss": [0.7]}) for name in ("a.html", "c.html")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == paths
    page = Page(paths[0])
    assert page.table("loss.csv") == [{"epoch": "1", "loss": "0.7"}]
    assert not {"scores", "classes", "worst", "images"} & set(page.all("id"))
    batches = [float("nan"), *np.linspace(2, 1, 4500)]
    page = Page(report(tmp_path / "b.html", batch_losses=batches))
    rows = page.table("loss_by_batch.csv")
    assert len(rows) <= 2000
    assert rows[-1]["step"] == "4501"
    assert "Loss by epoch" not in page.text


def test_of_streamed_images_the_worst_are_kept():
    """Whether outputs are probabilities or logits, in batches of any size."""
    x = RANDOM.normal(0, 1, (90, 1, 1, 3)).astype("float32")
    x[:20] = abs(x[:20]) % 1  # a first batch that looks like probabilities
    y = RANDOM.integers(0, 3, 90)
    model = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])
    read = DataRead("data", (x, y), 20, model)
    logits = x.reshape(90, 3)
    of_each = np.log(np.exp(logits).sum(1)) - logits[np.arange(90), y]
    worst = np.argsort(-of_each)[:WORST].tolist()
    assert set(worst) <= set(read.worst)
    assert len(read.worst) <= 2 * WORST
    for number in worst:
        np.testing.assert_array_equal(read.worst[number], x[number])


BAD = {
    "nothing": ({}, ValueError, "needs one of model, data"),
    "folder": ({"path": ".", "history": HISTORY}, ValueError, "must be a file"),
    "no path": ({"path": "", "history": HISTORY}, ValueError, "must be a path"),
    "history": ({"history": {"accuracy": [1]}}, ValueError, "'loss'"),
    "model": ({"model": "m.keras", "data": (X, Y)}, TypeError, "Keras model"),
    "finding": ({"findings": ["bad"]}, TypeError, "must be diagnosis.Finding"),
    "curve": ({"rate_curve": [1.0]}, TypeError, "LearningRateCurve"),
    "augmentation": ({"augmentation": 1, "history": HISTORY}, ValueError, "needs images"),
    "layers": ({"augmentation": "hsv", "data": (X, Y)}, TypeError, "must be a layer"),
    "settings": ({"settings": [1], "history": HISTORY}, TypeError, "must be a dict"),
    "files": ({"passed_over": "a.heic", "history": HISTORY}, TypeError, "list or dict of files"),
    "range": ({"history": HISTORY, "value_range": (1, 1)}, ValueError, "low < high"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)):
        report(**{"path": "report.html", **arguments})
    assert not any(tmp_path.iterdir())


def test_what_does_not_fit_the_model(tmp_path):
    with pytest.raises(ValueError, match="a name for each of the 3 classes"):
        report(tmp_path / "a.html", model=network(), data=(X, Y), class_names=["a"])
    with pytest.raises(ValueError, match="from 0 to 2"):
        report(tmp_path / "a.html", model=network(), data=(X, Y + 1))


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib.pyplot"])
def test_what_is_not_installed_is_said(missing, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install \"keras_dcnn\["):
        report(tmp_path / "a.html", history=HISTORY)


@pytest.mark.slow
def test_grey_images_and_a_sigmoid(tmp_path):
    x = RANDOM.integers(0, 256, (20, 5, 5), dtype="uint8")
    y = (np.arange(20) > 14).astype(int)
    kernel = RANDOM.normal(0, 1, (25, 1))
    page = {}
    for activation in ("sigmoid", None):
        model = network(kernel, (5, 5), activation, (0.0,))
        path = tmp_path / f"{activation}.html"
        layer = keras_dcnn.layers.RandomAffine(rotation=0.1)
        page[activation] = Page(report(path, model=model, data=(x, y[:, None]), augmentation=layer))
    said = x.reshape(20, -1) / 255 @ kernel[:, 0] > 0
    assert f"accuracy {100 * (said == y).mean():.1f} %" in page["sigmoid"].text
    assert page["sigmoid"].table("confusion_counts.csv") == page[None].table("confusion_counts.csv")
    assert {"worst", "augmentation"} <= set(page[None].all("id"))


@pytest.mark.slow
def test_what_has_no_scores_is_said(tmp_path):
    broken = network(KERNEL * np.nan)
    page = Page(report(tmp_path / "a.html", model=broken, data=(X, Y), class_names=NAMES))
    assert "The predictions of 9 of 9 held-out images are NaN" in page.text
    assert "scores" not in page.all("id")
    sigmoids = network(activation="sigmoid")
    page = Page(report(tmp_path / "b.html", model=sigmoids, data=(X, Y)))
    assert "no likelihood and no calibration" in page.text
    assert "calibration" not in page.all("id")


@pytest.mark.slow
def test_many_classes_stay_small(tmp_path):
    y = np.arange(1000) % 200
    x = RANDOM.integers(0, 256, (1000, 4, 4, 3), dtype="uint8")
    model = network(RANDOM.normal(0, 1, (48, 200)), bias=np.zeros(200))
    path = report(tmp_path / "a.html", model=model, data=(x, y))
    page = Page(path)
    assert path.stat().st_size < 3e6
    assert "the other 185 classes" in page.text
    assert len(page.table("classes.csv")) == 200


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it(width, tmp_path):
    """Without a word on the console, and no wider than the screen."""
    path = report(
        tmp_path / "a.html",
        model=network(),
        data=(X, Y),
        history=HISTORY | ACCURACIES,
        batch_losses=[1.0, 0.9, 0.8],
        class_names=[*NAMES[:2], "n" * 70],
        settings={"k" * 70: "v" * 200},
    )
    inner = html.escape(path.read_text(encoding="utf-8"))
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<iframe width={width} height=900 srcdoc="{inner}" onload="document.title = '
        'this.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    command = ["chromium", *flags, "--dump-dom", outer.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    assert 0 < int(re.search(r"<title>(\d+)</title>", done.stdout)[1]) <= width
