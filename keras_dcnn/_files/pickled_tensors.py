"""The pickle in a file of PyTorch, read without executing any of it.

A pickle is a program: Python's own machine imports what it names and calls it. This one knows the
few instructions by which PyTorch lists tensors. The names in it stay text; nothing is imported.
"""

import pickletools
from typing import NamedTuple

import ml_dtypes
import numpy as np

# PyTorch writes the class of a storage; it stands for a type of numbers, little-endian.
_DTYPES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch BFloat16Storage": ml_dtypes.bfloat16,
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "i1",
    "torch ByteStorage": "u1",
    "torch BoolStorage": "?",
}
_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list}


class Storage(NamedTuple):
    """Numbers elsewhere in the file: their type, their name and how many they are."""

    dtype: np.dtype
    key: str
    count: int


class StoredTensor(NamedTuple):
    """A tensor as a view of a storage, in numbers of its type."""

    storage: Storage
    offset: int
    shape: tuple
    stride: tuple


class _Global(NamedTuple):
    """What the pickle would import."""

    name: str


def unpickle(file):
    """The plain values and `StoredTensor`s of the pickle that begins here in a binary file.

    The file is left behind the pickle. Raises ValueError for an instruction that is none of those
    of tensors, and says which; LookupError or TypeError for a pickle that makes no sense.
    """
    stack, memo = [], {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            return stack.pop()
        _step(stack, memo, opcode.name, argument)


def _step(stack, memo, name, argument):
    """One instruction; those of dicts and lists change what lies under their items."""
    if name in _VALUES:
        stack.append(argument)
    elif name in _LITERALS:
        stack.append(_LITERALS[name])
    elif name in _EMPTY:
        stack.append(_EMPTY[name]())
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name in ("MARK", "GLOBAL"):
        stack.append(_MARK if name == "MARK" else _Global(argument))
    elif name in _TUPLES:
        stack.append(tuple(_popped(stack, _TUPLES[name])))
    elif name in _TAKING_ITEMS:
        _TAKING_ITEMS[name](stack)
    elif name != "PROTO":
        raise ValueError(f"it has the instruction {name}, which lists no tensors")


_MARK = object()


def _popped(stack, count):
    """The last so many of the stack, taken off; IndexError where it has fewer."""
    return [stack.pop() for _ in range(count)][::-1]


def _since_mark(stack):
    """What was put on the stack after the last mark, taken off with it."""
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _extend(stack, items):
    """Put items into the list, or keys and values into the dict, that is last on the stack."""
    if isinstance(stack[-1], list):
        stack[-1].extend(items)
    else:
        _require(isinstance(stack[-1], dict), "it fills what is no dict")
        _require(all(isinstance(key, str) for key in items[::2]), "it has a key that is no text")
        stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _reduce(stack):
    """The call of a name: an empty dict, or a tensor; nothing else is taken for one."""
    function, arguments = _popped(stack, 2)
    if function == _Global(_DICT) and arguments == ():
        stack.append({})
    elif function == _Global(_TENSOR):
        storage, offset, shape, stride, _, _, *flags = arguments
        _require(isinstance(storage, Storage), "it has a tensor without a storage")
        _require(not any(flags), "it has a tensor that is conjugated or negated in reading")
        stack.append(StoredTensor(storage, offset, shape, stride))
    else:
        name = function.name if isinstance(function, _Global) else type(function).__name__
        raise ValueError(f"it calls `{name.replace(' ', '.')}`, which makes no tensor")


def _persistent(stack):
    """The description of a storage: ("storage", its class, key, device, count, no view of it)."""
    kind, name, key, _, count, *view = stack.pop()
    _require(kind == "storage" and isinstance(name, _Global), "it refers to what is no storage")
    _require(name.name in _DTYPES, f"it has numbers of `{name.name.replace(' ', '.')}`")
    _require(view in ([], [None]), "it has a view of a storage")
    _require(isinstance(key, str) and type(count) is int, "it has a storage without a name or size")
    stack.append(Storage(np.dtype(_DTYPES[name.name]), key, count))


def _set_attributes(stack):
    """The attributes of a dict, in which PyTorch notes versions of layers: they are let go."""
    stack.pop()
    _require(isinstance(stack[-1], dict), "it sets attributes of what is no dict")


def _require(condition, otherwise):
    if not condition:
        raise ValueError(otherwise)


_TAKING_ITEMS = {
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "SETITEM": lambda stack: _extend(stack, _popped(stack, 2)),
    "SETITEMS": lambda stack: _extend(stack, _since_mark(stack)),
    "APPEND": lambda stack: _extend(stack, _popped(stack, 1)),
    "APPENDS": lambda stack: _extend(stack, _since_mark(stack)),
    "REDUCE": _reduce,
    "BINPERSID": _persistent,
    "BUILD": _set_attributes,
}
