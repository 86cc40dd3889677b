"""Learning rates of the optimizers in an optimizer."""

import keras

from keras_dcnn._keras.optimizers import has_fixed_rate, leaf_optimizers, set_rate


def rate_of(optimizer):
    """The learning rate as a float."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def rates_of(model):
    """The learning rates of all optimizers."""
    return [rate_of(one) for one in leaf_optimizers(model.optimizer)]


def check_rates_can_be_set(owner, model):
    """Raise ValueError where a learning rate follows a schedule."""
    for optimizer in leaf_optimizers(model.optimizer):
        if not has_fixed_rate(optimizer):
            raise ValueError(
                f"{owner} needs a learning rate that it can set; the optimizer "
                f"`{optimizer.name}` follows a schedule: pass it a number, or drop one of the two."
            )


def set_rates(model, rates):
    """Set the rates of all optimizers, between two batches too; None leaves one as it is."""
    for optimizer, rate in zip(leaf_optimizers(model.optimizer), rates, strict=True):
        if rate is not None:
            set_rate(model, optimizer, rate)


def log_rates(model, logs):
    """Put the rates into the logs, by the optimizer's name where there are several."""
    optimizers = leaf_optimizers(model.optimizer)
    for optimizer in optimizers:
        suffix = f"_{optimizer.name}" if len(optimizers) > 1 else ""
        logs[f"learning_rate{suffix}"] = rate_of(optimizer)
