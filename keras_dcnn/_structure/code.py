"""What functions and classes of the user's run, as plain values: what Python made of their text.

Not the text itself, of which one line may hold two functions, and which may have changed since.
"""

import dis
import functools
import inspect
import sys
import sysconfig
import types

_LIBRARIES = ("builtins", "jax", "keras", "keras_dcnn", "numpy", "tensorflow", "torch")
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})
_CHANGE = (
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem"),
    *("remove", "setdefault", "update"),
)


@functools.cache
def is_library(module):
    """Whether a module, by its name, is not of the user's."""
    root = (module or "builtins").partition(".")[0]
    if root in _LIBRARIES or root in sys.stdlib_module_names - {"__main__"}:
        return True
    file = getattr(sys.modules.get(root), "__file__", None)
    return bool(file) and file.startswith(_INSTALLED)


def parts_of_function(function):
    """What it runs, its defaults, attributes and closure, and the global names that it uses.

    Names that it sets itself, and lists and dicts that it changes, are its state: they don't count.
    """
    code = function.__code__
    used, changed, attributes = _names(code)
    held = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # not set yet
            continue
    for name in used:
        if name in function.__globals__ and not name.startswith("__"):
            held.setdefault(name, function.__globals__[name])
    held = {name: _used(held[name], attributes) for name in sorted(held.keys() - changed)}
    own = {name: value for name, value in vars(function).items() if f".{name}" not in changed}
    return [
        _instructions(code),
        [function.__defaults__, function.__kwdefaults__, own],
        held,
    ]


def parts_of_class(kind):
    """Its bases, and its functions, properties and attributes."""
    own = {k: v for k, v in vars(kind).items() if callable(v) or not k.startswith("__")}
    return [kind.__bases__, {name: _function_of(value) for name, value in own.items()}]


def _function_of(value):
    """The functions in what a class makes of them."""
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, (staticmethod, classmethod)):
        return [type(value).__name__, value.__func__]
    return value.func if isinstance(value, functools.cached_property) else value


def _used(value, attributes):
    """Of a module of the user's what the code may use of it; of another its name."""
    if not isinstance(value, types.ModuleType):
        return value
    if is_library(value.__name__):
        return value.__name__
    return {name: vars(value)[name] for name in sorted(attributes & vars(value).keys())}


def _names(code):
    """Global names that are used, names of what is changed, and names of attributes."""
    used, changed, attributes = set(), set(), set(code.co_names)
    steps = [
        one for one in dis.get_instructions(code) if one.opname not in ("CACHE", "EXTENDED_ARG")
    ]
    for i, one in enumerate(steps):
        if one.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            used.add(one.argval)
        if one.opname in ("STORE_GLOBAL", "STORE_DEREF", "DELETE_GLOBAL"):
            changed.add(one.argval)
        if one.opname == "STORE_ATTR":
            changed.add(f".{one.argval}")
        if one.opname in ("LOAD_GLOBAL", "LOAD_DEREF") and i + 2 < len(steps):
            after, then = steps[i + 1 : i + 3]
            is_called = after.opname in ("LOAD_METHOD", "LOAD_ATTR") and after.argval in _CHANGE
            if is_called or then.opname in ("STORE_SUBSCR", "DELETE_SUBSCR", "COPY"):
                changed.add(one.argval)
    for inner in filter(inspect.iscode, code.co_consts):
        more = _names(inner)
        used, changed, attributes = used | more[0], changed | more[1], attributes | more[2]
    return used, changed, attributes


def _instructions(code):
    """What Python runs, but not where its lines are."""
    count = code.co_argcount + code.co_kwonlyargcount
    constants = [_instructions(one) if inspect.iscode(one) else one for one in code.co_consts]
    names = [code.co_names, code.co_freevars, code.co_varnames[:count]]
    return [code.co_code.hex(), code.co_flags, constants, names]
