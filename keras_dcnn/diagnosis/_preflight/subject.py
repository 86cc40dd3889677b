"""What the rules of preflight read: the network, its heads with their losses, the data."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn.diagnosis._preflight.activation_kinds import DROPOUTS, has_kernel, keeps_values
from keras_dcnn.diagnosis._preflight.losses import Loss, by_output, losses_of, metrics_of
from keras_dcnn.diagnosis._preflight.network import Network, read_network

_MOST = 2_000_000  # numbers of an array that are looked at


class Head(NamedTuple):
    """An output of a model: what it ends in, what it is compiled with and trained on.

    `kinds` are those of the functions behind the last kernel, the last first, linear ones left out;
    the last of them is "other" where one can't be told. `y` is the labels, of many some rows.
    """

    name: str
    path: str | None
    kinds: tuple[str, ...]
    units: int | None  # numbers of each sample, or of each of its places
    shape: tuple | None
    dropout: str | None
    loss: Loss | None
    metrics: list
    y: np.ndarray | None
    last: Any

    @property
    def ends_in(self):
        """The kind of the function whose values come out."""
        return self.kinds[0] if self.kinds else "linear"

    @property
    def where(self):
        """What to call it in a finding, as a layer: of a single output its last layer."""
        return self.path or self.name


class Subject(NamedTuple):
    """All that is looked at; `network` is None where the graph can't be read."""

    model: keras.Model
    network: Network | None
    heads: list[Head]
    x: Any
    y: Any
    batch_size: int | None
    validation_data: Any


def read_subject(model, x, y, batch_size, validation_data):
    """The Subject of `preflight`'s arguments; nothing of the model is run but its activations."""
    network = read_network(model)
    heads = _heads(model, network, _labels(y))
    return Subject(model, network, heads, _arrays(x), _labels(y), batch_size, validation_data)


def heads_with(subject, y):
    """The heads of a subject with other labels, such as those of the validation."""
    return _heads(subject.model, subject.network, _labels(y))


def is_array(data):
    """Whether this is one array, of whatever framework."""
    return isinstance(getattr(data, "shape", None), tuple) or hasattr(data, "__array__")


def some_rows(array, most=_MOST):
    """Rows of an array, evenly spread, of not many more numbers than `most` in all."""
    size = int(np.prod(array.shape))
    step = max(1, min(len(array), -(-size // most))) if array.ndim else 1
    return array[::step] if step > 1 else array


def _arrays(data):
    """Arrays, or lists and dicts of them, as NumPy's; all else as it is."""
    if isinstance(data, dict):
        return {key: _arrays(one) for key, one in data.items()}
    if isinstance(data, (list, tuple)) and data and all(map(is_array, data)):
        return type(data)(map(_arrays, data))
    array = as_array(data) if is_array(data) else data
    return data if getattr(array, "ndim", 1) == 0 else array  # of what holds arrays of its own


def _labels(y):
    """The same of labels, lists of numbers as arrays."""
    if isinstance(y, list) and y and not any(map(is_array, y)):
        return np.asarray(y, dtype=None if _is_regular(y) else object)
    return _arrays(y)


def _is_regular(rows):
    lengths = {len(row) if isinstance(row, (list, tuple)) else -1 for row in rows}
    return len(lengths) == 1


def _heads(model, network, y):
    names, units, shapes = _outputs(model, network)
    labels = by_output(y, names) if len(names) > 1 or isinstance(y, dict) else [y]
    compiled = losses_of(model, names), metrics_of(model, names)
    heads = []
    for place, (name, size, shape, loss, metrics, one) in enumerate(
        zip(names, units, shapes, *compiled, labels, strict=True)
    ):
        path, kinds, dropout, last = _tail(network, place)
        one = some_rows(one) if isinstance(one, np.ndarray) and one.ndim else None
        heads.append(Head(name, path, kinds, size, shape, dropout, loss, metrics, one, last))
    return heads


def _outputs(model, network):
    """The names, units and shapes of the outputs; what isn't known is None."""
    outputs = getattr(model, "outputs", None)
    if network is None or not outputs:
        kernels = [step.operation for step in network.steps if has_kernel(step)] if network else []
        last = kernels[-1] if kernels else None
        return [model.name], [getattr(last, "units", getattr(last, "filters", None))], [None]
    shapes = [tuple(output.shape) for output in outputs]
    names = getattr(model, "output_names", None) or [model.name]
    return list(names), [shape[-1] if shape else None for shape in shapes], shapes


def _tail(network, place):
    """The path of the last layer with a say, the kinds, a dropout behind it, the last kernel."""
    kinds, dropout, path = [], None, None
    step = network and network.makers.get(network.outputs[place])
    while step is not None:
        kind = network.kind(step)
        kinds += [] if kind == "linear" else [kind]
        if isinstance(step.operation, DROPOUTS):
            dropout = dropout or step.path
        elif not keeps_values(step.operation):
            path = path or step.path
        if has_kernel(step) or kind == "other" or len(step.inputs) != 1:
            return path, tuple(kinds), dropout, step if has_kernel(step) else None
        step = network.before(step)
    return path, (*kinds, "other"), dropout, None
