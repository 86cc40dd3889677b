"""train_from_seeds: one model, trained from several initialisations."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import as_path, check_count, check_seed
from keras_dcnn._files.members import ARCHITECTURE, write_architecture, write_manifest
from keras_dcnn._reading.batches import first_batch
from keras_dcnn._reading.ends import check_readable_again
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._reading.rows import (
    are_arrays,
    as_arrays,
    check_lengths,
    check_memory_maps,
    named,
    on_disk,
)
from keras_dcnn._state.jobs import count_jobs
from keras_dcnn._structure.builds import check_jobs, describe_run, make_probe
from keras_dcnn._structure.targets import check_targets
from keras_dcnn.ensemble.combining.ensemble import Ensemble
from keras_dcnn.ensemble.training._job_files import begin, history_of, write_array
from keras_dcnn.ensemble.training._jobs import Job, Trainings, load_member, run_jobs

_PRINTS = "training.prints.npy"


def train_from_seeds(
    build: Callable[..., keras.Model],
    data: Any,
    seeds: int | Sequence[int] = 5,
    combine: str = "probability",
    directory: str | os.PathLike[str] | None = None,
    callbacks: Callable[[], list[keras.callbacks.Callback]] | None = None,
    n_jobs: int | None = None,
    **fit_arguments: Any,
) -> Ensemble:
    """Train one model from several initialisations, and make an ensemble of them.

    The simplest ensemble of the tutorial: the same architecture and data, other initial weights.
    Each member is what `keras.utils.set_random_seed(seed)`, `build()` and `fit` give, in whatever
    process; the caller's random numbers go on as if nothing had been drawn.

    With a directory each finished training is kept, without the optimizer's state: a run that was
    killed, and is started again with the same arguments, or one with more seeds, trains the missing
    members only. The directory of another run is refused, and what differs is named: other data or
    arguments, another model or its initial weights, another source text of `build`, `callbacks`,
    or your own loss, metrics and layers, or other values that these close over, but not of the
    global names that they use. The manifest lists the seeds of the latest call; the others' files
    stay.

    Args:
        build: Function without arguments that returns a new compiled Keras model.
        data: What `fit` takes: a tuple `(x, y)` or `(x, y, sample_weight)` of arrays, or of lists
            of numbers, or lists or dicts of arrays, where memory maps are read batch by batch; or
            tf.data, PyDataset, DataLoader, of which no more than the type is compared when a run
            goes on, and which are trained on in this process only.
        seeds: How many, for 0 … n − 1, or a list of different whole numbers from 0 to 2³¹ − 1.
        combine: How the ensemble combines, as in `Ensemble`.
        directory: Where to keep the members, also for `EnsembleOnDisk`; None keeps no files.
        callbacks: Function without arguments that returns a new list of callbacks, since each
            training needs its own; or None.
        n_jobs: Trainings at a time, for joblib; None asks its `parallel_config`, with which they go
            to a cluster too, and is one, in this process, without it. A cluster's machines must
            share the file system of `directory`.
        **fit_arguments: What `fit` takes more, such as `epochs`. `verbose=1`, the default, prints
            a line for each finished training; 0 none.

    Returns:
        An `Ensemble`. Its attribute `histories` has for each member what `fit` recorded: a dict
        from names to lists with one number an epoch.

    Raises:
        ValueError: for seeds out of range or given twice, an iterator, which is empty after the
            first training, labels outside the classes (of arrays; in data sets they are not looked
            at), data that are not arrays with more than one job, jobs in threads, a model that is
            not compiled, is not new or the same each time, has a metric that Keras numbers, or
            contradicts `combine`, a directory of another run, and, after all trainings, for a loss
            that is not finite.
        TypeError: for a `build` or `callbacks` that is no function, data that are neither a tuple
            of arrays nor a data set, and an unknown keyword.
        RuntimeError: where a worker uses another backend of Keras.
        ImportError: without joblib; `pip install "keras_dcnn[ensemble]"` brings it.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_dcnn.ensemble import train_from_seeds

    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    x, y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 3
    ensemble = train_from_seeds(build, (x, y), seeds=2, epochs=2)
    print(ensemble.predict(x, verbose=0).shape, ensemble.histories[0]["loss"])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    verbose = fit_arguments.pop("verbose", 1)
    check_jobs(build, callbacks, fit_arguments)
    if isinstance(data, tuple) and len(data) == 2 and "sample_weight" in fit_arguments:
        data = (*data, fit_arguments.pop("sample_weight"))
    seeds = _check_seeds(seeds)
    arrays, sample = _read_data(data, count_jobs(n_jobs), fit_arguments)
    prints = fingerprints(arrays[0]) if are_arrays(arrays) else None
    directory = None if directory is None else as_path("directory", directory)
    probe = make_probe(build, {}, sample)
    if prints is not None:
        check_targets([probe], *arrays[1:])
    Ensemble([probe], combine=combine)
    run = {
        "kind": "train_from_seeds",
        "inputs": type(data) if prints is None else prints,
        "targets": None if prints is None else arrays[1:],
        **describe_run(build, [probe], fit_arguments, callbacks),
    }
    jobs = [Job(f"seed-{seed}", f"seed {seed}", seed) for seed in seeds]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary if directory is None else directory).resolve()
        begin(folder, run)
        write_architecture(probe, folder / ARCHITECTURE)
        shared = Trainings(build, arrays, on_disk(arrays), fit_arguments, callbacks, folder)
        results = run_jobs(shared, jobs, n_jobs, verbose, "loss")
        check_last_losses(jobs, results, directory)
        _list_members(folder, jobs, results, prints)
        members = [load_member(shared, job, sample) for job in jobs]
    ensemble = Ensemble(members, combine=combine)
    vars(ensemble)["histories"] = [history_of(arrays) for _, arrays in results]  # not Keras's state
    return ensemble


