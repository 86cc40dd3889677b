"""The sections of the page, each of what was given for it; None where nothing was."""

import numpy as np

from keras_dcnn.diagnosis.diagnose import diagnose
from keras_dcnn.diagnosis.examine_predictions import examine_predictions
from keras_dcnn.diagnosis.finding import Finding, worst_first
from keras_dcnn.visualization._report import class_figures, data_card
from keras_dcnn.visualization._report.curve_figures import curve_figures
from keras_dcnn.visualization._report.predicted import Predicted, names_of
from keras_dcnn.visualization._report.settings import model_rows, setting_rows, version_rows

_SHORT = 30  # classes up to which a table is shown whole
_FIRST = 15  # of more classes


def sections_of(given, reads, curves):
    """A dict of all that the template shows.

    `given` are the arguments of `report`, `reads` a `DataRead` of each of the data by name,
    `curves` those of the history or None.
    """
    held_out = reads.get("data")
    predicted = _predicted(given, held_out)
    names = _names(given, reads, predicted)
    batches = given.history if given.batch_losses is None else given.batch_losses
    if curves is None or curves.batches is None or not np.isfinite(curves.batches.losses).any():
        batches = None
    return {
        "title": given.title,
        "findings": _findings(given, reads, predicted, names),
        "predicted": predicted,
        "scores": predicted and predicted.summary(),
        "curves": curve_figures(curves, batches, given.rate_curve),
        "classes": predicted and predicted.by_class(),
        "first": _FIRST if len(names) > _SHORT else len(names),
        "class_table": predicted and predicted.class_table(),
        "pairs_of_classes": predicted and predicted.pairs(),
        "confusion": predicted and class_figures.confusion_figures(predicted),
        "worst": _worst(given, held_out, predicted),
        "reliability": _reliability(predicted),
        "augmentation": _augmentation(given, reads),
        **_data(given, reads, names),
        "passed_over": data_card.passed_over_files(given.passed_over),
        "record": given.record,
        "settings": setting_rows(given.settings or {}),
        "model": [] if given.model is None else model_rows(given.model),
        "versions": version_rows(),
    }


def _predicted(given, held_out):
    """The numbers of the predictions; None without any, or where they aren't finite."""
    if held_out is None or held_out.outputs is None or not np.isfinite(held_out.outputs).all():
        return None
    return Predicted(held_out.y, held_out.outputs, given.class_names)


def _names(given, reads, predicted):
    if predicted is not None:
        return predicted.names
    known = [read.num_classes for read in reads.values()]
    return names_of(given.class_names, max(known, default=0))


def _findings(given, reads, predicted, names):
    """All findings, the worst first; None where nothing was looked at."""
    found = list(given.findings)
    found += _not_finite(reads.get("data"))
    found += data_card.find_copies(list(reads.values()), names)
    if given.history is not None:
        known = _known(reads, predicted)
        found += diagnose(given.history, batch_losses=given.batch_losses, **known)
    if predicted is not None:
        found += examine_predictions(predicted.y, predicted.p, given.class_names)
    looked = found or reads or given.history is not None
    return list(dict.fromkeys(worst_first(found))) if looked else None


def _known(reads, predicted):
    """What the curves can't tell: how many classes, and the share of the largest."""
    if not reads:
        return {}
    y = (reads.get("training_data") or reads["data"]).y
    share = float(np.bincount(y).max() / len(y))
    count = None if predicted is None else len(predicted.names)
    return {"num_classes": count, "majority_share": share if share < 1 else None}


def _not_finite(held_out):
    if held_out is None or held_out.outputs is None:
        return
    wrong = ~np.isfinite(held_out.outputs).all(1)
    if wrong.any():
        yield Finding(
            "predictions_not_finite",
            f"the predictions of {wrong.sum():,} of {len(wrong):,} held-out images are NaN or "
            "infinite, so that there is no score",
            "look for NaN in the weights, as after a training that diverged, and in the images",
            severity="error",
            evidence={"images": int(wrong.sum()), "first": int(wrong.argmax())},
        )


def _worst(given, held_out, predicted):
    if predicted is None or not held_out.worst:
        return None
    return class_figures.worst_figure(predicted, held_out.worst, given.value_range)


def _reliability(predicted):
    if predicted is None or not predicted.are_shares:
        return None
    return class_figures.calibration_figure(predicted)


def _augmentation(given, reads):
    """Draws of the layers on images of the training, or of the held-out data."""
    read = reads.get("training_data") or reads.get("data")
    if given.augmentation is None or not read.examples:
        return None
    images = np.stack([read.examples[label] for label in sorted(read.examples)])
    return class_figures.augmentation_figure(given.augmentation, images, given.value_range)


def _data(given, reads, names):
    """The card, the counts and the figure of the classes."""
    if not reads:
        return {"card": None, "counts": None, "balance": None}
    listed = [reads[name] for name in ("training_data", "data") if name in reads]
    label = "training data" if "training_data" in reads else "held-out data"
    return {
        "card": data_card.card_of(listed),
        "counts": data_card.counts_of(listed, names),
        "balance": class_figures.balance_figure(label, listed[0].y, given.class_names, names),
    }
