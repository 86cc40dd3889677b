"""Trains a model with a rising learning rate."""

import keras
import numpy as np

from keras_dcnn._progress import with_progress
from keras_dcnn._state.rates import check_rates_can_be_set, rate_holders, rates_of, set_rates
from keras_dcnn.diagnosis._learning_rate.curve import averages_so_far, has_diverged


def sweep(model, rates, batches, smoothing, verbose):
    """The loss at each rate up to where it diverges; whether it does."""
    losses, before = [], ()
    shares, slowest = _shares(model), _slowest_optimizer(model)
    for rate in with_progress(rates, len(rates), "Learning rate") if verbose else rates:
        set_rates(model, [rate * share for share in shares])
        update, loss = _train_to_update(model, batches, slowest)
        if not np.isfinite(loss):
            _check_finite(update, before)
            return losses, True
        losses.append(loss)
        before = update
        if has_diverged(averages_so_far(losses, smoothing)):
            return losses, True
    return losses, False


def _slowest_optimizer(model):
    """That which gathers the gradients of most batches for an update."""
    return max(rate_holders(model), key=lambda one: one.gradient_accumulation_steps or 1)


def _train_to_update(model, batches, optimizer):
    """The batches that are trained up to the next update of the optimizer, and their mean loss.

    No more than it gathers: loss scaling may leave an update out.
    """
    before, trained, losses = _updates(optimizer), [], []
    most = optimizer.gradient_accumulation_steps or 1
    while len(trained) < most and _updates(optimizer) == before:
        trained.append(next(batches))
        losses.append(_train(model, trained[-1]))
    return trained, float(np.mean(losses))


def _updates(optimizer):
    return int(keras.ops.convert_to_numpy(optimizer.iterations))


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


def _check_finite(batches, before):
    """Raise ValueError where it is the data that are not finite, as those before were."""
    if not _are_finite(batches) and _are_finite(before):
        raise ValueError(
            "`data` must be finite; a batch with NaN or infinite values came, and the loss was no "
            "longer finite: leave such samples out."
        )


def _are_finite(batches):
    arrays = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(batches) if x is not None]
    return all(np.isfinite(x).all() for x in arrays if x.dtype.kind in "fc")


def _train(model, batch):
    logs = model.train_on_batch(*batch, return_dict=True)
    if "loss" not in logs:
        raise ValueError(
            f"the model's train_step must return 'loss'; got {', '.join(logs) or 'none'}."
        )
    return float(logs["loss"])
