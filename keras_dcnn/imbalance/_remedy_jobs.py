"""The trainings of a comparison of remedies: each a job, of which one file is kept."""

import functools
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_dcnn._files.atomic import atomic_write
from keras_dcnn._reading.rows import Rows
from keras_dcnn._state.jobs import joblib, keras_settings, parallel, run_alone
from keras_dcnn._structure.builds import build_compiled
from keras_dcnn.imbalance._remedies import Plan, loss_of, train
from keras_dcnn.imbalance._remedy_scores import softmax


@dataclass(frozen=True)
class Comparison:
    """What the jobs share."""

    build: Callable
    plan: Plan
    test_x: Any
    held_out_x: Any  # or None
    directory: Path
    settings: dict = field(default_factory=keras_settings)


def run_jobs(shared, names, seeds, n_jobs, verbose):
    """Train what is not trained yet: by name and seed the arrays of each job."""
    jobs = [(name, seed) for seed in seeds for name in names]
    done = {job: _read(shared.directory, *job) for job in jobs}
    waiting = [job for job in jobs if done[job] is None]
    if verbose and len(waiting) < len(jobs):
        print(f"{len(jobs) - len(waiting)} of {len(jobs)} trainings are done already.")
    delayed = joblib().delayed(_run_job)
    for label, seconds in parallel(n_jobs)(delayed(shared, *job) for job in waiting):
        if verbose:
            print(f"{label}: {seconds:.0f} s", flush=True)
    done |= {job: _read(shared.directory, *job) for job in waiting}
    missing = [_path(shared.directory, *job) for job, arrays in done.items() if arrays is None]
    if missing:
        raise ValueError(
            f"`directory` must be one that every worker and this process see; {missing[0]}, which "
            "a worker wrote, is not here: choose one on a file system that they share."
        )
    return done


def _run_job(shared, name, seed):
    """Train one, in whatever process, and write it; its label and the seconds."""
    label = f"{name}, seed {seed}"
    function = functools.partial(_train, shared, name, seed)
    return label, run_alone(function, label, seed, shared.directory, shared.settings)


def _train(shared, name, seed):
    model = build_compiled(shared.build)
    from_logits = loss_of(model).from_logits
    start = time.monotonic()
    train(name, model, shared.plan, seed)
    arrays = {"seconds": time.monotonic() - start}
    given = {"test": shared.test_x, "held_out": shared.held_out_x if name == "none" else None}
    for part, x in given.items():
        if x is not None:
            outputs = model.predict(Rows((x,), None, shared.plan.batch_size), verbose=0)
            arrays[part] = _probabilities(np.asarray(outputs, "float64"), from_logits)
    with atomic_write(_path(shared.directory, name, seed)) as temporary:
        np.savez(temporary, **arrays)
    return arrays["seconds"]


def _probabilities(outputs, from_logits):
    if from_logits:
        outputs = softmax(outputs)
    return outputs.astype("float32")


def _path(directory, name, seed):
    return directory / f"{name.replace(' ', '-')}-seed-{seed}.npz"


def _read(directory, name, seed):
    """The arrays of a job that is done; None for one that is not, or whose file is damaged."""
    path = _path(directory, name, seed)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (EOFError, OSError, ValueError, zipfile.BadZipFile):
        warnings.warn(f"{path} is damaged: {name}, seed {seed}, is trained again.", stacklevel=4)
        return None
