"""Inputs against the model: shapes and dtypes, values that are not finite, and their scale."""

import keras
import numpy as np

from keras_dcnn.diagnosis._preflight.activation_kinds import (
    NORMALIZATIONS,
    RECURRENT,
    has_kernel,
    keeps_values,
)
from keras_dcnn.diagnosis._preflight.subject import is_array, some_rows
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.layers import FancyPCA, MinMaxScaling, PCAWhitening, ZCAWhitening, ZeroCenter

_layers = keras.layers
_SAMPLE = 300_000  # numbers of the inputs whose scale is measured
_SUMMED = 50_000_000  # numbers that are looked at for NaN
_LARGE, _SMALL = 10, 0.02  # root mean square of inputs that aren't scaled, or are twice
_RATIO, _FAR = 10, 50  # between the scales of training and validation: odd, and surely wrong
_SCALING = (
    *(_layers.Rescaling, _layers.Normalization, _layers.Reshape, _layers.Flatten),
    *(ZeroCenter, MinMaxScaling, PCAWhitening, ZCAWhitening),
)


def find_wrong_inputs(subject):
    """What of `x` and of its length the model can't take, and values that are not numbers."""
    x = subject.x
    if x is None:
        return []
    if isinstance(x, list) and not all(map(is_array, x)):
        message = "`x` is a list of numbers, and Keras takes a list for several inputs"
        return [_error("inputs_no_array", message, "give `np.asarray(x)`")]
    inputs = getattr(subject.model, "inputs", None)
    arrays = [leaf for leaf in _by_input(x, inputs) if isinstance(leaf, np.ndarray)]
    if not arrays:
        message = f"`x` is a {type(x).__name__}, of which no batch was read"
        advice = "give some of its samples as arrays to have inputs and labels looked at"
        return [Finding("data_not_read", message, advice, severity="info")]
    found = _lengths(arrays, subject.y)
    if not found and inputs and len(inputs) != len(arrays):
        message = f"the model has {len(inputs)} inputs, and `x` has {len(arrays)} arrays"
        return [_error("number_of_inputs", message, "give an array for each input")]
    for place, array in enumerate(arrays):
        shape = tuple(inputs[place].shape) if inputs else None
        found += [one for one in (_dtype(array), _shape(array, shape)) if one]
        found += [] if found else _finite(array)
    return found


def _by_input(x, inputs):
    """The arrays of `x` in the order of the model's inputs, of a dict by their names."""
    names = [one.name for one in inputs or ()]
    if isinstance(x, dict) and set(names) == set(x):
        return [x[name] for name in names]
    return keras.tree.flatten(x)


def _error(rule, message, advice, **evidence):
    return Finding(rule, message, advice, severity="error", evidence=evidence)


def _lengths(arrays, y):
    labels = [leaf for leaf in keras.tree.flatten(y) if isinstance(leaf, np.ndarray)]
    lengths = [len(one) for one in arrays + labels if one.ndim]
    if len(set(lengths)) < 2:
        return []
    message = f"`x` has {lengths[0]} samples, and `y` {lengths[-1]}"
    if len(labels) != 1 or len(arrays) != 1:
        message = f"the arrays of `x` and `y` have {', '.join(map(str, lengths))} samples"
    return [_error("other_lengths", message, "give a label for each sample", lengths=lengths)]


def _dtype(array):
    if array.dtype.kind in "biuf" or array.dtype.name == "bfloat16":
        return None
    if array.dtype.kind in "US" or (array.size and isinstance(array.flat[0], (str, bytes))):
        return None  # texts, which the model may begin to read itself
    message = f"`x` holds no numbers but {array.dtype}"
    advice = "give samples of one shape, as numbers"
    return _error("inputs_no_numbers", message, advice)


def _shape(array, shape):
    """A shape that the model can't take, with the fix for the usual mistakes."""
    given = array.shape
    if shape is None or _fits(given, shape):
        return None
    message = f"a sample of `x` has shape {given[1:]}, and the model takes {shape[1:]}"
    advice = "give keras.Input the shape of the samples"
    if _fits((None, *given), shape):
        message = f"`x` is one sample, of shape {given}, and the model takes batches of them"
        advice = "give `x[None]`"
    elif _fits((*given, 1), shape) or (len(given) == 3 and len(shape) == 4):
        advice = "add the axis of channels: `x[..., None]`"
    elif len(given) == len(shape) == 4 and _fits((given[0], *given[2:], given[1]), shape):
        advice = "put the channels last: `np.moveaxis(x, 1, -1)`"
    elif len(given) == len(shape) == 4 and _fits((given[0], given[3], *given[1:3]), shape):
        advice = "put the channels first: `np.moveaxis(x, -1, 1)`"
    elif len(shape) == 4 and len(given) == 4 and given[1:3] != shape[1:3]:
        advice = "resize the images, as keras.layers.Resizing does"
    elif len(shape) == 2 and len(given) > 2:
        advice = "begin the model with keras.layers.Flatten"
    return _error("wrong_input_shape", message, advice, given=given, expected=shape)


def _fits(given, shape):
    """As Keras sees it, for which an axis of 1 at the end may be there or not."""
    if len(given) + 1 == len(shape) and shape[-1] == 1:
        given = (*given, 1)
    elif len(given) == len(shape) + 1 and given[-1] == 1:
        given = given[:-1]
    pairs = zip(given[1:], shape[1:], strict=False)
    return len(given) == len(shape) and all(b is None or a == b for a, b in pairs)


