"""Argument checks: each raises one sentence with the rule, the value received and the fix."""

import inspect
import math
import operator
import os
import warnings
from pathlib import Path

import keras
import numpy as np

# What every Keras layer takes beside its own arguments.
LAYER_KEYWORDS = ("activity_regularizer", "autocast", "dtype", "name", "trainable")


def check_keywords(part, kwargs, allowed=LAYER_KEYWORDS):
    """Raise TypeError for a keyword that neither `part` nor its Keras base takes."""
    unknown = sorted(set(kwargs) - set(allowed))
    if unknown:
        takes = [n for n in inspect.signature(type(part)).parameters if n != "kwargs"]
        raise TypeError(
            f"{type(part).__name__} got an unknown argument `{unknown[0]}`; "
            f"it takes {', '.join(takes)}, and Keras's {', '.join(allowed)}."
        )


def arguments_of(part):
    """What a part of ours was made with, for `get_config`; each is an attribute of its name."""
    ours = next(c for c in type(part).__mro__ if c.__module__.startswith("keras_dcnn."))
    names = inspect.signature(ours).parameters
    return {name: _plain(getattr(part, name)) for name in names if name != "kwargs"}


def _plain(value):
    """Numbers of NumPy as Python's, which JSON knows; also in lists, tuples and dicts."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    is_numpy = isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0
    return value.item() if is_numpy else value


def check_choice(name, value, choices):
    """Raise ValueError unless `value` is one of `choices`."""
    if not (value is None or np.isscalar(value)) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {listed}; got {value!r}.")


def is_number(value):
    """True for a finite real number, NumPy's included; booleans are not numbers here."""
    if isinstance(value, (bool, str, np.complexfloating)) or getattr(value, "ndim", 0):
        return False
    try:
        return math.isfinite(value)
    except (OverflowError, TypeError, ValueError):  # 10**400, and arrays of texts
        return False


def is_whole(value):
    """True for a whole number, NumPy's and tensors included; not for booleans and arrays."""
    if isinstance(value, (bool, np.bool_)) or getattr(value, "ndim", 0):
        return False
    try:
        return operator.index(value) is not None
    except (AttributeError, TypeError, ValueError):
        return False


def check_number(name, value, minimum=-math.inf, above=-math.inf, below=math.inf):
    """Raise ValueError unless `value` is finite and within these bounds."""
    if not is_number(value) or value < minimum or value <= above or value >= below:
        rule = "a finite number"
        if minimum > -math.inf:
            rule += f" of at least {minimum}"
        if above > -math.inf:
            rule += f" above {above}"
        if below < math.inf:
            rule += f" and below {below}"
        raise ValueError(f"`{name}` must be {rule}; got {value!r}.")


def check_model(model, name="`model`"):
    """Raise TypeError unless `model` is a Keras model; `name` is what it is called."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"{name} must be a Keras model; got {type(model).__name__}.")


def check_built_model(model, name="`model`"):
    """Raise TypeError unless `model` is a Keras model, ValueError unless it is built."""
    check_model(model, name)
    if not model.built:
        raise ValueError(
            f"{name} must be built; `{model.name}` is not: call it once, or begin it with "
            "keras.Input."
        )


def check_shares(name, values, count, of):
    """A tuple of `count` floats ≥ 0, not all 0, or None for None; `of` says of what they are."""
    if values is None:
        return None
    if np.shape(values) != (count,):
        raise ValueError(f"`{name}` must have one number per {of}, {count}; got {values!r}.")
    for value in values:
        check_number(name, value, minimum=0)
    values = tuple(float(value) for value in values)
    if not sum(values):
        raise ValueError(f"`{name}` must not all be 0; got {values}.")
    return values


def as_path(name, value):
    """The Path that is given, `~` standing for the home; ValueError for none, such as ""."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError(f"`{name}` must be a path, such as 'runs/first'; got {value!r}.")
    return Path(value).expanduser()


