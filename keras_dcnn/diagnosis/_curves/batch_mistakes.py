"""The width of the curve of batches: what it says of the batch size, and what it can't."""

import math

import numpy as np

from keras_dcnn.diagnosis._curves import limits
from keras_dcnn.diagnosis._curves.trend import block_means
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding

_NO_NOISE_SCALE = (
    "What size the noise of the gradients asks for, tr Σ / ‖G‖², cannot be told from losses"
)


def find_wide_batches(curves):
    """Batches' losses that scatter by a tenth of the whole fall, as a deviation."""
    if curves.batches is None:
        return
    losses = curves.batches.losses[np.isfinite(curves.batches.losses)]
    if len(losses) < limits.FEWEST_BATCHES:
        return
    width, fall, first = _width_and_fall(losses)
    width *= math.sqrt(curves.batches.block)
    if fall < limits.LITTLE * abs(first) or width <= limits.WIDE * fall:
        return
    size = curves.batch_size
    times = (width / (limits.GOOD_WIDTH * fall)) ** 2
    enough = None if size is None else 2 ** round(math.log2(size * times))
    is_small = size is not None and size <= limits.SMALL_BATCH
    yield Finding(
        "wide_batch_losses",
        f"the losses of batches{'' if size is None else f' of {size}'} scatter by {width:.2g}, "
        f"{percent(width / fall)} of the whole fall, which makes the curve wide",
        _advice(size, times, enough, is_small),
        severity="warning" if is_small else "info",
        evidence={"width": width, "fall": fall, "batch_size": size, "suggested": enough},
        confidence="likely" if is_small else "possible",
    )


def _advice(size, times, enough, is_small):
    if size is not None and not is_small:
        return (
            "look for noisy labels and a rate that is too high; with as many images a batch the "
            f"size is hardly the reason. {_NO_NOISE_SCALE}"
        )
    images = f"of {enough:,} images" if enough else f"that are {times:.0f} times as large"
    return (
        f"try batches {images}, where the scatter would be {percent(limits.GOOD_WIDTH)} of the "
        "fall, as it goes with 1/√size, unless labels are noisy or the rate is high. "
        + _NO_NOISE_SCALE
    )


def _width_and_fall(losses):
    """The median, over blocks, of the deviation between neighbours; the fall of the means."""
    size = max(limits.BATCHES_OF_A_BLOCK, len(losses) // limits.BLOCKS_OF_BATCHES)
    means = block_means(losses, size)
    steps = abs(np.diff(losses)) * math.sqrt(math.pi) / 2  # the mean of |Δ| is 2σ/√π
    return float(np.median(block_means(steps, size))), float(means[0] - means.min()), means[0]
