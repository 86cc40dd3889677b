"""The remedies by name: how each trains a new model, and what stands against it."""

from typing import Any, NamedTuple

import keras

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._state.rates import check_rates_can_be_set, rates_of, set_rates
from keras_dcnn.imbalance._activation_maps import pooled_head
from keras_dcnn.imbalance._phases import Samples, few_of
from keras_dcnn.imbalance._second_phase import changes_of
from keras_dcnn.imbalance.balanced_dataset import BalancedDataset
from keras_dcnn.imbalance.class_weights import by_counts, class_weights
from keras_dcnn.imbalance.minority_crops import MinorityCrops
from keras_dcnn.imbalance.train_in_two_phases import datasets_of, train_in_two_phases
from keras_dcnn.losses import LogitAdjustedCrossentropy

_SAMPLING = ("over", "under", "sqrt", "progressive")
_CROPS = ("crops", "guided crops")
_FORMS = {
    "many then few": "many_then_few",
    "balanced phase": "balanced",
    "head phase": "head",
    "reweighted phase": "reweighted",
}
_WEIGHTS = {"weights": "balanced", "effective weights": "effective", "sqrt weights": "sqrt"}
REMEDIES = ("none", *_SAMPLING, *_CROPS, *_FORMS, *_WEIGHTS, "adjusted loss", "adjusted")
_losses = keras.losses


class Plan(NamedTuple):
    """What all remedies of a comparison share."""

    samples: Samples
    epochs: tuple[int, int]  # on the data as they are, of the two phases; in all those of one
    rate: float  # by which the second phase multiplies the learning rate
    batch_size: int


class Loss(NamedTuple):
    """What is known of the cross-entropy that a model is compiled with."""

    given: Any
    of_numbers: bool  # and not of one-hot rows
    from_logits: bool


def loss_of(model):
    """The Loss of a compiled model; ValueError where it is none of Keras's two cross-entropies."""
    given = keras.tree.flatten(compile_arguments(model)["loss"])
    loss = given[0] if len(given) == 1 else None
    if isinstance(loss, str):
        loss = _losses.get(loss)
    of_numbers = loss is _losses.sparse_categorical_crossentropy or isinstance(
        loss, _losses.SparseCategoricalCrossentropy
    )
    of_rows = loss is _losses.categorical_crossentropy or isinstance(
        loss, _losses.CategoricalCrossentropy
    )
    if not of_numbers and not of_rows:
        raise ValueError(
            "`build` must compile with SparseCategoricalCrossentropy or CategoricalCrossentropy, "
            f"on an output for each class; got the loss {given[0] if len(given) == 1 else given!r}."
        )
    return Loss(loss, of_numbers, bool(getattr(loss, "from_logits", False)))


def check_remedy(name, model, plan):
    """Raise ValueError where a remedy is not for such a model, data or number of epochs."""
    if name in (*_CROPS, *_FORMS) and min(plan.epochs) < 1:
        raise ValueError("two phases need at least 2 epochs")
    if name in (*_CROPS, *_FORMS) and name != "head phase":
        check_rates_can_be_set("a second phase", model)
        if len(rates_of(model)) > 1:
            raise ValueError("a second phase needs an optimizer of one learning rate")
    if name in _CROPS and len(getattr(plan.samples.arrays[0], "shape", ())) != 4:
        raise ValueError("crops need images, one array (samples, height, width, channels)")
    if name == "guided crops":
        pooled_head(model, "the model")
    if name == "many then few":
        few_of(plan.samples.counts, None)
    if name in _FORMS:
        changes_of(_FORMS[name], model, None, by_counts(plan.samples.counts, "balanced", 0.5))
    if name == "adjusted loss" and getattr(loss_of(model).given, "label_smoothing", 0):
        raise ValueError("the adjusted loss knows no label smoothing")


def train(name, model, plan, seed):
    """Train a new model by a remedy, for as many steps as by any other."""
    epochs, how = sum(plan.epochs), {"batch_size": plan.batch_size, "seed": seed, "verbose": 0}
    samples = plan.samples
    natural = samples.natural(samples.counts > 0, plan.batch_size, seed)

    def as_long_as(epochs, data):
        return max(1, round(epochs * natural.num_batches / data.num_batches))

    if name in _FORMS:
        phases, _ = datasets_of(samples, _FORMS[name], None, plan.batch_size, seed)
        lengths = tuple(map(as_long_as, plan.epochs, phases))
        rate = None if name == "head phase" else rates_of(model)[0] * plan.rate
        form = {"form": _FORMS[name], "epochs": lengths, "learning_rate": rate}
        train_in_two_phases(model, samples.arrays, **form, **how)
        return
    if name in _SAMPLING:
        last = {"epochs": epochs} if name == "progressive" else {}
        data = BalancedDataset(*samples.arrays, mode=name, **last, **how)
        model.fit(data, epochs=as_long_as(epochs, data), verbose=0)
        return
    if name in _CROPS:
        model.fit(natural, epochs=plan.epochs[0], verbose=0)
        crops = MinorityCrops(*samples.arrays, guide=model if "guided" in name else None, **how)
        set_rates(model, [rates_of(model)[0] * plan.rate])
        model.fit(crops, epochs=as_long_as(plan.epochs[1], crops), verbose=0)
        return
    weights = None
    if name in _WEIGHTS:
        weights = class_weights(samples.classes, _WEIGHTS[name], num_classes=len(samples.counts))
    if name == "adjusted loss":
        from_logits = loss_of(model).from_logits
        loss = LogitAdjustedCrossentropy(samples.counts, from_logits=from_logits)
        model.compile(**{**compile_arguments(model), "loss": loss})
    model.fit(natural, epochs=epochs, class_weight=weights, verbose=0)
