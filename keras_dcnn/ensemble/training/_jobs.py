"""Trainings that are jobs for joblib: in this process, on more cores, or on a cluster."""

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_dcnn._reading.rows import Rows, named, take
from keras_dcnn._state.jobs import joblib, keras_settings, parallel, run_alone
from keras_dcnn._structure.builds import build_compiled, make_model
from keras_dcnn.ensemble.training._job_files import is_done, read_result, write_result


@dataclass(frozen=True)
class Trainings:
    """What all the trainings of a run share."""

    build: Callable
    arrays: tuple  # what `fit` takes first: x, y and sample_weight, or one data set
    on_disk: bool
    fit_arguments: dict
    callbacks: Callable | None
    directory: Path
    settings: dict = field(default_factory=keras_settings)


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


def run_jobs(shared, jobs, n_jobs, verbose, monitor):
    """Train those jobs that are not done; the manifest's entry and the arrays of each."""
    waiting = [j for j in jobs if not is_done(shared.directory, j.name, j.label)]
    if verbose and len(waiting) < len(jobs):
        print(f"{len(jobs) - len(waiting)} of {len(jobs)} trainings are done already.")
    delayed = joblib().delayed(run_job)
    for label, metrics, seconds in parallel(n_jobs)(delayed(shared, job) for job in waiting):
        if verbose:
            value = metrics.get(monitor)
            score = "" if value is None else f" {monitor} {value:.4g},"
            print(f"{label}:{score} {seconds:.0f} s", flush=True)
    return [read_result(shared.directory, job.name) for job in jobs]


def run_job(shared, job):
    """Train one, in whatever process, and write it; its label, its metrics, and the seconds."""
    train = functools.partial(_train, shared, job)
    return run_alone(train, job.label, job.seed, shared.directory, shared.settings)


def load_member(shared, job, sample):
    """The model of a finished training, without the state of its optimizer."""
    model = make_model(shared.build, job.parameters, job.seed, sample)
    path = shared.directory / f"{job.name}.weights.h5"
    model.load_weights(path, objects_to_skip=[model.optimizer])
    return model


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
