"""report: one HTML page that says what a training was worth, and what to do next."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Any

from keras_dcnn._checks import as_path, check_count, check_model, check_value_range
from keras_dcnn._files.atomic import atomic_write
from keras_dcnn.diagnosis._curves.reading import read_curves
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.diagnosis.learning_rate_curve import LearningRateCurve
from keras_dcnn.visualization._axes import pyplot
from keras_dcnn.visualization._loss_points import read_loss_points
from keras_dcnn.visualization._report.page import check_jinja, page_of
from keras_dcnn.visualization._report.read_data import DataRead
from keras_dcnn.visualization._report.sections import sections_of


def report(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    data: Any = None,
    training_data: Any = None,
    history: Any = None,
    batch_losses: Any = None,
    rate_curve: LearningRateCurve | None = None,
    findings: Iterable[Finding] = (),
    class_names: Sequence[str] | None = None,
    value_range: tuple[float, float] = (0, 255),
    augmentation: Any = None,
    passed_over: Mapping[Any, str] | Iterable[Any] = (),
    settings: Mapping[str, Any] | None = None,
    record: Iterable[str] = (),
    batch_size: int = 32,
    title: str = "Training report",
) -> Path:
    """Write one HTML page about a training: what is wrong first, then how good it is, and on what.

    For the moment when a model is trained: to read, to send to a colleague, to keep beside the
    weights. The page needs nothing from outside, no network and no script; it can be read on a
    phone and printed. Give what there is: what is missing leaves its section out.

    In this order: findings with advice, of `diagnose`, `examine_predictions`, of copies among the
    images, and those given; accuracy, balanced accuracy and negative log-likelihood with 95 %
    intervals, beside what always naming the largest class would reach; the curves; recall of each
    class; confusion; the worst images; calibration; augmented images; the data, with exact copies;
    what was decided, and why; settings, model, versions. Each figure has its numbers as CSV.

    The model predicts each held-out image once, and all numbers come from that, so that they agree.
    Samples of weight 0 are left out, all others count alike. Images are read batch by batch, and
    few are held. The same input gives the same bytes: the page has no date.

    Intervals are Wilson's for shares, Zou and Donner's for the balanced accuracy, and the mean ±
    1.96 standard errors for the likelihood. They say how far another test set of this size may
    differ, not what another training would give.

    Args:
        path: The file to write, such as `"runs/first/report.html"`; folders are made.
        model: The Keras model or ensemble to judge, of one output of scores for each image.
        data: Held-out images, `(x, y)` or `(x, y, sample_weight)` of arrays, or a tf.data set,
            PyDataset or DataLoader of such batches; y whole numbers or one-hot rows.
        training_data: What was trained on, in the same forms: for the counts of classes, and to
            find held-out images that are in it.
        history: All that `diagnosis.diagnose` reads: what `fit` returned, a dict of lists, the file
            of a CSVLogger, a `callbacks.CurveRecorder` or its file.
        batch_losses: A `CurveRecorder`, the path of its file, or a list with the loss of each
            batch.
        rate_curve: What `diagnosis.find_learning_rate` returned.
        findings: More findings, such as those of `diagnosis.preflight` and `diagnosis.examine`.
        class_names: A name for each class, in the order of their numbers.
        value_range: Lowest and highest value of a pixel, for showing the images.
        augmentation: One augmentation layer, or a list of them; needs images in `data` or
            `training_data`.
        passed_over: Files that were not used, or a dict with the reason for each.
        settings: What the training was run with, such as `{"seed": 0, "batch_size": 32}`; dicts in
            it are written as `optimizer.learning_rate`.
        record: Sentences on what was decided, and why.
        batch_size: Images in a batch where arrays are given, ≥ 1.
        title: Title of the page.

    Returns:
        The path that was written.

    Raises:
        TypeError: for a part of another kind, such as a `model` that is no Keras model.
        ValueError: where nothing is given to report on, a part can't be read, or parts don't fit
            each other.
        ImportError: without matplotlib or Jinja2: `pip install "keras_dcnn[report]"`.

    Example:

    ```python
    import keras_dcnn

    history = {"loss": [2.3, 1.1, 0.8], "val_loss": [2.2, 1.3, 1.2]}
    print(keras_dcnn.visualization.report("report.html", history=history, settings={"seed": 0}))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 7.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        Mitchell et al.: Model Cards for Model Reporting (2019). https://arxiv.org/abs/1810.03993
    """
    given = SimpleNamespace(**locals())
    given.findings, given.record = list(findings), list(record)
    if class_names is not None and not isinstance(class_names, str):
        given.class_names = list(class_names)
    given.path = _checked(given)
    if history is None and batch_losses is not None:
        given.history, given.batch_losses = _recorded(batch_losses), None
    curves = None if given.history is None else read_curves(given.history, given.batch_losses)
    reads = {}
    if training_data is not None:
        reads["training_data"] = DataRead("training_data", training_data, batch_size)
    if data is not None:
        reads["data"] = DataRead("data", data, batch_size, model)
    html = page_of(sections_of(given, reads, curves))
    given.path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(given.path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return given.path


def _checked(given):
    """The path; errors of all that needs no reading of data."""
    pyplot()
    check_jinja()
    path = as_path("path", given.path)
    if path.is_dir():
        raise ValueError(f"`path` must be a file; {path} is a folder: add a name, 'report.html'.")
    check_count("batch_size", given.batch_size)
    check_value_range(given.value_range)
    _check_parts(given)
    if given.model is not None:
        check_model(given.model)
        _check_names(given.model, given.class_names)
    for finding in given.findings:
        if not isinstance(finding, Finding):
            raise TypeError(
                f"`findings` must be diagnosis.Finding; got {type(finding).__name__}: give what "
                "`preflight` or `examine` returned."
            )
    if given.rate_curve is not None and not isinstance(given.rate_curve, LearningRateCurve):
        raise TypeError(
            "`rate_curve` must be what find_learning_rate returned, a LearningRateCurve; got "
            f"{type(given.rate_curve).__name__}: for curves by epoch there is `history`."
        )
    return path


def _recorded(batch_losses):
    """Losses of batches as a history without epochs: a CurveRecorder, its file, or as one."""
    if hasattr(batch_losses, "points") or isinstance(batch_losses, (str, os.PathLike)):
        return batch_losses
    losses = read_loss_points(batch_losses)
    return SimpleNamespace(points=lambda: {"step": losses.step, "loss": losses.loss})


def _check_parts(given):
    """What there is to report on, and what doesn't go without another part."""
    parts = ("model", "data", "training_data", "history", "batch_losses", "rate_curve")
    if not any(getattr(given, part) is not None for part in parts) and not given.findings:
        raise ValueError(f"the report needs one of {', '.join(parts)} or findings; got none.")
    if given.augmentation is not None and given.data is None and given.training_data is None:
        raise ValueError(
            "`augmentation` needs images to be shown on; got none: give `data` or `training_data`."
        )
    layers = given.augmentation
    layers = layers if isinstance(layers, (list, tuple)) else [] if layers is None else [layers]
    for name, right, kind in (
        ("augmentation", all(map(callable, layers)), "a layer, or a list of layers"),
        ("settings", isinstance(given.settings, (Mapping, NoneType)), "a dict"),
        ("passed_over", not isinstance(given.passed_over, str), "a list or dict of files"),
    ):
        if not right:
            raise TypeError(f"`{name}` must be {kind}; got {getattr(given, name)!r:.60}.")


def _check_names(model, names):
    """Names that don't fit the outputs, before the model predicts."""
    shape = getattr(model, "output_shape", None) if model.built else None
    if names is None or not isinstance(shape, tuple) or len(shape) != 2:
        return
    count = max(shape[1], 2)
    if len(names) != count:
        raise ValueError(
            f"`class_names` must have a name for each of the {count} classes of `model`; got "
            f"{len(names)}."
        )
