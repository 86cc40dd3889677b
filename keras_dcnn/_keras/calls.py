"""The calls of layers that a model is made of, models inside it seen through."""

from typing import Any, NamedTuple

import keras

from keras_dcnn._keras.graph import functional, nodes_of


class Call(NamedTuple):
    """A call of a layer or function; the values that go in and come out are known by number."""

    operation: keras.Operation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    node: Any

    def run(self, values):
        """Put into `values`, tensors by number, what the call makes of those in it."""
        # `arguments`, which has the tensors in their places, is of a node, which is private.
        tensors = zip(self.node.input_tensors, self.inputs, strict=True)
        given = {id(tensor): values[number] for tensor, number in tensors}
        args, kwargs = self.node.arguments.fill_in(given)
        results = keras.tree.flatten(self.operation(*args, **kwargs))
        values.update(zip(self.outputs, results, strict=True))


class Calls(NamedTuple):
    """All calls of a model in an order in which they can be run, and the numbers of its ends."""

    inputs: tuple[int, ...]
    calls: list[Call]
    outputs: tuple[int, ...]


def calls_of(model):
    """The Calls of a functional or Sequential model; None for one with a `call` of its own."""
    if not nodes_of(model):
        return None
    numbers = iter(range(10**9))
    inputs = tuple(next(numbers) for _ in model.inputs)
    calls = []
    return Calls(inputs, calls, _walk(model, inputs, numbers, calls))


def _walk(model, inputs, numbers, calls):
    """Append the calls in a model whose inputs have these numbers; returns those of its outputs."""
    known = {id(tensor): number for tensor, number in zip(model.inputs, inputs, strict=True)}
    for node in nodes_of(model):
        if isinstance(node.operation, keras.layers.InputLayer):
            continue
        given = tuple(known[id(tensor)] for tensor in node.input_tensors)
        if _is_seen_through(node.operation):
            made = _walk(node.operation, given, numbers, calls)
        else:
            made = tuple(next(numbers) for _ in node.outputs)
            calls.append(Call(node.operation, given, made, node))
        known |= {id(tensor): number for tensor, number in zip(node.outputs, made, strict=True)}
    return tuple(known[id(tensor)] for tensor in model.outputs)


def _is_seen_through(operation):
    """Whether a layer is a model that does what its connections say, and no more."""
    bases = (keras.Sequential, functional())
    return bool(nodes_of(operation)) and any(type(operation).call is base.call for base in bases)


def no_losses():
    """What a layer keeps of the penalties of its last call, by attribute, as if it had none.

    To be shadowed while a model is called in between. `layer.losses` is public, and can't be put
    back.
    """
    return {"_losses": [], "_loss_ids": set()}
