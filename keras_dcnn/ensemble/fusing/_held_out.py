"""Held-out data: refuses samples that members were trained on, and checks their predictions."""

import warnings

import keras
import numpy as np

from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn._reading.batches import as_array, counting
from keras_dcnn._reading.fingerprints import as_fingerprints, fingerprints
from keras_dcnn._reading.rows import are_arrays, check_lengths
from keras_dcnn.ensemble.combining._models import shapes_of
from keras_dcnn.ensemble.judging._predictions import (
    as_weights,
    numbers_of_shape,
    place_in,
    raise_not_finite,
)

_NOT_TOLD = (
    "these samples must not be among those that the members were trained on; to have that checked, "
    "say which those were: trained_on=x_train, or for members in a directory "
    "trained_on=EnsembleOnDisk(directory).trained_on, unless that is None, as after training on "
    "data sets."
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


def held_out_batches(x, y, batch_size, check, sample_weight=None):
    """The batches of what `fit` takes, with labels, checked; arrays as a whole before the first.

    Samples of weight 0 are left out, so that no model runs on them.
    """
    if are_arrays(x):
        check(x)
    batches = batches_as_fit_takes_them(x, y, sample_weight, batch_size)[1]
    yield from batches_that_count(with_labels(batches, None if are_arrays(x) else check))


def with_labels(batches, check=None):
    """The batches, whose inputs are checked; ValueError where they have no labels."""
    for batch in batches:
        if check:
            check(batch[0])
        if batch[1] is None:
            raise ValueError("`y` must be given, for data without labels.")
        yield batch


def batches_that_count(batches):
    """The batches without the samples of weight 0, where there are others."""
    none = True
    for batch in batches:
        batch = that_count(*batch)
        if len(keras.tree.flatten(batch[0])[0]):
            none = False
            yield batch
    if none:
        raise ValueError("at least one sample must count; all have the `sample_weight` 0.")


def that_count(x, y, sample_weight):
    """The samples whose weight is not 0, of arrays or lists and dicts of them."""
    if sample_weight is None:
        return x, y, None
    counts = counting(sample_weight)
    if counts.all():
        return x, y, sample_weight
    check_lengths({"x": x, "y": y, "sample_weight": counts} if y is not None else {"x": x})

    def counted(data):
        return keras.tree.map_structure(lambda leaf: as_array(leaf)[counts], data)

    return counted(x), None if y is None else counted(y), counted(sample_weight)


def members_predictions(members, predictions):
    """Predictions for held-out data, (members, samples, classes), as of these members."""
    shape = shape_of_one_output(members)
    predictions = numbers_of_shape(
        "predictions", predictions, ("members", "samples", "…", "classes")
    )
    wanted = len(members), shape[-1]
    if (len(predictions), predictions.shape[-1]) != wanted:
        raise ValueError(
            f"`predictions` must be (members, samples, classes) of {wanted[0]} members and "
            f"{wanted[1]} classes; got shape {predictions.shape}."
        )
    return predictions


def counted_rows(members, predictions, y=None, sample_weight=None):
    """Rows of what the members predicted, labels and weights, of the samples that count."""
    predictions = members_predictions(members, predictions)
    wrong = ~np.isfinite(predictions)
    weights = as_weights(sample_weight, predictions.shape[1:])
    if weights is not None:
        wrong &= weights.reshape(len(weights), *(1,) * (wrong.ndim - 2)) > 0
    if wrong.any():
        raise_not_finite("predictions", place_in("predictions", wrong))
    return that_count(np.concatenate(predictions, axis=1), as_array(y), weights)


def shape_of_one_output(members):
    """The output shape of members alike; ValueError where they have several outputs."""
    shape = shapes_of(members[0])[1]
    if isinstance(shape, tuple):
        return shape
    raise ValueError(
        f"`members` must have one output, to be judged by its labels; `{members[0].name}` has "
        f"{len(shape)}: give models of one of them each."
    )