def _list_members(folder, jobs, results, prints):
    entries = [entry | {"seed": job.seed} for job, (entry, _) in zip(jobs, results, strict=True)]
    if prints is not None:
        write_array(folder / _PRINTS, prints)
        entries = [entry | {"trained_on": _PRINTS} for entry in entries]
    write_manifest(folder, entries)


def _check_seeds(seeds):
    if not isinstance(seeds, (list, tuple, range, np.ndarray)):
        if not hasattr(seeds, "__index__"):
            raise ValueError(f"`seeds` must be a whole number, or a list of them; got {seeds!r}.")
        check_count("seeds", seeds)
        return list(range(seeds))
    for seed in seeds:
        check_count("seeds", seed, minimum=0)
        check_seed(seed)
    if len(seeds) == 0 or len(set(seeds)) < len(seeds):
        raise ValueError(
            "`seeds` must be different whole numbers, at least one, as equal ones give equal "
            f"members; got {list(seeds)}."
        )
    return [int(seed) for seed in seeds]


def check_last_losses(jobs, results, directory):
    """Raise ValueError where a training ended in NaN; a directory keeps the others."""
    kept = "the others are kept" if directory else "a `directory` would have kept the others"
    losses = [history_of(arrays).get("loss", [0.0])[-1] for _, arrays in results]
    bad = [job.label for job, loss in zip(jobs, losses, strict=True) if not np.isfinite(loss)]
    if bad:
        raise ValueError(
            f"the loss must be finite; that of {' and of '.join(bad)} is not: lower the learning "
            f"rate, look for NaN in the data, or leave these seeds out; {kept}."
        )


def _read_data(data, num_jobs, fit_arguments):
    """What `fit` takes first, and one sample of the inputs, or a batch."""
    arrays = data if isinstance(data, tuple) else (data,)
    while len(arrays) > 1 and arrays[-1] is None:
        arrays = arrays[:-1]
    if isinstance(data, list) or not 1 <= len(arrays) <= 3:
        raise TypeError(
            "`data` must be a tuple (x, y) or (x, y, sample_weight) of arrays, or one data set; "
            f"got {type(data).__name__} of {len(data)}: write data=(x, y)."
        )
    if isinstance(data, tuple) or are_arrays(data):
        arrays = as_arrays(arrays)
        check_lengths(named(arrays))
        check_memory_maps(arrays, fit_arguments)
        return arrays, first_batch(arrays, 1)
    check_readable_again("`data`", data)
    if num_jobs > 1:
        raise ValueError(
            "only arrays go to other processes; "
            f"got {type(data).__name__} with more than one job: use n_jobs=1, or give arrays."
        )
    return arrays, first_batch(data, 1)
