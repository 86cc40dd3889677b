"""The optimizers of a model beside that of `compile`: their state, taken and put back."""

import keras

from keras_dcnn._keras.optimizers import (
    build_optimizer,
    held_optimizers,
    leaf_optimizers,
    reset_slots,
    trained_by,
    trains_by_itself,
)
from keras_dcnn._state.snapshot import fits, put_back, snapshot


def own_optimizers(model):
    """The optimizers of a model that trains in a way of its own, but that of `compile`, by place.

    Raises ValueError for one that is not Keras's, of which nothing is known.
    """
    if not trains_by_itself(model):
        return {}
    held = held_optimizers(model)
    for where, optimizer in held:
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise ValueError(
                "the optimizers of a model that is resumed must be Keras's; "
                f"`model.{where}` is a {type(optimizer).__name__}: use keras.optimizers."
            )
    return {where: one for where, one in held if one is not model.optimizer}


def get_own_optimizers(model):
    """Their states by place; `trains` says of which variables of the model, None if not built."""
    numbers = {id(variable): i for i, variable in enumerate(model.weights)}
    states = {}
    for where, optimizer in own_optimizers(model).items():
        trained = trained_by(optimizer)
        states[where] = {
            "class": type(optimizer).__name__,
            "trains": trained and [numbers.get(id(variable)) for variable in trained],
            "values": snapshot(optimizer.variables),
        }
    return states


def set_own_optimizers(model, states):
    """Put back what `get_own_optimizers` got; ValueError where the model has other optimizers."""
    optimizers = own_optimizers(model)
    old = {where: state["class"] for where, state in states.items()}
    new = {where: type(one).__name__ for where, one in optimizers.items()}
    if old != new:
        raise ValueError(
            f"the optimizers of the model must be those of the state, {_listed(old)}; got "
            f"{_listed(new)}: make them before `fit`, or choose another directory."
        )
    for where, optimizer in optimizers.items():
        state = states[where]
        _build_as(model, optimizer, state["trains"])
        values, variables = state["values"], optimizer.variables
        # One that was not built then, and is now, had its first variables only.
        variables = variables if state["trains"] else variables[: len(values)]
        if not fits(variables, values):
            raise ValueError(
                f"the optimizer `model.{where}` must be that of the state; its variables differ in "
                "number or shape: choose another directory, or delete it to train from the "
                "beginning."
            )
        put_back(variables, values)


def _build_as(model, optimizer, trains):
    """Build an optimizer for the variables that it trained, or have it begin anew."""
    if trains is None:
        for leaf in leaf_optimizers(optimizer):
            reset_slots(leaf)
    elif not optimizer.built and None not in trains and max(trains) < len(model.weights):
        build_optimizer(model, optimizer, [model.weights[number] for number in trains])


def _listed(optimizers):
    named = [f"`model.{where}` ({name})" for where, name in optimizers.items()]
    return ", ".join(named) or "none"
