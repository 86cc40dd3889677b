"""Looks into the run of a model: at the calls of its layers, and after what it keeps in memory."""

import collections
import contextlib
import functools

from keras_dcnn._keras.graph import graphs_in


@contextlib.contextmanager
def shadowed(thing, **attributes):
    """Set attributes past what tracks them, and put back what was there."""
    own = vars(thing)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            if name in before:
                own[name] = before[name]
            else:
                del own[name]


@contextlib.contextmanager
def intercepted(layers, visit):
    """Within, `visit(layer, call)` comes before each call of one of the layers."""
    with contextlib.ExitStack() as stack:
        for layer in layers:
            visited = functools.partial(_visited, visit, layer, layer.call)
            stack.enter_context(shadowed(layer, call=visited))
        yield


def _visited(visit, layer, call, *args, **kwargs):
    bound = functools.partial(call, *args, **kwargs)
    visit(layer, bound)
    return bound()


@contextlib.contextmanager
def letting_go_of_activations(model):
    """Functional models drop a tensor after its last use, where Keras keeps all to the end."""
    graphs = graphs_in(model)
    uses = collections.Counter(id(node) for nodes, _ in graphs for node in nodes)
    with contextlib.ExitStack() as stack:
        for nodes, outputs in graphs:
            if any(uses[id(node)] > 1 for node in nodes):  # of two models, with two last uses
                continue
            for node, tensors in _last_uses(nodes, outputs):
                fill_in = functools.partial(_fill_in_and_drop, node.arguments.fill_in, tensors)
                stack.enter_context(shadowed(node.arguments, fill_in=fill_in))
        yield


def _last_uses(nodes, outputs):
    """Pairs of a node and the ids of the tensors that no later node and no output uses."""
    last = {id(x): node for node in nodes for x in node.input_tensors}
    kept = {id(x) for x in outputs}
    return [
        (node, {id(x) for x in node.input_tensors if last[id(x)] is node} - kept) for node in nodes
    ]


def _fill_in_and_drop(fill_in, tensors, values):
    arguments = fill_in(values)
    for tensor in tensors:
        del values[tensor]
    return arguments
