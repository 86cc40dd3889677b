"""compare_ensembles: the ways to use a pool of models, side by side."""

import time
import warnings

import keras
import numpy as np

from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._structure.architecture import architecture
from keras_dcnn._structure.copies import copy_model
from keras_dcnn.ensemble.averaging.soup import soup
from keras_dcnn.ensemble.combining._combined_model import CombinedModel
from keras_dcnn.ensemble.combining.ensemble import Ensemble
from keras_dcnn.ensemble.ensemble_comparison import EnsembleComparison
from keras_dcnn.ensemble.fusing._held_out import held_out, held_out_batches
from keras_dcnn.ensemble.fusing.stacked_ensemble import StackedEnsemble
from keras_dcnn.ensemble.judging.calibration import calibration
from keras_dcnn.ensemble.judging.select_members import select_members

to_numpy = keras.ops.convert_to_numpy
_TIMED = 1000  # samples
_REPEATS = 3


def compare_ensembles(
    pool, data, report_data=None, metric="accuracy", trained_on=None, batch_size=None
):
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

    Each model runs once on each set; the models keep their weights, as the soup is made in a copy.
    Seconds are those of the fastest of three passes of `predict` over at most 1,000 samples, after
    one that compiles, all in the loop of `Ensemble`. Holds the predictions of all models in memory.

    Args:
        pool: A list of trained Keras classifiers with the same inputs and classes, or an
            `Ensemble` of them.
        data: To choose on: `(x, y)` of arrays, or tf.data, PyDataset, DataLoader with labels, which
            can be read again and again.
        report_data: To report on, of the same kinds; None reports on `data`, with a warning.
        metric: By what single and greedy are chosen: as in `select_members`, one for classes.
        trained_on: What the models were trained on, the images or
            `EnsembleOnDisk(directory).trained_on`, as in `StackedEnsemble.fit`. None warns.
        batch_size: Samples at a time; None for 32, or as the data come.

    Returns:
        An `EnsembleComparison`. Print it for a table; its `rows` are dicts.

    Raises:
        ValueError: for a pool that is empty, or whose models differ in shapes, have several outputs
            or no probabilities; for data that a model was trained on; for labels that don't fit,
            and NaN.
        TypeError: for a member that is no Keras model, and for data of another kind.
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
    members = pool.members if isinstance(pool, Ensemble) else pool
    uniform = Ensemble(members)
    check = held_out(trained_on, "give samples that were held out of the training")
    chosen_on = report = _Data(uniform, data, batch_size, check)
    if report_data is not None:
        report = _Data(uniform, report_data, batch_size, check)
    shared = int(np.isin(report.prints, chosen_on.prints).sum())
    if shared:
        warnings.warn(
            f"what is chosen on samples looks too good on them; {shared} of {len(report.prints)} "
            "samples to report on are among those to choose on: give others as `report_data`.",
            stacklevel=2,
        )
    selection = select_members(chosen_on.outputs, chosen_on.y, metric)
    ways = {
        "single": lambda: _single(report, members, selection),
        "uniform": lambda: report.row(uniform, report.outputs.mean(0), _of(members, members)),
        "greedy": lambda: _greedy(report, members, selection),
        "soup": lambda: _soup(report, members, data),
        "stacked": lambda: _stacked(report, members, chosen_on),
    }
    return EnsembleComparison(
        rows=tuple(_row_or_reason(name, way) for name, way in ways.items()),
        metric=selection.metric,
        num_members=len(members),
        num_selected_on=len(chosen_on.y),
        num_reported_on=len(report.y),
        num_shared=shared,
    )


def _row_or_reason(name, way):
    try:
        return {"name": name, **way()}
    except ValueError as error:
        numbers = ("accuracy", "nll", "ece", "brier", "seconds", "parameters")
        return {"name": name, **dict.fromkeys(numbers), "note": f"not possible: {error}"}


def _single(report, members, selection):
    best = selection.single_best
    return report.row(members[best], report.outputs[best], f"member {best}")


def _greedy(report, members, selection):
    weights = [selection.weights[i] for i in selection.members]
    chosen = [members[i] for i in selection.members]
    p = np.tensordot(weights, report.outputs[list(selection.members)], 1)
    return report.row(Ensemble(chosen, weights=weights), p, _of(chosen, members))


def _soup(report, members, data):
    kinds = {architecture(member) or id(member) for member in members}
    if len(kinds) > 1:
        raise ValueError("the members are not of one architecture.")
    if not members[0].compiled:
        raise ValueError("the members are not compiled, with a loss to choose by.")
    with random_state_kept():  # a copy's initializers draw
        model = copy_model(members[0], "a soup")
    model.compile(optimizer=None, loss=compile_arguments(members[0])["loss"])
    kept = [trial for trial in soup(model, list(members), data).tried if trial.stayed]
    again = _Data(Ensemble([model]), report.source, report.batch_size)
    return again.row(model, again.outputs[0], _of(kept, members))


def _stacked(report, members, chosen_on):
    stacked = StackedEnsemble(members).fit_predictions(chosen_on.outputs, chosen_on.y)
    p = to_numpy(stacked.head(np.concatenate(report.outputs, axis=1)))
    return report.row(stacked, p, type(stacked.estimator).__name__)


def _of(chosen, members):
    return f"{len(chosen)} of {len(members)} members"


def _is_pair(source):
    if not isinstance(source, (tuple, list)):
        return False
    if len(source) != 2:
        raise ValueError(
            f"the data must be (x, y), or batches with labels; got {len(source)} things: sample "
            "weights aren't taken."
        )
    return True


class _Data:
    """One pass over data: the members' outputs, the labels, and which samples they are."""

    def __init__(self, ensemble, source, batch_size, check=fingerprints):
        self.source, self.batch_size = source, batch_size
        labels, outputs, prints, first = [], [], [], []
        given = source if _is_pair(source) else (source, None)
        for x, y, _ in held_out_batches(*given, batch_size, check):
            if y is None:
                raise ValueError("the data must have labels; got none: give (x, y).")
            labels.append(to_numpy(y))
            outputs.append(ensemble.predict_members(x, batch_size=len(y)))
            if sum(map(len, prints)) < _TIMED:
                first.append(keras.tree.map_structure(to_numpy, x))
            prints.append(fingerprints(x))
        self.y, self.prints = np.concatenate(labels), np.concatenate(prints)
        self.outputs = np.concatenate(outputs, axis=1)
        self._first = keras.tree.map_structure(lambda *x: np.concatenate(x)[:_TIMED], *first)

    def row(self, model, probabilities, note):
        """The numbers of a model that gives these probabilities for the data."""
        scores = calibration(self.y, probabilities)
        return {
            "accuracy": scores.accuracy,
            "nll": scores.nll,
            "ece": scores.ece,
            "brier": scores.brier,
            "seconds": self._seconds(model),
            "parameters": int(model.count_params()),
            "note": note,
        }

    def _seconds(self, model):
        if not isinstance(model, CombinedModel):  # all in the same loop
            model = Ensemble([model])
        times = []
        for _ in range(1 + _REPEATS):
            start = time.perf_counter()
            model.predict(self._first, batch_size=self.batch_size, verbose=0)
            times.append(time.perf_counter() - start)
        count = len(keras.tree.flatten(self._first)[0])
        return min(times[1:]) * 1000 / count
