"""Refuses samples that members were trained on, to fit a head or to judge the members by."""

import warnings

import numpy as np

from keras_dcnn._reading import fingerprints as _fingerprints
from keras_dcnn._reading.batches import as_array, input_batches

WAY_OUT = (
    "call `fit_predictions` with the `oof_predictions` of a CrossValidationEnsemble and its "
    "`bags()` as members, or hold out images"
)


def guard(members, trained_on=None, subject="the data for the head", way_out=WAY_OUT):
    """A function that raises ValueError for samples that a member was trained on.

    It takes what a model takes, arrays or a list or dict of them. `trained_on` is what all members
    were trained on, data or their fingerprints, beside what was noted. Warns where neither is
    known of a member.
    """
    known = [_fingerprints.trained_on(member) for member in members]
    if trained_on is not None:
        told = _prints(trained_on)
        known = [told if one is None else np.union1d(one, told) for one in known]
    unknown = [
        f"member {i} `{m.name}`"
        for i, (m, k) in enumerate(zip(members, known, strict=True))
        if k is None
    ]
    if unknown:
        warnings.warn(
            "these samples must not be among those that the members were trained on, and nobody "
            f"noted which they were for {_listed(unknown)}: say it by `trained_on=x_train`, and it "
            "is checked.",
            stacklevel=3,
        )

    def check(x):
        prints = _fingerprints.fingerprints(x)
        for i, (member, seen) in enumerate(zip(members, known, strict=True)):
            count = 0 if seen is None else int(np.isin(prints, seen).sum())
            if count:
                raise ValueError(
                    f"{subject} must be samples that no member was trained on, which all members "
                    f"know by heart; member {i} `{member.name}` was trained on {count} of "
                    f"{len(prints)}: {way_out}."
                )

    return check


def _listed(unknown):
    more = len(unknown) - 3
    return ", ".join(unknown[:3]) + (f" and {more} more" if more > 0 else "")


def _prints(data):
    if getattr(data, "dtype", None) == np.uint64 and np.ndim(data) == 1:
        return np.unique(as_array(data))
    return np.unique(np.concatenate([*map(_fingerprints.fingerprints, input_batches(data))]))