def _finite(array):
    if array.dtype.kind != "f":
        return []
    array = some_rows(array, _SUMMED)
    if np.isfinite(array.sum(dtype="float64")):  # quick, and one NaN is enough
        return []
    bad = int(array.size - np.isfinite(array).sum())
    if not bad:
        return []
    message = f"{bad} of {array.size} numbers of `x` are NaN or infinite, and so will the loss be"
    return [_error("inputs_not_finite", message, "leave them out, or fill them in", count=bad)]


def find_unscaled_inputs(subject):
    """Inputs that reach the first kernel too large or too small, and constant samples."""
    array = single_array(subject.x)
    if array is None or find_wrong_inputs(subject):
        return []
    rows = some_rows(array, _SAMPLE)
    found = _constant(rows) if rows.ndim > 2 else []
    values, first = _at_first_kernel(subject, rows)
    if first is None:
        return found
    if isinstance(first.operation, _layers.Embedding):
        return found + _tokens(array, first)
    if not has_kernel(first) and not isinstance(first.operation, RECURRENT):
        return found
    rms = float(np.sqrt(np.mean(np.square(values, dtype="float64"))))
    low, high = float(values.min()), float(values.max())
    evidence = {"rms": rms, "lowest": low, "highest": high}
    reach = f"inputs of {low:.3g}…{high:.3g} reach `{first.path}`"
    if rms > _LARGE:
        pixels = low >= 0 and 30 < high <= 255
        advice = "begin the model with keras.layers." + (
            "Rescaling(1 / 127.5, offset=-1)" if pixels else "Normalization, adapted to `x`"
        )
        normed = _is_normalized(subject.network, first)
        message = f"{reach}, which are not scaled"
        severity = "info" if normed else "warning"
        found.append(
            Finding("inputs_not_scaled", message, advice, None, severity, evidence, "possible")
        )
    elif 0 < rms < _SMALL:
        message = f"{reach}, nearly 0, as if they were scaled twice"
        advice = "scale them once, to −1…1 or a variance of 1"
        found.append(
            Finding("inputs_too_small", message, advice, evidence=evidence, confidence="possible")
        )
    return found


def single_array(x):
    """The only array of `x`, of real numbers, or None."""
    leaves = [leaf for leaf in keras.tree.flatten(x) if isinstance(leaf, np.ndarray)]
    known = len(leaves) == 1 and leaves[0].ndim and leaves[0].size
    return leaves[0] if known and leaves[0].dtype.kind in "biuf" else None


def _constant(rows):
    flat = rows.reshape(len(rows), -1)
    same = int((flat == flat[:, :1]).all(1).sum())
    if not same or flat.shape[1] < 2:
        return []
    message = f"{same} of {len(rows)} samples that were looked at have one and the same value"
    severity = "error" if same == len(rows) else "info" if same < 0.1 * len(rows) else "warning"
    evidence = {"constant": same, "samples": len(rows)}
    return [Finding("constant_inputs", message, "look at them", None, severity, evidence)]


def _at_first_kernel(subject, values):
    """The values as the scaling layers make them, and the step that takes them; None if unknown."""
    network = subject.network
    users = network.users.get(network.inputs[0], []) if network else []
    while len(users) == 1 and len(users[0].inputs) == 1:
        step, operation = users[0], users[0].operation
        if isinstance(operation, _SCALING) and not isinstance(operation, _layers.Flatten):
            if not isinstance(operation, _layers.Reshape):
                if not operation.built:
                    return values, None
                values = keras.ops.convert_to_numpy(operation(values)).astype("float32")
        elif not _passes(operation):
            return values, step
        users = network.after(step)
    return values, None


def _passes(operation):
    """Whether a layer leaves the scale of its inputs: shapes, edges, pooling, augmentation."""
    if isinstance(operation, _layers.Pipeline):
        return all(map(_passes, operation.layers))
    augments = type(operation).__name__.startswith("Rand") and not operation.weights
    kinds = (_layers.Resizing, _layers.CenterCrop, FancyPCA)
    return keeps_values(operation) or isinstance(operation, kinds) or augments


def _is_normalized(network, first):
    """Whether a normalization follows the first kernel, which makes up for the scale."""
    return any(isinstance(step.operation, NORMALIZATIONS) for step in network.after(first))


def _tokens(array, step):
    rows = int(step.operation.input_dim)
    low, high = float(array.min()), float(array.max())
    if low >= 0 and high < rows:
        return []
    message = f"`x` has the numbers {low:g}…{high:g}, and `{step.path}` is for 0…{rows - 1}"
    advice = "give the Embedding an `input_dim` of one more than the largest number"
    return [_error("token_outside", message, advice, lowest=low, highest=high, rows=rows)]


def find_other_validation(subject):
    """Validation inputs of another scale than those of the training."""
    pair = subject.validation_data
    if not isinstance(pair, (tuple, list)) or not pair:
        return []
    arrays = [single_array(one) for one in (subject.x, pair[0])]
    if any(one is None for one in arrays):
        return []
    rows = [some_rows(one, _SAMPLE).astype("float64") for one in arrays]
    scales = [float(np.sqrt(np.mean(np.square(one)))) for one in rows]
    if not all(np.isfinite(scales)) or not min(scales) or max(scales) < _RATIO * min(scales):
        return []
    message = (
        f"inputs of the training have the scale {scales[0]:.3g}, of the validation {scales[1]:.3g}"
    )
    advice = "scale both alike, best by a layer of the model"
    evidence = {"rms": scales}
    severity = "error" if max(scales) > _FAR * min(scales) else "warning"
    return [Finding("other_validation_scale", message, advice, None, severity, evidence, "likely")]
