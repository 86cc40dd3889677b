"""TwoPhaseTraining: features from all images as they are, then a phase in which classes count."""

from typing import Any

import keras
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_choice, check_count
from keras_dcnn._keras.fitting import callbacks_of_fit, print_message, variables_of_fit
from keras_dcnn._reading.labels import class_numbers
from keras_dcnn._structure.where import check_where
from keras_dcnn.imbalance._sampling import epoch_counts, rounded
from keras_dcnn.imbalance._second_phase import ChangedStep, begin_anew, changes_of, outputs_of
from keras_dcnn.imbalance.balanced_dataset import BalancedDataset

# Callbacks that change the same.
_OTHERS = {
    "balanced": ("TwoPhaseTraining",),
    "head": ("GradualUnfreeze", "TwoPhaseTraining"),
    "reweighted": ("GradualUnfreeze", "TwoPhaseTraining"),
}
FORMS = tuple(_OTHERS)


class TwoPhaseTraining(keras.callbacks.Callback):
    """Learns from all images as they are, then balances the classes for the last epochs.

    Balanced from the start, the few images of rare classes come again and again, and features are
    learnt from them that are worth less; not balanced at all, the classifier favours the classes
    with many images. So features first, balance second. Wei's group found on CIFAR-100 with classes
    of 500 to 5 images an error of 61.7 % without balance, 64.8 % with balanced sampling from the
    start, and 59.4 % with the same in a second phase.

    | `form` | the second phase |
    |---|---|
    | `"balanced"` | all layers go on, on equally many samples of each class |
    | `"head"` | the layer of classes alone learns, from new first values, on such samples (cRT) |
    | `"reweighted"` | all layers go on, and each sample counts as its class is weighted (DRW) |

    What the form "head" freezes stays as it is bit for bit, statistics of BatchNorm included, which
    run as at inference. `trainable` is not touched. With a head that begins anew the optimizer
    does too, and so does a schedule of its learning rate. The training step is compiled once more,
    and is much quicker with the head alone; not so on PyTorch, which computes the gradients of what
    is frozen all the same. Averages of weights, as by WeightAveraging, should begin no sooner than
    the second phase. After a `fit` that was interrupted the next one trains all layers, with this
    callback or without; `end()` gives `data` their mode back at once.

    Lower the learning rate for the second phase, if all layers go on: by a LearningRateScheduler,
    or by `train_in_two_phases`, which makes a `fit` of each phase and also has the tutorial's own
    form, that needs other data in each. The other phase begins in the same `fit` here, so this is
    for `fine_tune(callbacks=[…])` and trainings of your own.

    Args:
        start: Epochs of the first phase, ≥ 1, fewer than `fit` is given in all.
        form: "balanced", "head" or "reweighted".
        data: The BalancedDataset that `fit` reads, for "balanced" and "head": the second phase
            draws as its mode says, the first as many samples by the classes' natural shares. For
            "head" None leaves the sampling as it is.
        class_weight: What a sample of each class counts, for "reweighted": as of
            `imbalance.class_weights`, a dict or a list.
        head: Which layers "head" trains: a name or pattern, a class, a function that takes a layer,
            or a list of these; None for the layer of classes.
        seed: Whole number ≥ 0 for the first values of the head; None lets it go on from those that
            it has.
        verbose: 1 prints a line when the second phase begins, 0 nothing, as in `fit(verbose=0)`.

    Raises:
        TypeError, ValueError: for an argument outside the ranges above, or that is not for the
            form; at the start of `fit`, when the second phase would never begin, when `fit` does
            not read `data`, for a model without a layer of classes or with a training of its own,
            an optimizer with `use_ema`, and beside callbacks that change the same.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.array([0] * 9 + [1] * 3)
    model = keras.Sequential([keras.Input((4,))])
    model.add(keras.layers.Dense(4, activation="relu"))
    model.add(keras.layers.Dense(2, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    weights = keras_dcnn.imbalance.class_weights(y)
    phases = keras_dcnn.imbalance.TwoPhaseTraining(2, "reweighted", class_weight=weights)
    model.fit(x, y, epochs=3, callbacks=[phases], verbose=0)
    ```

    Reference:
        Kang et al.: Decoupling Representation and Classifier for Long-Tailed Recognition (2020),
        for "head". https://arxiv.org/abs/1910.09217
        Cao et al.: Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss (2019),
        for "reweighted". https://arxiv.org/abs/1906.07413
        Zhang et al.: Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional
        Neural Networks (2021), for the comparison.
        https://ojs.aaai.org/index.php/AAAI/article/view/16458
    """

    def __init__(
        self,
        start: int,
        form: str = "balanced",
        *,
        data: BalancedDataset | None = None,
        class_weight: dict[int, float] | ArrayLike | None = None,
        head: Any = None,
        seed: int | None = 0,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        check_count("start", start)
        if form == "many_then_few":
            raise ValueError(
                "`form` must be one of a single `fit`; got 'many_then_few', which needs other data "
                "in each phase: use imbalance.train_in_two_phases."
            )
        check_choice("form", form, FORMS)
        _check_given("class_weight", class_weight, form, needed=("reweighted",))
        _check_given("data", data, form, needed=("balanced",), taken=("head",))
        _check_given("head", head, form, taken=("head",))
        _check_data(data)
        check_where(head)
        if seed is not None:
            check_count("seed", seed, minimum=0)
        self.start = start
        self.form = form
        self.data = data
        self.class_weight = class_weight
        self.head = head
        self.seed = seed
        self.verbose = verbose
        self._step, self._mode, self._has_begun, self._changes = None, None, False, {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.end()  # of a `fit` that was interrupted
        epochs = (self.params or {}).get("epochs")
        if epochs is not None and self.start >= epochs:
            raise ValueError(
                f"`start` must be below the number of epochs; got start={self.start} and "
                f"epochs={epochs}: the second phase would never begin."
            )
        if (
            self.data is not None
            and variables_of_fit(self.model).get("x", self.data) is not self.data
        ):
            raise ValueError("`data` must be what `fit` reads; got another: fit(data, …).")
        if self.data is not None:
            _check_classes(self.data.counts, self.model)
            self._mode = self.data.mode
            _draw_by(self.data, _natural(self.data))
        self._check_others()
        self._changes = changes_of(self.form, self.model, self.head, self.class_weight)

    def _check_others(self):
        """Raise ValueError for callbacks that this one can't work beside."""
        others = [one for one in callbacks_of_fit() if one is not self]
        for other in others:
            if type(other).__name__ in _OTHERS[self.form]:
                raise ValueError(
                    f"TwoPhaseTraining and {type(other).__name__} would both change what is "
                    "trained in this `fit`: leave one out."
                )
        anew = self.form == "head" and self.seed is not None
        if anew and any(getattr(one, "every_batches", None) for one in others):
            raise ValueError(
                "a head that begins anew can't be resumed in the middle of its first epoch: use "
                "ResumeTraining without `every_batches`, or seed=None."
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch < self.start or self._has_begun:
            return
        self._has_begun = True
        if self.form == "head" and self.seed is not None and epoch == self.start:
            begin_anew(self.model, self._changes["head"], self.seed)
        if self.data is not None:
            _draw_by(self.data, self._mode)
        if self._changes:
            self._step = ChangedStep(self.model, **self._changes)
        if self.verbose and (self.params or {}).get("verbose", 1):
            print_message(f"\nEpoch {epoch + 1}: the second phase begins ({self.form}).")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.end()

    def end(self) -> None:
        """Leave the second phase, as `fit` does at its end; for one that was interrupted."""
        if self._step is not None:
            self._step.end()
        if self._mode is not None:
            _draw_by(self.data, self._mode)
        self._step, self._mode, self._has_begun, self._changes = None, None, False, {}


def _natural(data):
    """As many samples of each class as there are, scaled to what a dataset draws in an epoch."""
    drawn = epoch_counts(data.counts, data.mode).sum()
    return rounded(data.counts / data.counts.sum(), drawn).tolist()


def _draw_by(data, mode):
    """Have a dataset draw the epoch that comes by another mode, of as many samples."""
    data.mode = mode
    data.epoch = data.epoch


def _check_data(data):
    """Raise TypeError or ValueError for what a callback can't have drawn otherwise."""
    if data is None:
        return
    if not isinstance(data, BalancedDataset):
        raise TypeError(f"`data` must be a BalancedDataset; got {type(data).__name__}.")
    if isinstance(data.mode, str) and data.mode == "progressive":
        raise ValueError(
            "`data` must have a mode of one kind of epochs; got 'progressive', which goes from "
            "natural to balanced by itself: use it without TwoPhaseTraining, or another mode."
        )
    class_numbers(data[0][1])  # refuses several labels in words


def _check_classes(counts, model):
    """Raise ValueError for more classes than the model knows, which JAX would take all the same."""
    columns = outputs_of(model)
    if columns is not None and len(counts) > max(columns, 2):
        raise ValueError(
            f"`data` must be of the {max(columns, 2)} classes of `{model.name}`; it has "
            f"{len(counts)}: number the classes from 0, or give the model an output for each."
        )


def _check_given(name, value, form, needed=(), taken=()):
    """Raise ValueError for an argument that the form lacks, or does not take."""
    if value is None and form in needed:
        raise ValueError(f"the form '{form}' needs `{name}`; got None.")
    if value is not None and form not in (*needed, *taken):
        raise ValueError(f"the form '{form}' takes no `{name}`: leave it out.")
