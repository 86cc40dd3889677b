"""compare_remedies: which remedy against class imbalance helps on one's own images."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import as_path, check_count, check_number
from keras_dcnn._files.atomic import remove_leftovers
from keras_dcnn._files.runs import begin_run
from keras_dcnn._state.jobs import count_jobs
from keras_dcnn._structure.builds import check_jobs, describe_run
from keras_dcnn._structure.descriptions import describe
from keras_dcnn.imbalance._held_out_tau import choose_tau
from keras_dcnn.imbalance._logit_adjustment import TINY
from keras_dcnn.imbalance._remedies import Plan
from keras_dcnn.imbalance._remedy_arguments import (
    as_pair,
    as_remedies,
    as_seeds,
    held_out_labels,
    make_model,
    possible,
    prints_of,
)
from keras_dcnn.imbalance._remedy_jobs import Comparison, run_jobs
from keras_dcnn.imbalance._remedy_scores import adjusted, groups_by_count, scores_of
from keras_dcnn.imbalance.remedy_comparison import RemedyComparison
from keras_dcnn.losses._priors import log_priors


def compare_remedies(
    build: Callable[[], keras.Model],
    data: Any,
    test_data: Any,
    *,
    remedies: str | Sequence[str] = "all",
    seeds: int | Sequence[int] = 3,
    epochs: int = 20,
    second_phase: float = 0.25,
    second_phase_rate: float = 0.1,
    batch_size: int = 32,
    validation_data: Any = None,
    directory: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> RemedyComparison:
    """Train a classifier by each remedy against class imbalance, and say which helps.

    What helps in one paper hurts in the next, so ask your own images. Each remedy trains new models
    from the same seeds, which fix initial weights and order: differences to "none" are paired. It
    may be that nothing helps, or that a remedy is worse; the table says that too.

    | `remedies` | what it is |
    |---|---|
    | `"none"` | the training as it is; always among them |
    | `"over"`, `"under"`, `"sqrt"`, `"progressive"` | `BalancedDataset` from the start |
    | `"crops"`, `"guided crops"` | a phase as it is, then one on `MinorityCrops`, at random or |
    | | where the model of the first phase looks |
    | `"many then few"`, `"balanced phase"`, `"head phase"`, `"reweighted phase"` | the forms of |
    | | `train_in_two_phases` |
    | `"weights"`, `"effective weights"`, `"sqrt weights"` | `class_weights` |
    | `"adjusted loss"` | `losses.LogitAdjustedCrossentropy` in place of the compiled loss |
    | `"adjusted"` | the model of "none" after `adjust_logits`: no training of its own |

    All take as many steps, those of `epochs` on the data as they are, to half an epoch of their
    own: what is balanced by "over" has more batches in an epoch and gets fewer epochs, "under" gets
    more. A longer training would else pass for a remedy. Seconds are those of the training, with
    compilation.

    Args:
        build: Function without arguments that returns a new compiled classifier, of softmax or
            logits, with a loss of class numbers or of one-hot rows; with a learning rate that is a
            number, for what has two phases.
        data: Training data `(x, y)` of arrays; memory maps are read by batches. y are classes from
            0 or one-hot rows. Classes must differ in their number of samples.
        test_data: `(x, y)`, with samples of every class, that nobody trained on.
        remedies: "all", or a list of the names above. With "all", what the model or the data do not
            allow is left out, and a note says why.
        seeds: How many, for 0 … n − 1, or a list of different ones; at least two, for intervals. Of
            3 these are wide, 2.5 standard deviations to either side; 5 have 1.2, 10 have 0.7.
        epochs: Epochs in all on the data as they are, ≥ 1; ≥ 2 for what has two phases. Enough of
            them that "none" gains no more by longer training, or the table is of beginnings.
        second_phase: Share of the epochs of a second phase, above 0 and below 1; at least one.
        second_phase_rate: What a second phase multiplies the learning rate by, above 0; that of
            "head phase" goes on as it is, as its head begins anew.
        batch_size: Samples in a batch, ≥ 1.
        validation_data: `(x, y)` with samples of every class to choose τ of "adjusted" by; None for
            τ = 1. Not the test data, which would then say too much.
        directory: Where to keep what each training predicted, so that a call that was killed, or
            one with more remedies or seeds, goes on; None keeps no files. The directory of another
            run is refused, and what differs is named.
        n_jobs: Trainings at a time, for joblib; None asks its `parallel_config`, and is one
            without it.
        verbose: 1 prints a line for each training; 0 nothing.

    Returns:
        A `RemedyComparison`, to be printed, and drawn by `visualization.plot_remedies`.

    Raises:
        TypeError, ValueError: before any training, for arguments outside the ranges above, a
            remedy in the list that the model or the data do not allow, a model that is not
            compiled or not new each time, another loss, labels outside the classes, a class
            without samples, classes of equally many, and the directory of another run. After it
            where the predictions of "none" are not finite.
        ImportError: without joblib; `pip install "keras_dcnn[ensemble]"` brings it.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
        return model

    x, y = np.random.default_rng(0).normal(size=(40, 4)), np.repeat([0, 1, 2], [28, 8, 4])
    print(keras_dcnn.imbalance.compare_remedies(
        build, (x, y), (x, y), remedies=["adjusted"], seeds=2, epochs=1, verbose=0
    ))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 9.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        Zhang et al.: Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional
        Neural Networks (2021). https://ojs.aaai.org/index.php/AAAI/article/view/16458
    """
    names, seeds = as_remedies(remedies), as_seeds(seeds)
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    check_number("second_phase", second_phase, above=0, below=1)
    check_number("second_phase_rate", second_phase_rate, above=0)
    directory = None if directory is None else as_path("directory", directory)
    check_jobs(build, None, {})
    count_jobs(n_jobs)
    given = {"data": data, "test_data": test_data, "validation_data": validation_data}
    pairs = {name: as_pair(name, pair, name != "validation_data") for name, pair in given.items()}
    probe, samples = make_model(build, pairs["data"])
    held_out = list(pairs.items())[1:]
    labels = [held_out_labels(name, pair, len(samples.counts)) for name, pair in held_out]
    second = min(max(1, round(epochs * second_phase)), int(epochs) - 1)
    phases = (int(epochs) - second, second)
    plan = Plan(samples, phases, float(second_phase_rate), int(batch_size))
    names, notes = possible(names, probe, plan, is_listed=not isinstance(remedies, str))
    run = {
        "kind": "compare_remedies",
        **{name: prints_of(pair) for name, pair in pairs.items()},
        **{"epochs": epochs, "epochs of the second phase": second},
        **{"second_phase_rate": float(second_phase_rate), "batch_size": batch_size},
        **describe_run(build, [probe], {}, None),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary if directory is None else directory).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder, "*.npz")
        begin_run(folder, describe(run), any(folder.glob("*.npz")))
        inputs = [None if pair is None else pair[0] for _, pair in held_out]
        shared = Comparison(build, plan, *inputs, folder)
        trained = [name for name in names if name != "adjusted"]
        done = run_jobs(shared, trained, seeds, n_jobs, verbose)
    return _judged(done, names, seeds, notes, samples.counts, *labels)


def _judged(done, names, seeds, notes, counts, y, held_out_y):
    """The RemedyComparison of what the jobs gave."""
    logs, groups, taus, scores = log_priors(counts), groups_by_count(counts), [], {}
    infinite = sorted(
        {name for (name, _), one in done.items() if not np.isfinite(one["test"]).all()}
    )
    if "none" in infinite:
        raise ValueError(
            'the predictions of "none" must be finite; got NaN or infinity: lower the learning '
            "rate, or look for NaN in the data."
        )
    notes += [f"{name} is left out: its predictions are not finite." for name in infinite]
    for name in names:
        if name in infinite:
            continue
        results = [done["none" if name == "adjusted" else name, seed] for seed in seeds]
        predictions = [one["test"] for one in results]
        if name == "adjusted":
            taus = [_tau(one, held_out_y, logs) for one in results]
            pairs = zip(predictions, taus, strict=True)
            predictions = [adjusted(p, logs, tau) for p, tau in pairs]
        of_seeds = [scores_of(y, p, groups) for p in predictions]
        scores[name] = {key: tuple(one[key] for one in of_seeds) for key in of_seeds[0]}
        scores[name]["seconds"] = tuple(float(one["seconds"]) for one in results)
    return RemedyComparison(scores, tuple(seeds), groups, len(y), tuple(taus), tuple(notes))


def _tau(arrays, y, log_priors):
    """τ chosen on the held-out predictions of "none", 1 without them."""
    if y is None:
        return 1.0
    return choose_tau(np.log(np.maximum(arrays["held_out"], TINY)), y, log_priors)
