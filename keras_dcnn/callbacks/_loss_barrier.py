"""The loss barrier between averaged weights and those in training, by the validation of `fit`."""

import math
import warnings

from keras_dcnn._keras.fitting import variables_of_fit
from keras_dcnn._keras.rereading import moves_when_read


def may_look(model):
    """Whether the validation data of the `fit` that begins may be read once more; warns if not."""
    given = variables_of_fit(model)
    data = given.get("validation_data")
    if not moves_when_read(data, given.get("validation_steps")):
        return True
    warnings.warn(
        f"the validation data, a {type(data).__name__}, would not be the same for fit if "
        "WeightAveraging read them too, so it does not: it neither looks for a loss barrier nor "
        "chooses the best BatchNorm statistics. Pass arrays, or a keras.utils.PyDataset without "
        "`on_epoch_begin` and `on_epoch_end`.",
        stacklevel=2,
    )
    return False


def barrier_message(averaged, raw):
    """What to say of an average that validates much worse than the weights in training."""
    told = (
        f"the averaged weights have a validation loss of {averaged:.4g}, those in training "
        f"{raw:.4g}: "
    )
    if not math.isfinite(raw):
        return told + (
            "the training diverged, or the validation data are not finite. Lower the learning "
            "rate, or end it in time with keras.callbacks.TerminateOnNaN; else leave such samples "
            "out."
        )
    if not math.isfinite(averaged):
        return told + (
            "weights that were NaN, infinite or far off are in the average. Begin later "
            "(`start`), or lower the learning rate."
        )
    return told + (
        "they lie in different basins, or far apart. Average predictions instead "
        "(CheckpointEnsemble), begin later (`start`), or lower the learning rate."
    )
