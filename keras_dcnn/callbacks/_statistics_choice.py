"""Which statistics BatchNorm gets when weights are averaged."""

import math
import warnings

from keras_dcnn._checks import check_choice
from keras_dcnn._keras.fitting import has_validation, validate, variables_of_fit
from keras_dcnn._reading.ends import check_ends, check_readable_again
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn._structure.batch_norm import recompute_statistics


def check_statistics(batch_norm, evaluate, data):
    """Raise ValueError unless the choice can be made in this way on these data."""
    check_choice("batch_norm", batch_norm, ("average", "recompute", "keep", "best"))
    if batch_norm in ("recompute", "best") and data is None:
        raise ValueError(
            f"batch_norm={batch_norm!r} needs `data` to measure on; got None: pass what `fit` gets."
        )
    check_readable_again("`data`", data)
    check_ends("`data`", data)
    if batch_norm == "best" and evaluate == "raw":
        raise ValueError(
            "batch_norm='best' chooses by the validation of the average, which evaluate='raw' "
            "leaves out: use evaluate='averaged'."
        )


def set_statistics(model, statistics, last, choice, data):
    """Give the variables, which hold averages, what `choice` says; a sentence on the best, or None.

    `last` are the values after the last batch.
    """
    if choice == "best" and not has_validation(model):
        if variables_of_fit(model).get("validation_data") is None:  # else they are to come
            _warn_of_no_loss("pass `validation_data` to fit")
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
            losses[name] = validate(model).get("loss")
        if None in losses.values():
            _warn_of_no_loss("have the `test_step` of the model return 'loss'")
            put_back(statistics, values["average"])
            return None
        choice = min(losses, key=lambda name: (not math.isfinite(losses[name]), losses[name]))
        listed = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items())
        sentence = f"BatchNorm statistics by validation loss: {choice} ({listed})."
    put_back(statistics, values[choice])
    return sentence


def _warn_of_no_loss(advice):
    warnings.warn(
        f"batch_norm='best' has nothing to choose by, so the statistics are averaged: {advice}.",
        stacklevel=3,
    )
