"""find_learning_rate: a short training with a rising rate, after which all values are as before."""

from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import (
    check_built_model,
    check_choice,
    check_count,
    check_number,
    check_seed,
)
from keras_dcnn._keras.optimizers import build_optimizer, training_optimizers
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._state.snapshot import are_finite
from keras_dcnn._structure.targets import check_targets
from keras_dcnn.diagnosis._learning_rate.batches import check_data, training_batches
from keras_dcnn.diagnosis._learning_rate.curve import (
    descent_of,
    fall_of,
    smooth,
    steepest_place,
    valley_place,
)
from keras_dcnn.diagnosis._learning_rate.state import left_as_it_was
from keras_dcnn.diagnosis._learning_rate.sweep import check_rates, sweep
from keras_dcnn.diagnosis.learning_rate_curve import LearningRateCurve

FEWEST = 10  # losses from which a rate can be suggested


def find_learning_rate(
    model: keras.Model,
    data: Any,
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    num_steps: int = 100,
    batch_size: int = 32,
    smoothing: float = 0.85,
    seed: int | None = None,
    verbose: int = 1,
) -> LearningRateCurve:
    """Suggest a learning rate by a short training in which the rate rises to where it diverges.

    The learning-rate range test: one update at each of `num_steps` rates, log η rising evenly. It
    stops where the average of the last losses is above 4 × its best, or a loss is not finite. Both
    suggestions lie where the smoothed loss goes down, from a quarter to nine tenths of its fall:
    the valley, the safer, in the middle of that stretch; the steepest descent, the bolder, beyond
    it, or else both there. They hold for this model, data, optimizer and batch size; of an
    untrained model, for the beginning of its training.

    Afterwards all values are as before, also after an error or Ctrl-C: weights, BatchNorm
    statistics, seeds, the optimizer, metrics, Python's, NumPy's, PyTorch's and Keras's random
    numbers. So the next `fit` is what it would have been, with arrays, lists of batches, tf.data, a
    DataLoader without a generator of its own, and a PyDataset that draws from generators or layers
    that are its attributes; for other data a warning says that their order went on. A tf.data set
    is copied for that, what it holds in memory too: from 1 GB on give arrays; beyond 2 GB it is
    read itself, with the warning. The optimizer stays built.

    Args:
        model: A built Keras model, compiled. The rates in a MultiOptimizer rise in proportion. With
            gradient accumulation each rate takes the batches of an update.
        data: Arrays `(x, y)` or `(x, y, sample_weight)`; tf.data, PyDataset, DataLoader or any
            iterable of such batches that can be read again, as it is where batches are too few.
        min_lr: The first rate, > 0.
        max_lr: The last rate, > `min_lr`. Of several optimizers it is that of the highest.
        num_steps: Rates that are tried, ≥ 10.
        batch_size: Samples in a batch of arrays, ≥ 1; take that of the training.
        smoothing: β of the exponential averages of the losses, 0 ≤ β < 1: those of 1/(1−β) steps.
        seed: Integer ≥ 0 for the order of arrays, or None: from NumPy's random numbers, which are
            not moved on.
        verbose: 1 prints the suggestions, with a progress bar in a terminal; 0 neither.

    Returns:
        A `LearningRateCurve`, with the suggestions `steepest` and `valley`. Both are None where the
        loss does not fall clearly beyond its noise, which is printed: then keep the rate that you
        have, or try again with a larger `batch_size`, more `num_steps` or a higher `smoothing`.

    Raises:
        TypeError: for a `model` or `data` of another type.
        ValueError: for arguments out of range, a model that is not built or compiled, has nothing
            to train or trains with optimizers of its own, a learning rate that is a schedule, a
            generator, which could be read only once, data that are not finite, and where the losses
            suggest no rate, since they do not fall.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(), "mse")
    x = np.random.default_rng(0).normal(size=(64, 4))
    curve = keras_dcnn.diagnosis.find_learning_rate(model, (x, x.sum(axis=1)))
    if curve.valley is not None:
        model.optimizer.learning_rate = curve.valley
    ```

    Reference:
        Smith: Cyclical Learning Rates for Training Neural Networks (2015), section 3.3.
        https://arxiv.org/abs/1506.01186. The test stops, and its suggestions are named, as fastai
        has it, https://docs.fast.ai/callback.schedule.html, whose averages lag; how often either's
        lie on the descent, and what they train to: benchmarks/LEARNING_RATE.md.
    """
    _check_compiled(model)
    check_data(data)
    if isinstance(data, tuple):
        check_targets([model], *data[1:3])
    _check_numbers(min_lr, max_lr, num_steps, batch_size, smoothing)
    check_seed(seed)
    check_choice("verbose", verbose, (0, 1))
    rates = np.geomspace(min_lr, max_lr, num_steps)
    with left_as_it_was(model):
        generator = np.random.default_rng(_seed(seed))
        with training_batches(data, batch_size, generator) as batches:
            losses, diverged = sweep(model, rates, batches, smoothing, verbose)
    curve = _suggest(rates, losses, smoothing, diverged)
    if verbose:
        print(curve)
    return curve


