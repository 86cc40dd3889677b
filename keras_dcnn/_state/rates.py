"""Learning rates of the optimizers that train a model."""

import re

import keras

from keras_dcnn._keras.learning_rates import reads_rate, set_rate
from keras_dcnn._keras.optimizers import (
    has_fixed_rate,
    leaf_optimizers,
    slots,
    training_optimizers,
    trains_by_itself,
)


def rate_of(optimizer):
    """The learning rate as a float."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def rate_holders(model):
    """The optimizers that hold a learning rate with which the model is trained."""
    return [leaf for one in training_optimizers(model) for leaf in leaf_optimizers(one.optimizer)]


def rates_of(model):
    """The learning rates of all optimizers that train the model."""
    return [rate_of(one) for one in rate_holders(model)]


def check_rates_can_be_set(owner, model):
    """Raise ValueError where there is no optimizer, or one whose learning rate can't be set."""
    training = training_optimizers(model)
    if not training:
        its = "holds none in its attributes" if trains_by_itself(model) else "has none"
        raise ValueError(
            f"{owner} needs an optimizer whose learning rate it can set; `{model.name}` {its}: "
            "give `compile` an optimizer, or leave the callback out."
        )
    for where, optimizer in training:
        for leaf in leaf_optimizers(optimizer):
            why = _why_not_to_be_set(model, leaf)
            if why:
                its = "" if where == "optimizer" else f" in `model.{where}`"
                raise ValueError(
                    f"{owner} needs a learning rate that it can set; the optimizer "
                    f"`{getattr(leaf, 'name', where)}`{its} {why}."
                )


def _why_not_to_be_set(model, optimizer):
    """What stands against setting the rate, and what to do; None if nothing does."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return f"is a {type(optimizer).__name__}, not one of Keras's: use keras.optimizers"
    if not has_fixed_rate(optimizer):
        return "follows a schedule: pass it a number, or drop one of the two"
    if not reads_rate(model, optimizer):
        return (
            "is not among the variables that JAX gives the compiled step: compile with "
            "run_eagerly=True, or hold its variables in an attribute of the model"
        )
    return None


def set_rates(model, rates):
    """Set the rates of all optimizers, between two batches too; None leaves one as it is."""
    for optimizer, rate in zip(rate_holders(model), rates, strict=True):
        if rate is not None:
            set_rate(model, optimizer, rate)


def batches_of_an_update(model):
    """Of how many batches an optimizer makes one update, the most among those that train."""
    steps = [one.gradient_accumulation_steps or 1 for one in rate_holders(model)]
    return max(steps, default=1)


def without_rates(model, with_slots):
    """The weights of a model, and the slots of the optimizers that train it, but their rates."""
    variables = list(model.weights)
    if with_slots:
        variables += [v for one in training_optimizers(model) for v in slots(one.optimizer)]
    rates = {id(one.learning_rate) for one in rate_holders(model)}
    return [v for v in variables if id(v) not in rates]


def log_rates(model, logs):
    """Put the rates into the logs as `learning_rate`, or several by `rate_names`."""
    for name, optimizer in zip(rate_names(model), rate_holders(model), strict=True):
        logs[name] = rate_of(optimizer)


def rate_names(model):
    """The names of the rates in the logs: `learning_rate`, with an ending where there are several.

    That is the name of an optimizer inside that of `compile`, and of others the attribute.
    """
    names = []
    for where, optimizer in training_optimizers(model):
        own = re.sub(r"\W+", "_", where).strip("_") if where != "optimizer" else ""
        leaves = leaf_optimizers(optimizer)
        for leaf in leaves:
            parts = [own, leaf.name if len(leaves) > 1 or not own else ""]
            name = "_".join(["learning_rate", *filter(None, parts)])
            names.append(f"{name}_{len(names)}" if name in names else name)
    return names if len(names) > 1 else ["learning_rate"] * len(names)
