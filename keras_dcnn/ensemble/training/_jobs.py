"""Trainings that are jobs for joblib: in this process, on more cores, or on a cluster."""

import contextlib
import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from keras_dcnn._reading.rows import Rows, named, take
from keras_dcnn._state.random_state import seeded
from keras_dcnn.ensemble.training._builds import build_compiled, make_model
from keras_dcnn.ensemble.training._job_files import is_done, read_result, write_result

# Dask may give a process several jobs at once, which would draw each other's random numbers.
_ONE_AT_A_TIME = threading.Lock()
_SETTINGS = ("floatx", "image_data_format", "dtype_policy")


@dataclass(frozen=True)
class Trainings:
    """What all the trainings of a run share."""

    build: Callable
    arrays: tuple  # what `fit` takes first: x, y and sample_weight, or one data set
    on_disk: bool
    fit_arguments: dict
    callbacks: Callable | None
    directory: Path
    settings: dict = field(default_factory=lambda: keras_settings())


@dataclass(frozen=True)
class Job:
    """One training: from this seed, with these arguments of `build`, on these rows (None: all)."""

    name: str  # of its files
    label: str  # in messages
    seed: int
    parameters: dict = field(default_factory=dict)
    rows: np.ndarray | None = None
    held_out: np.ndarray | None = None
    configuration: int = 0
    fold: int = 0


def count_jobs(n_jobs):
    """How many trainings run at a time; ValueError where they would be threads."""
    count, (backend, _) = joblib().effective_n_jobs(n_jobs), joblib().parallel.get_active_backend()
    if count > 1 and getattr(backend, "uses_threads", False):
        raise ValueError(
            "trainings at a time must be processes, as threads draw from the same random numbers; "
            f"got joblib's {type(backend).__name__}: use 'loky', 'dask' or 'ray', or n_jobs=1."
        )
    return count


def run_jobs(shared, jobs, n_jobs, verbose, monitor):
    """Train those jobs that are not done; the manifest's entry and the arrays of each."""
    waiting = [j for j in jobs if not is_done(shared.directory, j.name, j.label)]
    if verbose and len(waiting) < len(jobs):
        print(f"{len(jobs) - len(waiting)} of {len(jobs)} trainings are done already.")
    delayed = joblib().delayed(run_job)
    for label, metrics, seconds in _parallel(n_jobs)(delayed(shared, job) for job in waiting):
        if verbose:
            value = metrics.get(monitor)
            score = "" if value is None else f" {monitor} {value:.4g},"
            print(f"{label}:{score} {seconds:.0f} s", flush=True)
    return [read_result(shared.directory, job.name) for job in jobs]


def run_job(shared, job):
    """Train one, in whatever process, and write it; its label, its metrics, and the seconds."""
    if not shared.directory.is_dir():
        raise ValueError(
            f"`directory` must be one that every worker sees; {shared.directory} is not there: "
            "choose one on a file system that they share."
        )
    with _ONE_AT_A_TIME, seeded(job.seed):
        _take_over(shared.settings)
        try:
            result = _train(shared, job)
        except Exception as error:
            error.add_note(f"This was in the training of {job.label}.")
            raise
    gc.collect()  # models are circles, and on an accelerator the next needs the room
    return result


def keras_settings():
    """What a training depends on of `keras.config`, and the backend."""
    settings = {name: getattr(keras.config, name)() for name in _SETTINGS}
    return {"backend": keras.backend.backend(), **settings}


def load_member(shared, job, sample):
    """The model of a finished training, without the state of its optimizer."""
    model = make_model(shared.build, job.parameters, job.seed, sample)
    path = shared.directory / f"{job.name}.weights.h5"
    model.load_weights(path, objects_to_skip=[model.optimizer])
    return model


def joblib():
    """The module, or ImportError that says how to get it."""
    try:
        import joblib
    except ImportError as error:
        raise ImportError(
            'trainings as jobs need joblib: pip install "keras_dcnn[ensemble]".'
        ) from error
    return joblib


def _train(shared, job):
    start = time.monotonic()
    model = build_compiled(shared.build, **job.parameters)
    callbacks = None if shared.callbacks is None else shared.callbacks()
    if callbacks is not None and not isinstance(callbacks, (list, tuple)):
        raise TypeError(f"`callbacks` must return a list; it returned {type(callbacks).__name__}.")
    data, rest = _fit_data(shared, job)
    history = model.fit(**data, **rest, callbacks=callbacks, verbose=0).history
    arrays = {f"history/{name}": values for name, values in _numbers(history).items()}
    metrics = {name: values[-1] for name, values in history.items() if f"history/{name}" in arrays}
    if job.held_out is not None:
        metrics, predictions = _judge(model, shared, job)
        arrays |= {f"metric/{name}": np.float64(value) for name, value in metrics.items()}
        arrays["predictions"] = predictions
    seconds = time.monotonic() - start
    write_result(shared.directory, job.name, model, arrays, seconds)
    return job.label, {name: float(value) for name, value in metrics.items()}, seconds


def _fit_data(shared, job):
    """The data, and the other arguments of `fit`."""
    rest = dict(shared.fit_arguments)
    if not shared.on_disk:
        return named(take(shared.arrays, job.rows)), rest
    seed, size = job.seed if rest.pop("shuffle", True) else None, rest.pop("batch_size", None)
    rows = Rows(shared.arrays, job.rows, size, seed)
    return {"x": rows, "shuffle": False}, rest  # else Keras shuffles the batches besides


def _judge(model, shared, job):
    """The metrics on the held-out part, and its predictions."""
    whole, inputs = [
        Rows(arrays, job.held_out, shared.fit_arguments.get("batch_size"))
        for arrays in (shared.arrays, shared.arrays[:1])
    ]
    metrics = model.evaluate(whole, verbose=0, return_dict=True)
    scalars = {f"val_{n}": value for n, value in metrics.items() if np.ndim(value) == 0}
    return scalars, model.predict(inputs, verbose=0)


def _numbers(history):
    """Those entries of a history that are a number an epoch; others may be vectors or texts."""
    numbers = {}
    for name, values in history.items():
        with contextlib.suppress(TypeError, ValueError):
            numbers[name] = np.asarray(values, "float64")
    return {name: values for name, values in numbers.items() if values.ndim == 1}


def _parallel(n_jobs):
    """joblib's Parallel, which gives results as they come, or, as Ray's, all at once."""
    with contextlib.suppress(ValueError):
        return joblib().Parallel(n_jobs, return_as="generator_unordered")
    return joblib().Parallel(n_jobs)


def _take_over(settings):
    """Keras's settings of the process that began the run, in a worker of the same backend."""
    here = keras_settings()
    if here["backend"] != settings["backend"]:
        raise RuntimeError(
            "workers must use Keras's backend of the process that began the run, "
            f"{settings['backend']}; this one uses {here['backend']}: set KERAS_BACKEND="
            f"{settings['backend']} where it starts."
        )
    for name in _SETTINGS:
        if here[name] != settings[name]:
            getattr(keras.config, f"set_{name}")(settings[name])
