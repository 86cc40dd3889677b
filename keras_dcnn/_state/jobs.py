"""Trainings that are jobs for joblib, of which each worker runs one at a time."""

import contextlib
import gc
import threading

import keras

from keras_dcnn._state.random_state import seeded

# Dask may give a process several jobs at once, which would draw each other's random numbers.
_ONE_AT_A_TIME = threading.Lock()
_SETTINGS = ("floatx", "image_data_format", "dtype_policy")


def joblib():
    """The module, or ImportError that says how to get it."""
    try:
        import joblib
    except ImportError as error:
        raise ImportError(
            'trainings as jobs need joblib: pip install "keras_dcnn[ensemble]".'
        ) from error
    return joblib


def count_jobs(n_jobs):
    """How many trainings run at a time; ValueError where they would be threads."""
    count, (backend, _) = joblib().effective_n_jobs(n_jobs), joblib().parallel.get_active_backend()
    if count > 1 and getattr(backend, "uses_threads", False):
        raise ValueError(
            "trainings at a time must be processes, as threads draw from the same random numbers; "
            f"got joblib's {type(backend).__name__}: use 'loky', 'dask' or 'ray', or n_jobs=1."
        )
    return count


def parallel(n_jobs):
    """joblib's Parallel, which gives results as they come, or, as Ray's, all at once."""
    with contextlib.suppress(ValueError):
        return joblib().Parallel(n_jobs, return_as="generator_unordered")
    return joblib().Parallel(n_jobs)


def keras_settings():
    """What a training depends on of `keras.config`, and the backend."""
    settings = {name: getattr(keras.config, name)() for name in _SETTINGS}
    return {"backend": keras.backend.backend(), **settings}


def run_alone(function, label, seed, directory, settings):
    """The result of a function, in whatever process, from a seed, with these Keras settings."""
    if not directory.is_dir():
        raise ValueError(
            f"`directory` must be one that every worker sees; {directory} is not there: "
            "choose one on a file system that they share."
        )
    with _ONE_AT_A_TIME, seeded(seed):
        _take_over(settings)
        try:
            result = function()
        except Exception as error:
            error.add_note(f"This was in the training of {label}.")
            raise
    gc.collect()  # models are circles, and on an accelerator the next needs the room
    return result


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
