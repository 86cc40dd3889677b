"""Looks into the run of a model: at the calls of its layers."""

import contextlib
import functools

from keras_dcnn._keras.calls import no_losses


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
def losses_kept(layers):
    """Within, the layers may be called; their `losses` are then those of before."""
    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(shadowed(layer, **no_losses()))
        yield


@contextlib.contextmanager
def at_inference(layers):
    """Within, the layers run as at inference, so that BatchNorm keeps its statistics."""
    with contextlib.ExitStack() as stack:
        for layer in layers:
            call = functools.partial(_as_at_inference, layer.call)
            stack.enter_context(shadowed(layer, call=call))
        yield


def _as_at_inference(call, inputs, training=None, **more):
    return call(inputs, training=False, **more)


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
