"""Which statistics BatchNorm gets when weights are averaged."""

import math
import warnings

from keras_dcnn._keras.fitting import has_validation, validate
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn._structure.batch_norm import recompute_statistics


def set_statistics(model, statistics, last, choice, data):
    """Give the variables, which hold averages, what `choice` says; a sentence on the best, or None.

    `last` are the values after the last batch.
    """
    if choice == "best" and not has_validation(model):
        warnings.warn(
            "batch_norm='best' has nothing to choose by, so the statistics are averaged: pass "
            "`validation_data` to fit.",
            stacklevel=2,
        )
        return None
    values = {"average": snapshot(statistics), "keep": last}
    if choice != "keep":
        recompute_statistics(model, data)
        values["recompute"] = snapshot(statistics)
    sentence = None
    if choice == "best":
        losses = {}
        for name, value in values.items():
            put_back(statistics, value)
            losses[name] = validate(model)["loss"]
        choice = min(losses, key=lambda name: (not math.isfinite(losses[name]), losses[name]))
        listed = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items())
        sentence = f"BatchNorm statistics by validation loss: {choice} ({listed})."
    put_back(statistics, values[choice])
    return sentence
