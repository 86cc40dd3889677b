"""train_in_two_phases: the classes with many images, then those with few; or balanced ones."""

from collections.abc import Sequence
from typing import Any

import keras
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_choice, check_count, check_model, check_number
from keras_dcnn._keras.fitting import print_message, sync
from keras_dcnn._state.rates import check_rates_can_be_set, rates_of, set_rates
from keras_dcnn.imbalance._phases import few_of, samples_of
from keras_dcnn.imbalance._second_phase import changes_of, outputs_of
from keras_dcnn.imbalance.class_weights import class_weights
from keras_dcnn.imbalance.two_phase_history import TwoPhaseHistory
from keras_dcnn.imbalance.two_phase_training import FORMS, TwoPhaseTraining

_OF_ONE_FIT = ("GradualUnfreeze", "ResumeTraining", "TwoPhaseTraining")


def train_in_two_phases(
    model: keras.Model,
    data: Any,
    validation_data: Any = None,
    *,
    form: str = "many_then_few",
    few: int | Sequence[int] | None = None,
    class_weight: str | dict[int, float] | ArrayLike = "balanced",
    head: Any = None,
    epochs: tuple[int, int] = (10, 10),
    learning_rate: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    batch_size: int = 32,
    seed: int = 0,
    verbose: int = 1,
) -> TwoPhaseHistory:
    """Train a compiled model in two phases, so that classes with few images are not drowned.

    The tutorial's remedy: fine-tune on the classes with many images first, then on those with few.
    The second phase sees no image of the others, and a network soon forgets what it is not shown:
    on `photo_digits` of 20 : 1, from scratch, balanced accuracy came to .10, where one phase on all
    reached .67 and "balanced" .76 (one seed). So keep that phase short, its learning rate small,
    and look at the recall of the classes with many images. Practice has moved on to forms that go
    on seeing all classes.

    | `form` | first phase | second phase |
    |---|---|---|
    | `"many_then_few"` | the classes with many samples | those with few (the tutorial's) |
    | `"balanced"` | all samples | all layers, as many samples of each class |
    | `"head"` | all samples | the layer of classes alone, from new values, on such (cRT) |
    | `"reweighted"` | all samples | all samples, weighted by their class (DRW) |

    On ImageNet with classes of 5 to 1,280 images "head" brought 49.6 % right from 44.4 %, and 27.4
    from 7.7 % for classes of fewer than 20 (Kang et al.). What "head" freezes stays as it is, bit
    for bit. Each phase is a `fit`: EarlyStopping of the first does not end the second, and epochs
    are counted on. `TwoPhaseTraining` does it in one `fit`, as for `fine_tune`.

    Args:
        model: A compiled Keras model. It is trained; at the end, or where it is interrupted, it is
            compiled as before, and what was frozen can be trained.
        data: `(x, y)` or `(x, y, sample_weight)` of arrays; memory maps are read by batches. y are
            classes from 0 or one-hot rows. Samples of weight 0 are left out.
        validation_data: As in `fit`, the same in both phases.
        form: One of those above.
        few: For "many_then_few": classes of fewer samples than this number, or a list of classes;
            None for those below the mean, an equal share. All others are of the first phase.
        class_weight: For "reweighted": a method of `class_weights`, or weights by class.
        head: For "head": which layers; None for the layer of classes. As in `TwoPhaseTraining`.
        epochs: Epochs of each phase, ≥ 1.
        learning_rate: That of the second phase, above 0; None goes on with that of the first. The
            form "head" takes one as for training anew, the others a tenth or less.
        callbacks: Callbacks of Keras's or ours for both phases.
        batch_size: Samples in a batch, ≥ 1.
        seed: Whole number ≥ 0 for the order of the samples and the new head.
        verbose: 1 says what is trained, with a bar for each epoch; 0 is silent.

    Returns:
        A `TwoPhaseHistory`: the curves of both phases, and a `record` of what was done.

    Raises:
        TypeError, ValueError: before any training, for arguments outside the ranges above or not
            for the form, for batches in place of arrays, labels that are no classes, one class, a
            class without samples, classes of equally many samples, a model that is not compiled,
            and for "head" one without a layer of classes.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.array([0] * 9 + [1] * 3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation="relu")])
    model.add(keras.layers.Dense(2, activation="softmax"))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    history = keras_dcnn.imbalance.train_in_two_phases(
        model, (x, y), form="head", epochs=(1, 1), verbose=0
    )
    print(history)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 9.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        Kang et al.: Decoupling Representation and Classifier for Long-Tailed Recognition (2020).
        https://arxiv.org/abs/1910.09217
        Cao et al.: Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss (2019).
        https://arxiv.org/abs/1906.07413
    """
    _check_arguments(model, form, few, head, epochs, learning_rate, callbacks)
    for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
        check_count(name, value, minimum=least)
    samples = samples_of(data, outputs_of(model))
    if form == "reweighted" and isinstance(class_weight, str):
        class_weight = class_weights(samples.classes, class_weight, num_classes=len(samples.counts))
    changes_of(form, model, head, class_weight)  # refused before the first phase
    second = [] if callbacks is None else [*callbacks]
    if form in ("head", "reweighted"):
        given = {"head": head} if form == "head" else {"class_weight": class_weight}
        second.append(TwoPhaseTraining(int(epochs[0]), form, **given, seed=seed, verbose=0))
    datasets, record = datasets_of(samples, form, few, int(batch_size), int(seed))
    if verbose:
        print_message("\n".join(record))
    fits = zip(datasets, (callbacks, second), (0, epochs[0]), (epochs[0], sum(epochs)), strict=True)
    curves = _fit_both(model, list(fits), validation_data, learning_rate, verbose)
    return TwoPhaseHistory(form, *curves, tuple(record))


