"""Trains a model with a rising learning rate."""

import contextlib

import numpy as np

from keras_dcnn._keras.optimizers import has_fixed_rate, leaf_optimizers
from keras_dcnn._progress import with_progress
from keras_dcnn._state.rates import rate_of
from keras_dcnn.diagnosis._rate_curve import has_diverged, smooth


def sweep(model, rates, batches, smoothing, verbose):
    """The loss at each rate up to where it diverges; whether it does."""
    losses = []
    set_rate = _rate_setter(model.optimizer)
    for rate, batch in _shown(zip(rates, batches, strict=False), len(rates), verbose):
        set_rate(rate)
        loss = _train(model, batch)
        if not np.isfinite(loss):
            return losses, True
        losses.append(loss)
        if has_diverged(smooth(losses, smoothing)):
            return losses, True
    return losses, False


def check_rates(optimizer):
    """Raise ValueError unless the optimizer has learning rates that can be set."""
    leaves = leaf_optimizers(optimizer)
    if not leaves:
        raise ValueError(
            f"{type(optimizer).__name__} must know its optimizers; they are chosen by a function: "
            "call model.optimizer.build(model.trainable_variables) first."
        )
    for leaf in leaves:
        if not has_fixed_rate(leaf):
            raise ValueError(
                f"the learning rate of {type(leaf).__name__} must be a number; got a schedule, "
                "which can't be set: compile with a number, such as 0.001, and give the rate that "
                "is found to the schedule."
            )
    if len(leaves) > 1 and max(map(rate_of, leaves)) == 0:
        raise ValueError(
            "the learning rates of several optimizers rise in proportion, but all are 0: set one."
        )


def _rate_setter(optimizer):
    """A function that sets the highest rate, and the others in proportion."""
    leaves = leaf_optimizers(optimizer)
    rates = [rate_of(leaf) for leaf in leaves]
    shares = [rate / max(rates) for rate in rates] if len(rates) > 1 else [1.0]

    def set_rate(rate):
        for leaf, share in zip(leaves, shares, strict=True):
            leaf.learning_rate = rate * share

    return set_rate


def _train(model, batch):
    logs = model.train_on_batch(*batch, return_dict=True)
    if "loss" not in logs:
        raise ValueError(f"the model's train_step must return 'loss'; got {', '.join(logs)}.")
    return float(logs["loss"])


def _shown(steps, total, verbose):
    """The steps, with a progress bar."""
    if not verbose:
        yield from steps
        return
    with contextlib.closing(with_progress(steps, total, "Learning rate")) as steps:
        yield from steps
