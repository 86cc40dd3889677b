"""A few steps on one batch, after which the model and all random numbers are as before."""

import contextlib
import time
import warnings
from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn._keras.fitting import compile_arguments, is_distributed
from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._keras.optimizers import trains_by_itself
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._state.layer_calls import losses_kept
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import variables_kept
from keras_dcnn._structure.kernels import all_kernels
from keras_dcnn.diagnosis._preflight.noting import NotingModel, NotingOptimizer

_STEPS = 24
_SECONDS = 7.0  # a step that would end later isn't begun; compiling on JAX comes first
_LARGE = 30_000  # numbers of a sample, from which the batch is of few
_FEW, _MANY = 8, 32
_MOST_ON_JAX = 60  # calls of layers; of more the compilation alone takes longer than that


class Trial(NamedTuple):
    """What came of the steps.

    `losses` are those that `fit` would print; `first` and `last` the outputs in the first and last
    step, before its update; `gradients` the largest of each layer with a kernel, over all steps and
    in absolute value, by its path. `has_zeros` tells of kernels or factors of zeros at the start,
    behind which gradients come later. `error` is what the first step raised, or None.
    """

    x: np.ndarray
    y: np.ndarray
    losses: list[float]
    first: np.ndarray | None
    last: np.ndarray | None
    gradients: dict[str, float]
    has_zeros: bool
    error: Exception | None


def try_batch(subject):
    """The Trial of a Subject; None where it can't be had, or might change more than it puts back.

    That is: for models with several outputs, a `call`, `compute_loss` or training of their own, and
    data that are not arrays of finite numbers.
    """
    model, arrays = subject.model, [subject.x, subject.y]
    if not (_can_be_tried(subject) and all(map(_is_numbers, keras.tree.flatten(arrays)))):
        return None
    rows, fixed = _mixed_rows(subject.y, _size(subject)), _fixed_size(model)
    if fixed and len(rows) != fixed:
        return None
    x, y = keras.tree.map_structure(lambda one: _as_given(one[rows]), arrays)
    finite = all(np.isfinite(one).all() for one in keras.tree.flatten([x, y]))
    recorder = _recorder(model.optimizer)
    if not finite or recorder is None:
        return None
    with _left_as_it_was(model):
        return _train(model, recorder, x, y)


@contextlib.contextmanager
def _left_as_it_was(model):
    """Within, the model is trained, apart from what it is compiled to, and no warning is seen."""
    layers = [model, *(layer for _, layer in walk_layers(model))]
    with (
        random_state_kept(),
        variables_kept(state_variables(model)),
        losses_kept(layers),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # such as Keras's, of variables without a gradient
        yield


def _can_be_tried(subject):
    model = subject.model
    if subject.network is None or not model.built or not model.compiled or model.optimizer is None:
        return False
    if keras.backend.backend() == "jax" and len(subject.network.steps) > _MOST_ON_JAX:
        return False
    own = type(model).compute_loss is not keras.Model.compute_loss or trains_by_itself(model)
    single = len(subject.heads) == 1 and isinstance(subject.y, np.ndarray)
    trains = bool(model.trainable_variables) and subject.heads[0].loss is not None
    return single and trains and not own and not is_distributed(model)


def _is_numbers(data):
    if not isinstance(data, np.ndarray):
        return False
    return data.ndim > 0 and len(data) > 1 and data.dtype.kind in "biuf"


def _as_given(rows):
    """Rows as `fit` hands them on: floats of Keras's float type."""
    rows = np.asarray(rows)
    return rows.astype(keras.config.floatx()) if rows.dtype.kind == "f" else rows


def _size(subject):
    """That of the batch: as it will be trained, but for very small ones and large ones."""
    largest = max(np.prod(one.shape[1:]) for one in keras.tree.flatten(subject.x))
    usual = min(max(subject.batch_size or _MANY, _FEW), _FEW if largest > _LARGE else _MANY)
    return _fixed_size(subject.model) or usual


def _fixed_size(model):
    """The size of batch that a model is built for, or None, as nearly always."""
    return next((one.shape[0] for one in model.inputs if one.shape[0] is not None), None)


def _mixed_rows(y, size):
    """Places of so many samples: one of each class in turn, or, of other labels, evenly spread."""
    whole = y.dtype.kind in "biu" or (y == np.floor(y)).all()
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.argmax(1)
    elif not whole or y.size != len(y):
        return np.unique(np.linspace(0, len(y) - 1, size).astype(int))
    y = y.reshape(-1)
    order = np.argsort(y, kind="stable")
    _, starts, counts = np.unique(y[order], return_index=True, return_counts=True)
    turns = np.arange(len(y)) - np.repeat(starts, counts)
    return order[np.argsort(turns, kind="stable")[:size]]


def _recorder(optimizer):
    """A new optimizer of the same settings, which notes the gradients; None where none is made."""
    try:
        return NotingOptimizer(type(optimizer).from_config(optimizer.get_config()))
    except Exception:  # what a class of the user's may raise, nobody knows
        return None


def _train(model, recorder, x, y):
    arguments, backend = compile_arguments(model), keras.backend.backend()
    trained = NotingModel(model, len(keras.tree.flatten(x)[0]))
    recorder.build(model.trainable_variables)
    trained.compile(
        recorder,
        arguments["loss"],
        loss_weights=arguments["loss_weights"],
        run_eagerly=backend == "tensorflow",  # for so few steps tracing takes too long
        jit_compile="auto" if backend == "jax" else False,
        auto_scale_loss=False,
    )
    has_zeros = _has_zeros(model)
    try:
        losses, first, error = _steps(trained, x, y)
        gradients = _gradients(model, recorder)
        return Trial(x, y, losses, first, trained.last_outputs(), gradients, has_zeros, error)
    finally:
        if backend == "torch":
            model.zero_grad()


def _steps(trained, x, y):
    """The losses, the outputs in the first step and what that step raised, or None."""
    losses, first, durations = [], None, []
    while len(losses) < _STEPS and sum(durations) + _next(durations) <= _SECONDS:
        start = time.monotonic()
        try:
            losses.append(float(trained.train_on_batch(x, y)))
        except Exception as error:
            return losses, first, None if losses else error
        if not np.isfinite(losses[-1]):
            break
        first = trained.last_outputs() if first is None else first
        is_compiled = keras.backend.backend() == "jax" and len(losses) == 1
        durations += [] if is_compiled else [time.monotonic() - start]
    return losses, first, None


def _next(durations):
    """How long the next step will take; the first takes at least twice as long."""
    return min(durations) / (2 if len(durations) == 1 else 1) if durations else 0


def _has_zeros(model):
    """Whether a kernel, or the factors of a normalization, are all 0."""
    layers = [layer for _, layer in walk_layers(model) if layer.built]
    factors = [getattr(layer, "gamma", None) for layer in layers]
    kernels = [one.variable for layer in layers for one in all_kernels(layer)]
    found = [one for one in (*kernels, *factors) if isinstance(one, keras.Variable)]
    return any(not keras.ops.convert_to_numpy(one).any() for one in found)


def _gradients(model, recorder):
    largest = dict(zip(map(id, model.trainable_variables), recorder.largest(), strict=True))
    found = {}
    for path, layer in walk_layers(model):
        kernels = [one.variable for one in all_kernels(layer) if layer.built]
        each = [largest[id(one)] for one in kernels if id(one) in largest]
        if each:
            found[path] = max(each)
    return found
