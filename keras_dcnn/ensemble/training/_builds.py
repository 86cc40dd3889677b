"""The function that builds the model of each training, and what can be wrong with it."""

import contextlib
import inspect
import re

import keras

from keras_dcnn._keras.variables import names_from_the_start, seed_kept, unshared_seeds
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn.ensemble.training._descriptions import digest, model_text


def check_jobs(build, callbacks, fit_arguments):
    """Raise TypeError for what can't be called, and for arguments that `fit` does not take."""
    if not callable(build) or isinstance(build, keras.Model):
        raise TypeError(
            "`build` must be a function that returns a new compiled model; got "
            f"{type(build).__name__}: write def build(): …"
        )
    if callbacks is not None and not callable(callbacks):
        raise TypeError(
            "`callbacks` must be a function that returns a new list, since each training needs its "
            f"own; got {type(callbacks).__name__}: write callbacks=lambda: […]."
        )
    ours = ("self", "x", "y", "callbacks")
    taken = [name for name in inspect.signature(keras.Model.fit).parameters if name not in ours]
    unknown = sorted(set(fit_arguments) - set(taken))
    if unknown:
        raise TypeError(f"`fit` of Keras takes no `{unknown[0]}`; it takes {', '.join(taken)}.")


def build_compiled(build, **parameters):
    """What `build` returns; TypeError or ValueError unless it is a compiled Keras model."""
    model = build(**parameters)
    if not isinstance(model, keras.Model):
        raise TypeError(f"`build` must return a Keras model; it returned {type(model).__name__}.")
    if not model.compiled:
        raise ValueError(
            f"`build` must return a compiled model; `{model.name}` is not: end it with "
            "model.compile(…)."
        )
    return model


def make_model(build, parameters, sample):
    """An untrained model, built on a sample, and the text of its configuration."""
    model = build_compiled(build, **parameters)
    text = model_text(model)
    if not model.built:
        model(sample)
    return model, text


def make_probe(build, parameters, sample):
    """An untrained model from seed 0, and what tells it from others.

    ValueError where a second one has variables of the first, or is another architecture.
    """
    with as_in_a_new_process(0):
        model, text = make_model(build, parameters, sample)
    with as_in_a_new_process(1):
        other, other_text = make_model(build, parameters, sample)
    known = {id(variable) for variable in _variables(model)}
    shared = [variable.path for variable in _variables(other) if id(variable) in known]
    if shared:
        raise ValueError(
            f"`build` must make new layers each time; `{shared[0]}` is in two of its models: "
            "create the backbone inside `build`, and the optimizer too."
        )
    if _without_seeds(text) != _without_seeds(other_text):
        raise ValueError(
            f"`build` must make the same model each time; two of `{model.name}` differ in their "
            "configurations: give what varies as the `grid` of CrossValidationEnsemble."
        )
    return model, digest(text.encode())


def _variables(model):
    return [*model.variables, *(model.optimizer.variables if model.optimizer else ())]


def _without_seeds(text):
    """A layer may have a seed of its own, drawn in `build`."""
    return re.sub(r'seed": \d+', "", text)


@contextlib.contextmanager
def fresh_seed(seed):
    """Keras's, Python's, NumPy's and the backend's random numbers from a seed; then as before."""
    with seed_kept(), random_state_kept(), unshared_seeds(seed):
        keras.utils.set_random_seed(seed)
        yield


@contextlib.contextmanager
def as_in_a_new_process(seed):
    """Also the numbers in the names of layers, which are in the files of a model."""
    with fresh_seed(seed), names_from_the_start():
        yield
