"""Trains a model with a rising learning rate."""

import numpy as np

from keras_dcnn._progress import with_progress
from keras_dcnn._state.rates import check_rates_can_be_set, rates_of, set_rates
from keras_dcnn.diagnosis._rate_curve import has_diverged, smooth


def sweep(model, rates, batches, smoothing, verbose):
    """The loss at each rate up to where it diverges; whether it does."""
    losses = []
    shares = _shares(model)
    steps = zip(rates, batches, strict=False)
    for rate, batch in with_progress(steps, len(rates), "Learning rate") if verbose else steps:
        set_rates(model, [rate * share for share in shares])
        loss = _train(model, batch)
        if not np.isfinite(loss):
            return losses, True
        losses.append(loss)
        if has_diverged(smooth(losses, smoothing)):
            return losses, True
    return losses, False


def check_rates(model):
    """Raise ValueError unless the optimizer has learning rates that can be set."""
    check_rates_can_be_set("find_learning_rate", model)
    rates = rates_of(model)
    if len(rates) > 1 and max(rates) == 0:
        raise ValueError(
            "the learning rates of several optimizers rise in proportion, but all are 0: set one."
        )


def _shares(model):
    """The rates of the optimizers as parts of the highest."""
    rates = rates_of(model)
    return [1.0] if len(rates) == 1 else [rate / max(rates) for rate in rates]


def _train(model, batch):
    logs = model.train_on_batch(*batch, return_dict=True)
    if "loss" not in logs:
        raise ValueError(f"the model's train_step must return 'loss'; got {', '.join(logs)}.")
    return float(logs["loss"])
