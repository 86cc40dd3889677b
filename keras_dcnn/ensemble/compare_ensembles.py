"""compare_ensembles: the ways to use a pool of models, side by side."""

import timeit
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_choice
from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._structure.copies import copy_model
from keras_dcnn.ensemble.averaging.soup import soup
from keras_dcnn.ensemble.combining._models import split_names
from keras_dcnn.ensemble.combining.ensemble import Ensemble
from keras_dcnn.ensemble.combining.ensemble_on_disk import EnsembleOnDisk
from keras_dcnn.ensemble.ensemble_comparison import COLUMNS, EnsembleComparison
from keras_dcnn.ensemble.fusing._held_out import (
    held_out,
    held_out_batches,
    shape_of_one_output,
    that_count,
)
from keras_dcnn.ensemble.fusing.stacked_ensemble import StackedEnsemble
from keras_dcnn.ensemble.judging.calibration import calibration
from keras_dcnn.ensemble.judging.select_members import select_members

to_numpy = keras.ops.convert_to_numpy
_TIMED = 1000  # samples


def compare_ensembles(
    pool: Any,
    data: Any,
    report_data: Any = None,
    metric: str = "accuracy",
    trained_on: Any = None,
    batch_size: int | None = None,
) -> EnsembleComparison:
    """Compare the ways to use a pool of trained models, chosen on one set and judged on another.

    - single: the model that is best on `data`;
    - uniform: the mean of all predictions;
    - greedy: the weighted mean that `select_members` finds on `data`;
    - soup: the greedy `soup` of the weights, by the loss on `data` that the models are compiled
      with, for models of one architecture;
    - stacked: a `StackedEnsemble` with logistic regression, fitted on `data`.

    What was chosen or fitted on samples looks too good on them; so the numbers are to be measured
    on others, and it warns where they are not. Neither set may hold samples that a model of the
    pool was trained on: it refuses those that are in `trained_on`.

    Each model runs once on each set, and all predictions are held in memory; the soup is made in a
    copy. Seconds are those of the fastest of four passes of `predict` over at most 1,000 samples.

    Args:
        pool: A list, or a dict of names, of trained Keras classifiers with the same inputs and
            classes, or an `Ensemble`, of which those of a weight above 0 are compared.
        data: To choose on: `(x, y)` or `(x, y, sample_weight)` of arrays, or tf.data, PyDataset,
            DataLoader with labels, which can be read again and again. Samples of weight 0 are left
            out. Where a sample may have several labels, `y` is rows of 0 and 1.
        report_data: To report on, of the same kinds; None reports on `data`, with a warning.
        metric: By what single and greedy are chosen: as in `select_members`, but not "mse", as the
            columns are of classes.
        trained_on: What the models were trained on, the images or
            `EnsembleOnDisk(directory).trained_on`, as in `StackedEnsemble.fit`. None warns.
        batch_size: Samples at a time; None for 32, or as the data come.

    Returns:
        An `EnsembleComparison`. Print it for a table; its `rows` are dicts.

    Raises:
        ValueError: for models that differ in shapes, have several outputs or no probabilities; for
            data that a model was trained on; for labels that don't fit, and NaN.
        ImportError: without scikit-learn; `pip install "keras_dcnn[ensemble]"` brings it.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    x = np.random.default_rng(0).random((60, 4))
    y = np.argmax(x[:, :2], axis=1)
    pool = keras_dcnn.ensemble.train_from_seeds(build, (x[:20], y[:20]), seeds=2)
    data, report = (x[20:40], y[20:40]), (x[40:], y[40:])
    print(keras_dcnn.ensemble.compare_ensembles(pool, data, report, trained_on=x[:20]))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """
    if metric == "mse":
        raise ValueError(
            "`metric` must be one for classes, or a function; got 'mse': of models that predict "
            'numbers, choose by `select_members(…, metric="mse")`.'
        )
    if not callable(metric):
        check_choice("metric", metric, ("accuracy", "balanced_accuracy", "log_loss", "brier"))
    called, members = _members_of(pool)
    uniform = Ensemble(members)
    shape_of_one_output(members)
    check = held_out(trained_on, "give samples that were held out of the training")
    chosen_on = report = _HeldOut(uniform, data, batch_size, check)
    if report_data is not None:
        report = _HeldOut(uniform, report_data, batch_size, check)
    shared = int(np.isin(report.prints, chosen_on.prints).sum())
    if shared:
        warnings.warn(
            f"what is chosen on samples looks too good on them; {shared} of {len(report.prints)} "
            "samples to report on are among those to choose on: give others as `report_data`.",
            stacklevel=2,
        )
    selection = select_members(
        chosen_on.outputs, chosen_on.y, metric, sample_weight=chosen_on.weights
    )
    best, count = selection.single_best, len(members)
    ways = {
        "single": lambda: _weighted(report, members, np.eye(count)[best], f"member {called[best]}"),
        "uniform": lambda: _weighted(report, members, np.full(count, 1 / count)),
        "greedy": lambda: _weighted(report, members, selection.weights),
        "soup": lambda: _souped(report, members, data),
        "stacked": lambda: _stacked(report, members, chosen_on),
    }
    return EnsembleComparison(
        rows=tuple(_row_or_reason(name, way) for name, way in ways.items()),
        metric=selection.metric,
        num_members=count,
        num_selected_on=len(chosen_on.y),
        num_reported_on=len(report.y),
        num_shared=shared,
    )


