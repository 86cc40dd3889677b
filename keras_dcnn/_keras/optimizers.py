"""Optimizers: those that a model holds, those that they hold, their variables."""

import contextlib
import sys
import weakref
from typing import NamedTuple

import keras

_DEFAULTS = weakref.WeakKeyDictionary()


class HeldOptimizer(NamedTuple):
    """An optimizer and where in a model it is, such as "generator.optimizer" or "both['d']"."""

    where: str
    optimizer: object


def held_optimizers(model):
    """All optimizers that a model holds, each once, that of `compile` first.

    They are looked for in attributes, in lists, tuples and dicts of these, and in the layers and
    models inside; those of PyTorch are among them. A list that a model itself gives would replace
    this.
    """
    compiled = getattr(model, "optimizer", None)
    found = [] if compiled is None else [HeldOptimizer("optimizer", compiled)]
    _look_into(model, "", found, set())
    inside = {id(inner) for one in found for inner in _inside(one.optimizer)}
    each = {}
    for one in found:
        if id(one.optimizer) not in inside:
            each.setdefault(id(one.optimizer), one)
    return list(each.values())


def _inside(optimizer):
    """The optimizers inside one of loss scaling or a MultiOptimizer, and inside those."""
    inner = getattr(optimizer, "inner_optimizer", None)
    for one in [inner] if inner is not None else getattr(optimizer, "optimizers", []):
        yield from (one, *_inside(one))


def _look_into(part, where, found, seen):
    """Add the optimizers that a layer or a container holds, public attributes first."""
    if id(part) in seen or _is_of_keras(part):
        return
    seen.add(id(part))
    if isinstance(part, keras.Layer):
        values = {**vars(part), **vars(part).get("_modules", {})}  # layers, on PyTorch
        # Those of TensorFlow's trackables, "_self_…", are others once more.
        keys = sorted((k for k in values if k[:6] != "_self_"), key=lambda key: key[0] == "_")
        items = [(f"{where}.{key}".lstrip("."), values[key]) for key in keys]
    else:
        items = part.items() if isinstance(part, dict) else enumerate(part)
        items = [(f"{where}[{key!r}]", value) for key, value in items]
    for name, value in items:
        if isinstance(value, (keras.optimizers.Optimizer, *_optimizers_of_torch())):
            found.append(HeldOptimizer(name, value))
        elif isinstance(value, (keras.Layer, dict, list, tuple)):
            is_listed = isinstance(value, keras.Layer) and "_layers[" in name
            _look_into(value, value.name if is_listed else name, found, seen)


def _is_of_keras(part):
    """Whether this is one of Keras's own layers, which are many and hold no optimizer."""
    is_layer = isinstance(part, keras.Layer) and not isinstance(part, keras.Model)
    return is_layer and type(part).__module__.startswith("keras.")


def _optimizers_of_torch():
    return (sys.modules["torch"].optim.Optimizer,) if "torch" in sys.modules else ()


def trains_by_itself(model):
    """Whether a model has a way of its own to train, in which any optimizer may have a part."""
    ways = ("train_step", "make_train_function", "fit")
    return any(
        getattr(getattr(model, n), "__func__", None) is not getattr(keras.Model, n) for n in ways
    )


def training_optimizers(model):
    """Those of `held_optimizers` that may train the model: that of `compile`, or all.

    All are meant where the model trains in a way of its own, but for the RMSprop that Keras takes
    where `compile` is given no optimizer, and that then stands beside those that train.
    """
    compiled = getattr(model, "optimizer", None)
    if not trains_by_itself(model):
        return [] if compiled is None else [HeldOptimizer("optimizer", compiled)]
    held = held_optimizers(model)
    own = [one for one in held if one.optimizer is not compiled]
    return own if own and len(own) < len(held) and _is_default(compiled) else held


def _is_default(optimizer):
    """Whether this was the RMSprop that `compile` takes for none, when it was first asked for.

    Later its rate may be another, and in the middle of an epoch JAX has it.
    """
    if optimizer not in _DEFAULTS:
        given, default = leaf_optimizers(optimizer), keras.optimizers.RMSprop()
        _DEFAULTS[optimizer] = (
            len(given) == 1
            and type(given[0]) is type(default)
            and given[0].get_config() == {**default.get_config(), "name": given[0].name}
        )
    return _DEFAULTS[optimizer]


def leaf_optimizers(optimizer):
    """The optimizers that hold a learning rate: those inside loss scaling and MultiOptimizer."""
    if hasattr(optimizer, "inner_optimizer"):
        return leaf_optimizers(optimizer.inner_optimizer)
    if hasattr(optimizer, "optimizers"):
        return [leaf for inner in optimizer.optimizers for leaf in leaf_optimizers(inner)]
    return [optimizer]


def has_fixed_rate(optimizer):
    """False where the learning rate is a schedule or a callable, so that it can't be set."""
    return isinstance(optimizer.learning_rate, keras.Variable)


def slots(optimizer):
    """The variables of an optimizer but its learning rates: slots, iterations, loss scale."""
    rates = [one.learning_rate for one in leaf_optimizers(optimizer)]
    return [v for v in optimizer.variables if not any(v is rate for rate in rates)]


def reset_slots(optimizer):
    """Give the slots and iterations of a single optimizer the values that they began with.

    For that one like it is built for the same variables, whose list is private; a public `reset`
    of optimizers would replace it.
    """
    if optimizer.built:
        fresh = type(optimizer).from_config(optimizer.get_config())
        fresh.build(optimizer._trainable_variables)
        for variable, value in zip(slots(optimizer), slots(fresh), strict=True):
            variable.assign(value)


def build_optimizer(model, optimizer=None, variables=None):
    """Give the optimizer of `compile`, or another, its variables, where it has none yet."""
    strategy = getattr(model, "distribute_strategy", None)
    optimizer = optimizer or getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        with strategy.scope() if strategy else contextlib.nullcontext():
            optimizer.build(model.trainable_variables if variables is None else variables)


def trained_by(optimizer):
    """The variables that an optimizer was built for, or None; their list is private."""
    return list(optimizer._trainable_variables) if optimizer.built else None


def decaying_optimizer(optimizer, variable):
    """The optimizer whose own weight decay acts on `variable`, or None.

    Which optimizer of a MultiOptimizer a variable has, and whether `exclude_from_weight_decay` was
    said of it, are private, and after Keras 3.15 known under another name before the optimizer is
    built; a public question to the optimizer would replace this.
    """
    if hasattr(optimizer, "inner_optimizer"):
        return decaying_optimizer(optimizer.inner_optimizer, variable)
    if hasattr(optimizer, "_optimizer_map"):
        return decaying_optimizer(optimizer._optimizer_map(variable), variable)
    if not optimizer.weight_decay:
        return None
    is_excluded = getattr(optimizer, "_is_excluded_from_weight_decay", None)
    decays = not is_excluded(variable) if is_excluded else optimizer._use_weight_decay(variable)
    return optimizer if decays else None


def gradient_traces(optimizer):
    """A variable for each that an optimizer trains, or None, and whether 0 in it says "never".

    Exactly 0 where no gradient came. An average of squares does not come down to it; a momentum
    does after some hundred steps, and SGD's is of steps, which a rate of 0 leaves at 0. The lists
    are private; `variables` is public, but which is of what only their names say.
    """
    for name, always in (("_velocities", True), ("_u", True), ("momentums", False)):
        traces = getattr(optimizer, name, None)
        if traces:
            return list(traces), always
    return [], False
