"""The network that a model is, as rules read it: steps in order, what feeds them and whom."""

from functools import cached_property
from typing import Any, NamedTuple

import keras

from keras_dcnn._keras.calls import calls_of
from keras_dcnn._keras.graph import functional, walk_paths
from keras_dcnn.diagnosis._preflight.activation_kinds import kind_of_step


class Step(NamedTuple):
    """A call of a layer or function; `call` is None where only the order of layers is known."""

    path: str
    operation: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_shape: tuple | None
    output_shape: tuple | None
    call: Any = None


class Network:
    """The steps of a model, nested models seen through, and the numbers of its ends."""

    def __init__(self, inputs, steps, outputs):
        self.inputs, self.steps, self.outputs = inputs, steps, outputs
        self._kinds = {}

    @cached_property
    def makers(self):
        """The step that makes a value, by number."""
        return {number: step for step in self.steps for number in step.outputs}

    @cached_property
    def users(self):
        """The steps that take a value, by number."""
        found = {}
        for step in self.steps:
            for number in step.inputs:
                found.setdefault(number, []).append(step)
        return found

    def kind(self, step):
        """The kind of the function that a step ends in."""
        if step.outputs not in self._kinds:
            self._kinds[step.outputs] = kind_of_step(step)
        return self._kinds[step.outputs]

    def before(self, step):
        """The step that makes the only input of a step, or None."""
        return self.makers.get(step.inputs[0]) if len(step.inputs) == 1 else None

    def after(self, step):
        """The steps that take what a step makes."""
        return [user for number in step.outputs for user in self.users.get(number, ())]


def read_network(model):
    """The Network of a functional or Sequential model, not built ones too; None of others."""
    paths = {id(layer): path for path, layer in reversed([*walk_paths(model)])}
    bases = (keras.Sequential, functional())
    if not any(isinstance(model, base) and type(model).call is base.call for base in bases):
        return None
    calls = calls_of(model)
    if calls is not None:
        steps = [_step(call, paths) for call in calls.calls]
        return Network(calls.inputs, steps, calls.outputs)
    if not isinstance(model, keras.Sequential):
        return None
    layers = list(_chain(model))
    steps = [
        Step(paths[id(layer)], layer, (place,), (place + 1,), None, None)
        for place, layer in enumerate(layers)
    ]
    return Network((0,), steps, (len(layers),))


def _chain(model):
    for layer in model.layers:
        yield from _chain(layer) if isinstance(layer, keras.Sequential) else (layer,)


def _step(call, paths):
    """Functions have no path; they are told by their name."""
    path = paths.get(id(call.operation), getattr(call.operation, "name", ""))
    shapes = [_shape(tensors) for tensors in (call.node.input_tensors, call.node.outputs)]
    return Step(path, call.operation, call.inputs, call.outputs, *shapes, call)


def _shape(tensors):
    return tuple(tensors[0].shape) if tensors else None


def listed(names, count=5):
    """The first names of a list, and how many more."""
    names = [f"`{name}`" for name in names]
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
