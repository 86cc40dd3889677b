"""Averages of the weights that Keras makes by itself, with `use_ema=True`, beside our callbacks.

Keras puts them into the model at the end of `fit`, before `on_train_end`, and SwapEMAWeights while
`fit` validates or between epochs.
"""

import keras

from keras_dcnn._keras.fitting import callbacks_of_fit
from keras_dcnn._keras.optimizers import leaf_optimizers, training_optimizers


def check_own_averages(callback):
    """Raise ValueError at the start of `fit` where one of ours would take the wrong weights."""
    name, restore = type(callback).__name__, getattr(callback, "restore", None)
    if callback.sets_weights:
        _refuse_ema(callback, "both set the model's weights in the end: leave one of the two out")
    if restore == "weights":
        _refuse_ema(
            callback,
            "restore='weights' leaves the optimizer with an average over weights that were given "
            "up: use restore='state'",
        )
    if restore and _swaps(callback) in ("before", "after"):
        raise ValueError(
            f"{name} with `restore` can't work beside SwapEMAWeights(swap_on_epoch=True), which "
            "would swap what is restored: leave `swap_on_epoch` out."
        )
    if callback.keeps_weights == "of the end" and _swaps(callback) in ("in validation", "after"):
        raise ValueError(
            f"{name} would keep other weights than SwapEMAWeights has validated: list "
            f"SwapEMAWeights(swap_on_epoch=True) before {name}."
        )
    if callback.keeps_weights == "of the beginning" and _swaps(callback) == "after":
        raise ValueError(
            f"{name} would write weights that SwapEMAWeights(swap_on_epoch=True) has swapped: list "
            f"SwapEMAWeights before {name}."
        )


def _refuse_ema(callback, why):
    for held in training_optimizers(callback.model):
        for optimizer in leaf_optimizers(held.optimizer):
            if getattr(optimizer, "use_ema", False):
                raise ValueError(
                    f"{type(callback).__name__} can't work beside the optimizer "
                    f"`{optimizer.name}` with use_ema=True: {why}."
                )


def _swaps(callback):
    """When SwapEMAWeights of the same `fit` has averages in the model: None for never, or

    "in validation" only, or also at ends of epochs, "before" or "after" the callback's turn.
    """
    callbacks = callbacks_of_fit()
    for place, one in enumerate(callbacks):
        if isinstance(one, keras.callbacks.SwapEMAWeights):
            is_before = any(other is callback for other in callbacks[place:])
            return ("before" if is_before else "after") if one.swap_on_epoch else "in validation"
    return None
