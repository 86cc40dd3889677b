"""The blocks that a network is a chain of, from its input to its output."""

import itertools
from typing import NamedTuple

import keras

from keras_dcnn._keras.calls import calls_of
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._structure.kernels import all_kernels


class Block(NamedTuple):
    """A part of a network that all of it passes through: a convolution and what belongs to it, or
    all the branches between two such places."""

    name: str  # of the layer that it ends with
    layers: tuple[keras.Layer, ...]  # in the order they are run, none of them a model of layers
    end: int  # the number of the value that it gives

    @property
    def num_kernels(self):
        return len(kernels_in(self.layers))


def blocks_of(model, limit=None):
    """The blocks of a functional or Sequential model, as they are run; None where it is neither.

    Each has a kernel, and what has none follows it: normalization, activation, pooling. A kernel
    of a depthwise convolution belongs with the next. What stands before the first kernel is in the
    first block. A layer that is called in several blocks is in the first of them.

    With a `limit` neighbours become one, those with the fewest kernels first, until there are no
    more than that; the last block stays by itself.
    """
    calls = calls_of(model)
    if calls is None:
        return None
    blocks, waiting = [], []
    for layers, end in _segments(calls):
        layers, waiting = [*waiting, *layers], []
        if isinstance(layers[-1], keras.layers.Flatten) and end not in calls.outputs:
            waiting = layers  # so that a block ends with a map
            continue
        if blocks and not (kernels_in(layers) and _is_complete(blocks[-1])):
            layers = [*blocks.pop().layers, *layers]
        blocks.append(Block(layers[-1].name, tuple(layers), end))
    return _without_repeats(_merged(blocks, limit or len(blocks)))


def tensors_at(model, blocks):
    """A model from the inputs of `model` to what each of its blocks gives; layers are shared."""
    return model_to(model, [block.end for block in blocks])


def model_to(model, ends):
    """A model from the inputs of `model` to the values of these numbers; layers are shared.

    One input or output is none of a list.
    """
    calls = calls_of(model)
    inputs = [keras.Input(batch_shape=one.shape, dtype=one.dtype) for one in model.inputs]
    values = dict(zip(calls.inputs, inputs, strict=True))
    for call in calls.calls:
        if not set(ends) - set(values):
            break
        call.run(values)
    outputs = [values[end] for end in ends]
    inputs, outputs = (one[0] if len(one) == 1 else one for one in (inputs, outputs))
    return keras.Model(inputs, outputs, name=model.name)


def _segments(calls):
    """The layers between two places that all of the model passes through, and the value there."""
    last = {}  # by the number of a value, the call that uses it last
    for position, call in enumerate(calls.calls):
        last |= dict.fromkeys(call.inputs, position)
    last |= dict.fromkeys(calls.outputs, len(calls.calls))
    needed = max(last.get(number, -1) for number in calls.inputs)
    layers = []
    for position, call in enumerate(calls.calls):
        layers.append(call.operation)
        if needed <= position and len(call.outputs) == 1:
            yield layers, call.outputs[0]
            layers = []
        needed = max(needed, *(last.get(number, -1) for number in call.outputs))


def kernels_in(layers):
    """The kernels of layers, and of those inside them; a function among them has none."""
    found = [layer for layer in layers if isinstance(layer, keras.Layer)]
    inner = {id(one): one for layer in found for one in all_layers(layer)}
    return [kernel for layer in inner.values() for kernel in all_kernels(layer)]


def _is_complete(block):
    """Whether a block has a kernel of its own that is not depthwise."""
    return any(kernel.kind != "depthwise" for kernel in kernels_in(block.layers))


def _merged(blocks, limit):
    while len(blocks) > max(limit, 2):
        counts = [block.num_kernels for block in blocks[:-1]]
        sizes = [sum(pair) for pair in itertools.pairwise(counts)]
        at = sizes.index(min(sizes))
        one, two = blocks[at : at + 2]
        blocks[at : at + 2] = [Block(two.name, one.layers + two.layers, two.end)]
    return blocks


def _without_repeats(blocks):
    """Each layer once, in its first block; each name once, others with a number."""
    seen, names, result = set(), {}, []
    for block in blocks:
        layers = []
        for layer in block.layers:
            if isinstance(layer, keras.Layer) and id(layer) not in seen:
                seen.add(id(layer))
                layers.append(layer)
        names[block.name] = count = names.get(block.name, 0) + 1
        name = block.name if count == 1 else f"{block.name} ({count})"
        result.append(Block(name, tuple(layers), block.end))
    return result