def _members_of(pool):
    """What the members that count are called, and these."""
    if isinstance(pool, EnsembleOnDisk):
        raise TypeError("`pool` must be in memory; got an EnsembleOnDisk: give its `load()`.")
    if not isinstance(pool, (Ensemble, Mapping, list, tuple)):
        raise TypeError(
            f"`pool` must be a list or dict of models, or an Ensemble; got {type(pool).__name__}."
        )
    if not isinstance(pool, Ensemble):
        names, members = split_names("pool", pool)
        return names or range(len(members)), members
    if pool.combine == "logit":
        raise ValueError(
            "`pool` must be of models that end in probabilities, which all ways but one combine; "
            "got an Ensemble of raw outputs: add a softmax or sigmoid to each."
        )
    numbers = [*pool.shares()]
    names = pool.member_names or range(len(pool.members))
    return [names[i] for i in numbers], [pool.members[i] for i in numbers]


def _row_or_reason(name, way):
    try:
        return {"name": name, **way()}
    except ValueError as error:
        return {"name": name, **dict.fromkeys(COLUMNS), "note": f"not possible: {error}"}


def _weighted(report, members, weights, note=None):
    chosen = np.flatnonzero(weights)
    model = Ensemble([members[i] for i in chosen], weights=[weights[i] for i in chosen])
    p = np.tensordot(weights, report.outputs, 1)
    return report.row(model, p, note or f"{len(chosen)} of {len(members)} members")


def _souped(report, members, data):
    if not members[0].compiled or not compile_arguments(members[0])["loss"]:
        raise ValueError("member 0 is not compiled with a loss to choose by.")
    model = copy_model(members[0], "a soup")
    model.compile(optimizer=None, loss=compile_arguments(members[0])["loss"])
    data = that_count(*data) if isinstance(data, tuple) and len(data) == 3 else data
    kept = sum(trial.stayed for trial in soup(model, list(members), data).tried)
    alone = Ensemble([model])
    again = _HeldOut(alone, report.source, report.batch_size)
    return again.row(alone, again.outputs[0], f"{kept} of {len(members)} members")


def _stacked(report, members, chosen_on):
    weights = {} if chosen_on.weights is None else {"sample_weight": chosen_on.weights}
    stacked = StackedEnsemble(members).fit_predictions(chosen_on.outputs, chosen_on.y, **weights)
    p = to_numpy(stacked.head(np.concatenate(report.outputs, axis=1)))
    estimator, each = stacked.estimator, ""
    if isinstance(estimator, tuple):
        estimator, each = estimator[0], " for each label"
    return report.row(stacked, p, type(estimator).__name__ + each)


class _HeldOut:
    """One pass over data: the members' outputs, the labels, and which samples they are."""

    def __init__(self, ensemble, source, batch_size, check=fingerprints):
        self.source, self.batch_size = source, batch_size
        labels, outputs, prints, first, weights = [], [], [], [], []
        x, y, weight = (
            (*source, None, None)[:3] if isinstance(source, tuple) else (source, None, None)
        )
        batches = held_out_batches(x, y, batch_size, check, weight)
        for x_batch, y_batch, weight in batches:
            labels.append(to_numpy(y_batch))
            weights.append(weight)
            outputs.append(ensemble.predict_members(x_batch, batch_size=len(y_batch)))
            if sum(map(len, prints)) < _TIMED:
                first.append(keras.tree.map_structure(to_numpy, x_batch))
            prints.append(fingerprints(x_batch))
        self.y, self.prints = np.concatenate(labels), np.concatenate(prints)
        weighted = weights[0] is not None
        self.weights = np.concatenate([*map(to_numpy, weights)]) if weighted else None
        self.outputs = np.concatenate(outputs, axis=1)
        self._first = keras.tree.map_structure(lambda *x: np.concatenate(x)[:_TIMED], *first)

    def row(self, model, probabilities, note):
        """The numbers of a model, which gives these probabilities for the data."""
        seconds = timeit.repeat(
            lambda: model.predict(self._first, batch_size=self.batch_size, verbose=0),
            number=1,
            repeat=4,  # of which the first compiles
        )
        found = calibration(self.y, probabilities, sample_weight=self.weights)
        return {
            **{name: getattr(found, name) for name in ("accuracy", "nll", "ece", "brier")},
            "seconds": min(seconds) * 1000 / min(len(self.y), _TIMED),
            "parameters": int(model.count_params()),
            "note": note,
        }
