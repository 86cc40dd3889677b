"""Optimizers: those that a model holds, their slots, rates set within an epoch."""

import contextlib
import sys
import weakref
from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn._keras.fitting import state_on_jax, sync


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
    each = {}
    for one in found:
        each.setdefault(id(one.optimizer), one)
    return list(each.values())


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
    held = held_optimizers(model)
    compiled = [one for one in held if one.optimizer is getattr(model, "optimizer", None)]
    if not trains_by_itself(model):
        return compiled
    own = [one for one in held if one not in compiled]
    return own if own and compiled and _is_default(compiled[0].optimizer) else held


def _is_default(optimizer):
    (given, *others), default = leaf_optimizers(optimizer), keras.optimizers.RMSprop()
    if others or type(given) is not type(default):
        return False
    return given.get_config() == {**default.get_config(), "name": given.name}


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


class _StepWithNewRates:
    """JAX's training step, which first puts learning rates into the state that it is given."""

    def __init__(self, step, model):
        self._step = step
        self._model = weakref.ref(model)
        self._fit, self._rates = None, {}

    def set_rate(self, place, rate):
        if self._fit is not self._model().history:  # a `fit` was interrupted before its step
            self._fit, self._rates = self._model().history, {}
        self._rates[place] = rate

    def __call__(self, state, iterator):
        rates, self._rates = self._rates, {}
        if rates and self._fit is self._model().history:
            state = list(state)
            state[2] = self._with_rates(state[2], rates)
        return self._step(state, iterator)

    def _with_rates(self, optimizer_variables, rates):
        import jax

        values = list(optimizer_variables)
        for place, rate in rates.items():
            old = values[place]
            values[place] = jax.device_put(np.asarray(rate, old.dtype), old.sharding)
        return values


def set_rate(model, optimizer, rate):
    """Set a learning rate, also between two batches.

    There JAX's trainer holds them, and gives them to the step in the third of four lists, so they
    are changed on the way; the public way, where its state is not found, makes JAX wait.
    """
    if not state_on_jax(model):
        sync(model)
        optimizer.learning_rate = rate
        return
    if not isinstance(model.train_function, _StepWithNewRates):
        model.train_function = _StepWithNewRates(model.train_function, model)
    variables = model.optimizer.variables
    (place,) = [i for i, v in enumerate(variables) if v is optimizer.learning_rate]
    model.train_function.set_rate(place, rate)


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


def build_optimizer(model):
    """Give the optimizer its variables, where it has none yet."""
    strategy = getattr(model, "distribute_strategy", None)
    if not model.optimizer.built:
        with strategy.scope() if strategy else contextlib.nullcontext():
            model.optimizer.build(model.trainable_variables)


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
