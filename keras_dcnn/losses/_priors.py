"""How often the classes come, as logarithms of shares."""

import numpy as np

from keras_dcnn._checks import check_number, is_number

_LARGEST = 10**6  # τ, so that the shift of shares as small as a float can be is finite in float32


def log_priors(priors):
    """log π, float64, of counts or shares; ValueError for others, and for a class of none."""
    try:
        values = np.asarray(priors)
    except ValueError:  # lists of several lengths
        values = np.asarray(None)
    if values.ndim != 1 or len(values) < 2 or values.dtype.kind not in "iuf":
        raise ValueError(
            "`priors` must be one count or share for each of at least two classes, as "
            f"`np.bincount(y)` gives; got {priors!r}."
        )
    wrong = np.flatnonzero([not is_number(value) or value <= 0 for value in values])
    if len(wrong):
        raise ValueError(
            f"`priors` must be finite and above 0; got {values[wrong[0]]} for class {wrong[0]}: "
            "give how many samples each class has, np.bincount(y), and number the classes without "
            "those that have none."
        )
    logs = np.log(values.astype("float64"))
    return logs - np.logaddexp.reduce(logs)


def shift_of(priors, tau):
    """τ·log π up to a constant, float64; ValueError for a τ below 0 or beyond all reason."""
    logs = log_priors(priors)
    check_number("tau", tau, minimum=0, below=_LARGEST)
    return float(tau) * (logs - logs.max())  # a softmax knows of differences only
