"""How often the classes come, as logarithms of shares."""

import numpy as np

from keras_dcnn._checks import is_number


def log_priors(priors):
    """log π, float64, of counts or shares; ValueError for others, and for a class of none."""
    values = np.asarray(priors)
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