def _fit_both(model, fits, validation_data, learning_rate, verbose):
    """The curves of each phase; at the end the rate is that of the first, however it ends."""
    curves, rates = [], None
    try:
        for number, (dataset, callbacks, begin, end) in enumerate(fits):
            if number and learning_rate is not None:
                rates = rates_of(model)
                set_rates(model, [float(learning_rate)])
            history = model.fit(
                dataset,
                validation_data=validation_data,
                initial_epoch=int(begin),
                epochs=int(end),
                callbacks=callbacks,
                verbose=verbose,
            )
            curves.append(history.history)
    finally:
        for one in fits[1][1] or ():
            if isinstance(one, TwoPhaseTraining):
                one.end()
        if rates is not None:
            sync(model)
            set_rates(model, rates)
    return curves


def datasets_of(samples, form, few, batch_size, seed):
    """What each phase reads, and a sentence on each."""
    everything = samples.counts > 0
    names = ["all samples", "all samples"]
    if form == "many_then_few":
        rare = few_of(samples.counts, few)
        parts = [samples.natural(which, batch_size, seed) for which in (~rare, rare)]
        names = [_of_classes(samples.counts, which) for which in (~rare, rare)]
    else:
        parts = [samples.natural(everything, batch_size, seed)] * 2
    if form in ("balanced", "head"):
        parts[1] = samples.balanced(batch_size, seed)
        names[1] = f"{samples.counts.max():,} samples of each class in an epoch"
    names[1] += {"head": ", the head alone", "reweighted": ", weighted by class"}.get(form, "")
    return parts, [
        f"The {which} phase: {n}." for which, n in zip(("first", "second"), names, strict=True)
    ]


def _of_classes(counts, which):
    own, number = counts[which], int(which.sum())
    of = f"{own.min():,}" if own.min() == own.max() else f"{own.min():,} to {own.max():,}"
    return f"{number} class{'es' * (number > 1)} of {of} samples"


def _check_arguments(model, form, few, head, epochs, learning_rate, callbacks):
    check_model(model)
    if not model.compiled:
        raise ValueError(f"`model` must be compiled; `{model.name}` is not: call model.compile.")
    check_choice("form", form, ("many_then_few", *FORMS))
    for name, value, own in (("few", few, "many_then_few"), ("head", head, "head")):
        if value is not None and form != own:
            raise ValueError(f"`{name}` is for the form '{own}'; got form='{form}': leave it out.")
    if not isinstance(epochs, (tuple, list)) or len(epochs) != 2:
        raise ValueError(f"`epochs` must be a pair, of the first and second phase; got {epochs!r}.")
    for number, value in enumerate(epochs):
        check_count(f"epochs[{number}]", value)
    if learning_rate is not None:
        check_number("learning_rate", learning_rate, above=0)
        check_rates_can_be_set("`learning_rate`", model)
        if len(rates_of(model)) > 1:
            raise ValueError(
                "`learning_rate` is for an optimizer of one rate; the model has "
                f"{len(rates_of(model))}: leave it out, and set them by a callback."
            )
    for name in (type(one).__name__ for one in callbacks or ()):
        if name in _OF_ONE_FIT:
            raise ValueError(
                f"each phase is a `fit` of its own here, and {name} is for one: leave it out, or "
                "use it in a `fit` with TwoPhaseTraining."
            )
