"""Looks into the run of a model: at the calls of its layers."""

import contextlib
import functools


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
