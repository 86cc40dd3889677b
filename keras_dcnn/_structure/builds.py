"""The function that builds the model of each training, and what can be wrong with it."""

import inspect
import platform

import keras

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._state.random_state import seeded
from keras_dcnn._structure.descriptions import (
    model_text,
    short_digest,
    weights_digest,
    without_seeds,
)


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


def make_model(build, parameters, seed, sample):
    """An untrained model, built on a sample, from a seed; the caller's numbers go on as before."""
    with seeded(seed):
        model = build_compiled(build, **parameters)
        if not model.built:
            model(sample)
    return model


def make_probe(build, parameters, sample):
    """An untrained model from seed 0; ValueError where a second one is not new, or another."""
    model, other = (make_model(build, parameters, seed, sample) for seed in (0, 1))
    known = {id(variable) for variable in _variables(model)}
    shared = [variable.path for variable in _variables(other) if id(variable) in known]
    if shared:
        raise ValueError(
            f"`build` must make new layers each time; `{shared[0]}` is in two of its models: "
            "create the backbone inside `build`, and the optimizer too."
        )
    if without_seeds(model_text(model)) != without_seeds(model_text(other)):
        raise ValueError(
            f"`build` must make the same model each time; two of `{model.name}` differ in their "
            "configurations: give what varies as the `grid` of CrossValidationEnsemble."
        )
    for one, again in zip(_metrics(model), _metrics(other), strict=True):
        if one.name != again.name:
            raise ValueError(
                f"metrics must have one name in each training; got `{one.name}` and "
                f"`{again.name}`, as Keras numbers those without: give it, as in "
                f'{type(one).__name__}(…, name="{one.name}").'
            )
    return model


def describe_run(build, probes, fit_arguments, callbacks):
    """What tells a run with these untrained models from others, but the data."""
    return {
        "build": build,
        "compiled model": [short_digest(model_text(probe).encode()) for probe in probes],
        "untrained weights": [weights_digest(probe) for probe in probes],
        "fit arguments": fit_arguments,
        "callbacks": callbacks,
        "backend": keras.backend.backend(),
        "Python": ".".join(platform.python_version_tuple()[:2]),  # which runs other instructions
    }


def _variables(model):
    return [*model.variables, *(model.optimizer.variables if model.optimizer else ())]


def _metrics(model):
    arguments = compile_arguments(model)
    given = keras.tree.flatten([arguments["metrics"], arguments["weighted_metrics"]])
    return [one for one in given if isinstance(one, keras.metrics.Metric)]
