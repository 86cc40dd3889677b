"""What the losses and metrics of a compiled model are for."""

import functools
from typing import Any, NamedTuple

import keras

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn.losses import LogitAdjustedCrossentropy

_losses = keras.losses
# By the name of the function; the class has that of the class.
_FAMILIES = {
    "sparse": ("SparseCategoricalCrossentropy",),
    "categorical": ("CategoricalCrossentropy", "CategoricalFocalCrossentropy"),
    "binary": ("BinaryCrossentropy", "BinaryFocalCrossentropy"),
    "regression": (
        *("MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError"),
        *("MeanSquaredLogarithmicError", "Huber", "LogCosh"),
    ),
}
CROSS_ENTROPIES = ("sparse", "categorical", "binary", "adjusted", "auto")


class Loss(NamedTuple):
    """A loss: its family, "other" where it is none of Keras's usual ones, and its name."""

    family: str
    from_logits: bool
    name: str
    given: Any


def loss_of(given):
    """The Loss for what `compile` was given, or None."""
    if given is None:
        return None
    if isinstance(given, str):
        if given.lower() in ("crossentropy", "ce"):  # Keras chooses by the shapes
            return Loss("auto", False, given, given)
        given = _losses.get(given)
    name = getattr(given, "__name__", type(given).__name__)
    inner, keywords = given, {}
    if isinstance(given, functools.partial):
        inner, keywords = given.func, given.keywords
        name = getattr(inner, "__name__", name)
    from_logits = bool(getattr(given, "from_logits", keywords.get("from_logits", False)))
    return Loss(_family(inner), from_logits, name, given)


def _family(loss):
    if isinstance(loss, LogitAdjustedCrossentropy):
        return "adjusted"
    for family, names in _FAMILIES.items():
        for name in names:
            kind = getattr(_losses, name)
            function = _losses.get(_snake(name))
            # A subclass of the user's may compute something else.
            if loss is function or type(loss) is kind:
                return family
    return "other"


@functools.cache
def _snake(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def losses_of(model, names):
    """For each output the Loss of `compile`, or None; None for all where they don't pair."""
    given = compile_arguments(model)["loss"] if model.compiled else None
    return [loss_of(one) for one in by_output(given, names)]


def metrics_of(model, names):
    """For each output a list of what `compile` was given as metrics."""
    if not model.compiled:
        return [[] for _ in names]
    arguments = compile_arguments(model)
    found = [[] for _ in names]
    for key in ("metrics", "weighted_metrics"):
        given = arguments.get(key)
        if len(names) == 1 and isinstance(given, (list, tuple)):
            found[0] += keras.tree.flatten(given)
        elif given is not None:
            for place, one in enumerate(by_output(given, names)):
                found[place] += [part for part in keras.tree.flatten(one) if part is not None]
    return found


def by_output(given, names):
    """What is given by output, as a list: of a dict by name, of a list by order, else for all.

    None for an output about which nothing is to be seen.
    """
    if isinstance(given, dict):
        if len(given) == len(names) and not set(given) & set(names):  # keys of a dict of outputs
            return [given[key] for key in sorted(given)]
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        return list(given) if len(given) == len(names) else [None] * len(names)
    return [given] * len(names)