def check_real(what, x):
    """Raise TypeError for a tensor of complex numbers, texts or objects; `what` begins it.

    Of complex numbers a cast would keep one half.
    """
    dtype = getattr(x.dtype, "name", str(x.dtype)).removeprefix("torch.")
    if not any(kind in dtype for kind in ("float", "int", "bool")):
        fix = "their absolute or real part" if "complex" in dtype else "one array of numbers"
        raise TypeError(f"{what} must be real numbers; got {dtype}: give {fix}.")


def check_flag(name, value):
    """Raise ValueError unless `value` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"`{name}` must be True or False; got {value!r}.")


def warn_no_effect(part, why):
    """Warn that a part, as it was made, changes nothing."""
    warnings.warn(f"{part} with {why} changes nothing: leave it out.", stacklevel=3)


def check_count(name, value, minimum=1):
    """Raise ValueError unless `value` is a whole number of at least `minimum`."""
    if not is_whole(value) or value < minimum:
        raise ValueError(f"`{name}` must be a whole number of at least {minimum}; got {value!r}.")


def check_range(name, value, minimum=-math.inf, above=-math.inf):
    """Raise ValueError unless `value` is a pair (low, high) with low ≤ high above the bounds."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a pair (low, high); got {value!r}.")
    for bound in value:
        check_number(name, bound, minimum, above)
    if value[0] > value[1]:
        raise ValueError(
            f"`{name}` must have low ≤ high; got {tuple(value)!r}: swap the two numbers."
        )


def check_within(name, bounds, low, high, unit):
    """Raise ValueError unless `bounds`, a pair or None, lie in [low, high]; `unit` says of what."""
    if bounds is not None and (bounds[0] < low or bounds[1] > high):
        raise ValueError(
            f"`{name}` must lie between {low} and {high}, {unit}; got {tuple(bounds)!r}."
        )


def as_axes(name, axes):
    """The tuple for an axis, a list of axes, or None; ValueError for what is none of these."""
    listed = axes if isinstance(axes, (tuple, list)) else [] if axes is None else [axes]
    if not all(map(is_whole, listed)):
        raise ValueError(f"`{name}` must be whole numbers, as in [1, 2], or None; got {axes!r}.")
    return tuple(listed)


def symmetric_range(name, given):
    """The pair (low, high) that is given, (−x, x) for a number x ≥ 0, or None."""
    if given is None:
        return None
    if isinstance(given, (tuple, list)):
        check_range(name, given)
        return tuple(given)
    if not is_number(given) or given < 0:
        raise ValueError(
            f"`{name}` must be a finite number of at least 0, or a pair (low, high); got {given!r}."
        )
    return (-given, given)


def by_key(name, given, keys):
    """The values for two keys of a dict, or what is given twice."""
    if not isinstance(given, dict):
        return (given, given)
    if set(given) != set(keys):
        raise ValueError(
            f"`{name}` as a dict must have the keys {keys[0]!r} and {keys[1]!r}; got {[*given]}."
        )
    return tuple(given[key] for key in keys)


def data_format_or_default(data_format):
    """Keras's setting for None; ValueError for what is no data format."""
    if data_format is None:
        return keras.config.image_data_format()
    check_choice("data_format", data_format, ("channels_last", "channels_first"))
    return data_format


def check_value_range(value):
    """Raise ValueError unless `value` is a pair (low, high) with low < high."""
    check_range("value_range", value)
    if value[0] == value[1]:
        raise ValueError(
            f"`value_range` must have low < high, such as (0, 255) or (0, 1); got {tuple(value)!r}."
        )


def check_seed(seed):
    """Raise ValueError unless `seed` is None or a whole number of 31 bits."""
    if seed is not None:
        check_count("seed", seed, minimum=0)
        if seed >= 2**31:
            raise ValueError(f"`seed` must be below 2³¹ (2147483648); got {seed}.")
