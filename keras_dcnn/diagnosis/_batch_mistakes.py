"""The width of the curve of batches: what it says of the batch size, and what it can't."""

import math

import numpy as np

from keras_dcnn.diagnosis import _curve_limits as limits
from keras_dcnn.diagnosis._trend import block_means
from keras_dcnn.diagnosis.finding import Finding

_NO_NOISE_SCALE = (
    "what batch the gradients' noise asks for, tr Σ / ‖G‖², cannot be told from losses"
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
    try_ = f"{times:.0f} times as many" if size is None else f"{enough:,}"
    is_small = size is not None and size <= limits.SMALL_BATCH
    yield Finding(
        "wide_batch_losses",
        f"the losses of batches scatter by {width:.2g}, {width / fall:.0%} of the whole fall: the "
        f"curve is wide{'' if size is None else f' with {size} images a batch'}",
        f"try batches of {try_} images, with which the scatter is {limits.GOOD_WIDTH:.0%} of the "
        "fall, if a batch's noise goes with 1/√size; noisy labels and a high rate scatter as well; "
        + _NO_NOISE_SCALE,
        severity="warning" if is_small else "info",
        evidence={"width": width, "fall": fall, "batch_size": size, "suggested": enough},
        confidence="likely" if is_small else "possible",
    )


def _width_and_fall(losses):
    """The median, over blocks, of the deviation between neighbours; the fall of the means."""
    size = max(limits.BATCHES_OF_A_BLOCK, len(losses) // limits.BLOCKS_OF_BATCHES)
    means = block_means(losses, size)
    steps = abs(np.diff(losses)) * math.sqrt(math.pi) / 2  # the mean of |Δ| is 2σ/√π
    return float(np.median(block_means(steps, size))), float(means[0] - means.min()), means[0]
