"""Which layers `where` means."""

import inspect
from fnmatch import fnmatchcase

import keras


def check_where(where):
    """Raise TypeError for what can't pick layers."""
    if isinstance(where, (list, tuple)):
        for one in where:
            check_where(one)
    elif inspect.isclass(where):
        if not issubclass(where, keras.layers.Layer):
            raise TypeError(f"`where` as a class must be of layers; got {where.__name__}.")
    elif where is not None and not isinstance(where, str) and not callable(where):
        raise TypeError(
            "`where` must be a layer class, a pattern for names, a function that takes a layer, a "
            f"list of these, or None; got {where!r}."
        )


def is_chosen(where, path, layer):
    """Whether `where` means this layer."""
    if where is None:
        return True
    if isinstance(where, (list, tuple)):
        return any(is_chosen(one, path, layer) for one in where)
    if isinstance(where, str):
        return fnmatchcase(layer.name, where) or fnmatchcase(path, where)
    if inspect.isclass(where):
        return isinstance(layer, where)
    return bool(where(layer))


def is_named(where, path, layer):
    """Whether `where` says this layer's class, or its name or path in full."""
    if isinstance(where, (list, tuple)):
        return any(is_named(one, path, layer) for one in where)
    if inspect.isclass(where):  # keras.layers.Layer names nothing
        return isinstance(layer, where) and where is not keras.layers.Layer
    return isinstance(where, str) and where in (layer.name, path)
