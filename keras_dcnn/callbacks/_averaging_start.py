"""When the averaging of weights begins."""

import math
import numbers

from keras_dcnn._checks import check_count, check_number


def check_start(start):
    """Raise ValueError unless `start` is a share of the epochs, or a whole number of them."""
    if isinstance(start, numbers.Integral) and not isinstance(start, bool):
        check_count("start", start, minimum=0)
        return
    try:
        check_number("start", start, minimum=0, below=1)
    except ValueError as error:
        raise ValueError(f"{error} Or pass a whole number, of epochs, such as 10.") from None


def first_epoch(start, epochs):
    """The number of epochs before averaging begins, of so many in all."""
    whole = isinstance(start, numbers.Integral)
    return int(start) if whole else math.floor(start * epochs + 1e-9)


def why_nothing(averaging, begins, count):
    """Why a WeightAveraging averaged nothing, with `count` updates or epochs since it began."""
    ended, each = averaging.epochs_ended, averaging.update_every
    if ended <= begins:
        return (
            f"it begins after {begins} epochs, and the training ended after {ended}: lower `start`."
        )
    if not count:
        return (
            "the optimizer made no update since it began: see that the gradients are finite, and "
            "that `gradient_accumulation_steps` is at most the number of batches."
        )
    unit = "updates of the optimizer" if averaging.every == "batch" else "epochs with an update"
    return (
        f"it takes the weights after every {each} {unit}, of which there were {count} "
        "since it began: lower `update_every` or `start`."
    )