def _check_compiled(model):
    check_built_model(model)
    _check_optimizer(model)
    if not model.trainable_variables:
        what = f"all of `{model.name}` are frozen" if model.weights else f"`{model.name}` has none"
        raise ValueError(f"`model` must have weights to train; {what}.")
    build_optimizer(model)
    check_rates(model)
    if not are_finite([*state_variables(model), *model.optimizer.variables]):
        raise ValueError(
            "`model` must be of finite weights; it, or its optimizer, holds NaN or infinity, as "
            "after a training that diverged: build and compile it anew."
        )


def _check_optimizer(model):
    compiled = getattr(model, "optimizer", None)
    own = [one for one in training_optimizers(model) if one.optimizer is not compiled]
    if own:
        names = ", ".join(f"`{one.where}`" for one in own)
        raise ValueError(
            "find_learning_rate can raise, and put back, only the optimizer that the model was "
            f"compiled with; `{model.name}` trains in a way of its own and holds {names}: give it "
            "a model without those, such as one of its parts, compiled with its optimizer."
        )
    if not model.compiled or compiled is None:
        given = "was compiled with none" if model.compiled else "is not compiled"
        raise ValueError(
            "`model` must be compiled with an optimizer and a loss, as for training; "
            f"`{model.name}` {given}: call model.compile with them."
        )


def _check_numbers(min_lr, max_lr, num_steps, batch_size, smoothing):
    check_number("min_lr", min_lr, above=0)
    check_number("max_lr", max_lr, above=min_lr)
    check_count("num_steps", num_steps, minimum=FEWEST)
    check_count("batch_size", batch_size)
    check_number("smoothing", smoothing, minimum=0, below=1)


def _seed(seed):
    return np.random.randint(2**31) if seed is None else seed  # noqa: NPY002, put back afterwards


def _suggest(rates, losses, smoothing, diverged):
    """The curve with its suggestions; ValueError where there are none."""
    _check_number_of_losses(rates, losses)
    rates = rates[: len(losses)]
    smoothed, fall = smooth(losses, smoothing), fall_of(losses, smoothing)
    steepest = valley = None
    if fall.is_clear:
        descent = descent_of(losses, smoothed, fall)
        steepest = float(rates[steepest_place(smoothed, descent)])
        valley = float(rates[valley_place(smoothed, descent)])
    elif not fall.is_hidden:
        advice = "lower `min_lr`" if diverged or fall.depth < 0 else "raise `max_lr`"
        raise ValueError(
            "the loss must fall as the rate rises for one to be suggested; smoothed, it was "
            f"{fall.level:.3g} at the first rates and after them no lower than "
            f"{smoothed[fall.lowest]:.3g}, at {rates[fall.lowest]:.2g}: {advice}, and see whether "
            "the model can learn at all, or has learnt already."
        )
    curves = (tuple(map(float, values)) for values in (rates, losses, smoothed))
    return LearningRateCurve(*curves, steepest=steepest, valley=valley, diverged=diverged)


def _check_number_of_losses(rates, losses):
    if not losses:
        raise ValueError(
            "the loss must be finite; it was not so on the first batch, before any update: look "
            "for weights or values of the data that are far too large, and at the loss."
        )
    if len(losses) < FEWEST:
        raise ValueError(
            f"a learning rate needs {FEWEST} losses to be suggested from; got {len(losses)}, as "
            f"the loss had diverged by {rates[len(losses) - 1]:.2g}: lower `min_lr`, and look for "
            "values far too large in the data."
        )
