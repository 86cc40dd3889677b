"""The report of a run, and its figures as files."""

from keras_dcnn._files.atomic import atomic_write
from keras_dcnn.visualization import plot_accuracy_gap, plot_confusion, plot_loss, report
from keras_dcnn.visualization._axes import pyplot

CURVES, CONFUSION = "training.png", "confusion.png"


def check_can_draw():
    """Have a missing package found now, not after the training."""
    from keras_dcnn.visualization._report.page import check_jinja

    pyplot()
    check_jinja()


def write_report(path, model, images, trained, settings, summary):
    """One page about a run."""
    shown = {name: summary[name] for name in ("network", "strategy", "image_size")}
    if trained.history:
        shown["epochs"] = len(trained.history["loss"])
    rate = {"rate_curve": trained.rate_curve} if trained.rate_curve else {}
    history = {"history": trained.history} if trained.history else {}
    layers, card = trained.augmentation, images.card
    report(
        path,
        model=model,
        data=images.parts["test"],
        training_data=images.parts["train"],
        findings=trained.findings,
        class_names=images.class_names,
        augmentation=list(layers.layers) if hasattr(layers, "layers") else layers,
        passed_over=card.passed_over | card.unreadable if card else {},
        settings=shown | _asked(settings),
        record=summary["record"],
        batch_size=settings.batch_size,
        title="Training report",
        **rate,
        **history,
    )


def _asked(settings):
    """What was asked for; not what was left to the run, which is in its record."""
    return {
        name: value
        for name, value in settings.as_json().items()
        if value not in (None, "auto")
        and name not in ("network", "strategy", "image_size", "epochs")
    }


def draw_pictures(folder, scores, trained):
    """The curves, where there are some, and the confusion."""
    if trained.history:
        figure, (loss, accuracy) = pyplot().subplots(1, 2, figsize=(11, 4), layout="constrained")
        plot_loss(trained.history, loss)
        plot_accuracy_gap(trained.history, ax=accuracy)
        _save(figure, folder / CURVES)
    ax = plot_confusion(scores.y, scores.p, scores.class_names)
    _save(ax.figure, folder / CONFUSION)


def _save(figure, path):
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=120)
    pyplot().close(figure)
