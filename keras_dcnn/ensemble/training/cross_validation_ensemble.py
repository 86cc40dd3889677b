"""CrossValidationEnsemble: the top models of a cross-validation, over a grid where there is one."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_dcnn._checks import as_path, check_count, check_flag, check_seed
from keras_dcnn._files.members import write_architecture
from keras_dcnn._reading.batches import first_batch
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._reading.rows import as_arrays, check_lengths, check_memory_maps, named, on_disk
from keras_dcnn._state.jobs import count_jobs
from keras_dcnn._structure.builds import check_jobs, describe_run, make_probe
from keras_dcnn._structure.descriptions import describe
from keras_dcnn._structure.targets import check_targets
from keras_dcnn.ensemble.combining.ensemble import Ensemble
from keras_dcnn.ensemble.training._folds import check_splitter, fold_of_each, make_folds
from keras_dcnn.ensemble.training._job_files import (
    TemporaryFolder,
    architecture_file,
    begin,
    history_of,
    write_best,
)
from keras_dcnn.ensemble.training._jobs import Trainings, load_member, run_jobs
from keras_dcnn.ensemble.training._search import (
    ScoreTable,
    best,
    check_finite,
    check_outputs,
    check_top,
    collect,
    configurations,
    direction,
    make_jobs,
)


class CrossValidationEnsemble:
    """Trains a model on each fold of a cross-validation, and combines the best.

    The tutorial's second way to an ensemble: find the best hyper-parameters by cross-validation,
    and use the top few models. Each configuration of the grid is trained on each fold, with a seed
    of its own, and judged at its end by the samples held out, which `fit` of Keras does not see:
    callbacks that watch a validation need `validation_split` or `validation_data` of yours.

    Each training is a job for joblib. With a directory each that has finished is kept: `fit` with
    the same arguments goes on with the missing ones after a kill, and at once where there is none.
    A training whose files were damaged is done again, and the directory of another run is refused;
    what makes it another one is listed at `train_from_seeds`. After `fit` there are

    - `scores`, of shape (configurations, folds): `monitor` on the held-out samples;
    - `results`, a list of a dict per configuration, printed as a table: parameters, mean and
      standard deviation of the scores;
    - `oof_predictions`, of shape (configurations, samples, classes): each sample as predicted by
      the model that did not see it;
    - `fold_of_sample`, the number of the fold that holds each sample out;
    - `configurations`, and of shape (configurations, folds) `seeds` and `histories`.

    Args:
        build: Function that returns a new compiled Keras model of one output; takes the names of
            the grid as keyword arguments.
        folds: Whole number ≥ 2, or a scikit-learn splitter that holds each sample out once, such
            as `GroupKFold` for several images of one patient.
        top: How many of all models the ensemble has, the best by `monitor`; None: all.
        stratified: Whether a number of folds has the classes in equal shares; False for real
            numbers as targets.
        grid: Dict from names to lists of values, or a list of such dicts, as scikit-learn's
            `ParameterGrid` takes; None: one configuration, `build()`.
        directory: Where to keep the trainings, also for `EnsembleOnDisk`; None: a temporary one,
            which goes with this object; a copy or pickle of it takes the trainings along.
        seed: Whole number from 0 to 2³¹ − 1, for the folds and, with the numbers of configuration
            and fold, for each training.
        monitor: Which quantity of `evaluate` is the score, with `val_` in front.

    Raises:
        ValueError: for an argument outside the ranges above; from `fit`, before any training, for
            arrays of different length, labels outside the classes, or fewer of one than folds, a
            model that is not compiled, or not new or the same each time, or has a metric that Keras
            numbers, outputs of several shapes, a `monitor` that is not one number, jobs in threads,
            and a directory of another run; after all trainings, for predictions that are not
            finite, with the name of their configuration and fold.
        TypeError: for a `build` that is no function of the grid's names, and an unknown keyword.
        RuntimeError: where a worker uses another backend of Keras.
        ImportError: without scikit-learn and joblib; `pip install "keras_dcnn[ensemble]"`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_dcnn.ensemble import CrossValidationEnsemble

    def build(rate):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        return model

    x, y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 3
    search = CrossValidationEnsemble(build, folds=2, top=2, grid={"rate": [0.1, 1.0]})
    search.fit(x, y, epochs=2)
    print(search.results)
    print(search.ensemble().predict(x, verbose=0).shape, search.oof_predictions.shape)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    def __init__(
        self,
        build: Callable[..., keras.Model],
        folds: Any = 5,
        top: int | None = 3,
        stratified: bool = True,
        grid: Mapping[str, Sequence[Any]] | None = None,
        directory: str | os.PathLike[str] | None = None,
        seed: int = 0,
        monitor: str = "val_loss",
    ) -> None:
        check_jobs(build, None, {})
        check_splitter(folds)
        check_flag("stratified", stratified)
        check_count("seed", seed, minimum=0)
        check_seed(seed)
        if top is not None:
            check_count("top", top)
        self.build = build
        self.folds = folds
        self.top = top
        self.stratified = stratified
        self.grid = grid
        self.directory = None if directory is None else as_path("directory", directory)
        self.seed = seed
        self.monitor = monitor
        self.configurations = configurations(grid, build)
        self._run = self._of_run = self._temporary = None

    def fit(
        self,
        x: Any,
        y: Any,
        groups: Any = None,
        callbacks: Callable[[], list[keras.callbacks.Callback]] | None = None,
        n_jobs: int | None = None,
        **fit_arguments: Any,
    ) -> Self:
        """Train what is not trained yet; returns this object.

        Args:
            x: Images or other inputs: an array, a memory map, which is read batch by batch, or a
                list or dict of them.
            y: Labels as whole numbers, one-hot rows, or real numbers; one array.
            groups: Group of each sample, for splitters that ask for it.
            callbacks: Function without arguments that returns a new list of callbacks, or None.
            n_jobs: Trainings at a time, for joblib; None asks its `parallel_config`, with which
                they go to a cluster too, and is one, in this process, without it. A cluster's
                machines must share the file system of `directory`.
            **fit_arguments: What `fit` of Keras takes more; `sample_weight` is split as `y` is.
                `verbose=1`, the default, prints a line for each finished training; 0 none.

        """
        verbose = fit_arguments.pop("verbose", 1)
        check_jobs(self.build, callbacks, fit_arguments)
        count_jobs(n_jobs)
        weight = fit_arguments.pop("sample_weight", None)
        groups = None if groups is None else np.asarray(groups)
        arrays = as_arrays((x, y) if weight is None else (x, y, weight))
        check_lengths(named(arrays) | ({} if groups is None else {"groups": groups}))
        check_memory_maps(arrays, fit_arguments)
        if not hasattr(arrays[1], "ndim"):
            raise TypeError(f"`y` must be one array; got {type(y).__name__} of {len(y)} of them.")
        folds = make_folds(self.folds, self.stratified, self.seed, arrays[1], groups)
        jobs = make_jobs(self.configurations, folds, self.seed)
        check_top(self.top, len(folds), len(self.configurations))
        sample, prints = first_batch(arrays, 1), fingerprints(arrays[0])
        probes = [make_probe(self.build, one, sample) for one in self.configurations]
        check_outputs(probes, self.configurations, sample)
        check_targets(probes, *arrays[1:])
        cost = direction(probes[0], self.monitor, sample, arrays[1][:1])
        run = {
            "kind": "CrossValidationEnsemble",
            "inputs": prints,
            "targets": arrays[1:],
            "folds": np.concatenate([np.concatenate([[-1], *fold]) for fold in folds]),
            "grid": self.configurations,
            "seed": self.seed,
            **describe_run(self.build, probes, fit_arguments, callbacks),
        }
        folder = self._begin(run)
        for i, probe in enumerate(probes):
            write_architecture(probe, folder / architecture_file(i))
        shared = Trainings(self.build, arrays, on_disk(arrays), fit_arguments, callbacks, folder)
        results = run_jobs(shared, jobs, n_jobs, verbose, self.monitor)
        self._run = dataclasses.replace(shared, arrays=()), jobs, sample, self._temporary
        self.fold_of_sample = fold_of_each(folds, len(prints))
        self._keep([arrays for _, arrays in results], cost)
        best_jobs = [(jobs[i], results[i][0], float(self.scores.flat[i])) for i in self._chosen]
        write_best(folder, self.monitor, best_jobs, prints)
        check_finite(jobs, self.scores)
        return self

    def ensemble(
        self, combine: str = "probability", weights: Sequence[float] | None = None
    ) -> Ensemble:
        """Load the best models and combine them; see `keras_dcnn.ensemble.Ensemble`."""
        self._check_fitted()
        if not self._chosen:
            raise ValueError("there must be at least one model whose predictions are finite.")
        return Ensemble([self._load(place) for place in self._chosen], combine, weights)

    def bags(self, combine: str = "probability") -> list[Ensemble]:
        """For each configuration the ensemble of its folds' models, as in `oof_predictions`."""
        self._check_fitted()
        check_finite(self._run[1], self.scores)
        places = np.arange(self.scores.size).reshape(self.scores.shape)
        return [Ensemble([self._load(place) for place in row], combine) for row in places]

    def _begin(self, run):
        if self.directory is None and self._of_run != describe(run):
            self._of_run, self._temporary = describe(run), TemporaryFolder()
        folder = self._temporary.path if self.directory is None else self.directory.resolve()
        begin(folder, run)
        return folder

    def _keep(self, arrays, cost):
        """Set what the trainings gave."""
        jobs = self._run[1]
        self.scores, predictions = collect(jobs, arrays, self.monitor, len(self.fold_of_sample))
        self.oof_predictions = predictions
        self.seeds = np.array([job.seed for job in jobs]).reshape(self.scores.shape)
        histories = np.array([history_of(one) for one in arrays], object)
        self.histories = histories.reshape(self.scores.shape).tolist()
        self.results = ScoreTable(self.configurations, self.scores, self.monitor)
        self._chosen = best(cost * self.scores, self.top)

    def _check_fitted(self):
        if self._run is None:
            raise ValueError("there are no models yet: call `fit` first.")

    def _load(self, place):
        shared, jobs, sample, temporary = self._run
        if temporary:  # that of a copy is another
            shared = dataclasses.replace(shared, directory=temporary.path)
        return load_member(shared, jobs[place], sample)
