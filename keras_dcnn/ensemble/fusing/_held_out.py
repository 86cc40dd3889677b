"""Held-out data: refuses samples that members were trained on, and checks their predictions."""

import warnings

import numpy as np

from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn._reading.fingerprints import as_fingerprints, fingerprints
from keras_dcnn._reading.rows import are_arrays
from keras_dcnn.ensemble.combining._models import shapes_of
from keras_dcnn.ensemble.judging._predictions import as_predictions

_NOT_TOLD = (
    "these samples must not be among those that the members were trained on; to have that checked, "
    "say which those were: trained_on=x_train, or for members in a directory "
    "trained_on=EnsembleOnDisk(directory).trained_on."
)


def held_out(trained_on, way_out):
    """A function from samples, as a model takes them, to their fingerprints.

    It raises ValueError for samples in `trained_on`, data or their fingerprints, and names the way
    out. Where nobody says what the members were trained on, a warning asks for it.
    """
    if trained_on is None:
        warnings.warn(_NOT_TOLD, stacklevel=3)
        return fingerprints
    known = as_fingerprints(trained_on)

    def check(x):
        prints = fingerprints(x)
        count = int(np.isin(prints, known).sum())
        if count:
            raise ValueError(
                "these must be samples that no member was trained on, which members know by heart; "
                f"of {len(prints)} they were trained on {count}: {way_out}."
            )
        return prints

    return check


def held_out_batches(x, y, batch_size, check):
    """The batches of what `fit` takes, with labels, checked; arrays as a whole before the first."""
    if are_arrays(x):
        check(x)
    for batch in batches_as_fit_takes_them(x, y, batch_size=batch_size)[1]:
        if not are_arrays(x):
            check(batch[0])
        if batch[1] is None:
            raise ValueError("`y` must be given, for data without labels.")
        yield batch


def members_predictions(members, predictions):
    """Predictions for held-out data, (members, samples, classes), finite, as of these members."""
    predictions = as_predictions("predictions", predictions)
    wanted = len(members), shapes_of(members[0])[1][-1]
    if predictions.shape[::2] != wanted:
        raise ValueError(
            f"`predictions` must be (members, samples, classes) of {wanted[0]} members and "
            f"{wanted[1]} classes; got shape {predictions.shape}."
        )
    return predictions
