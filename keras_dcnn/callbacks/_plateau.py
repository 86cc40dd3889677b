"""The decisions of DivideLROnPlateau: pure functions of numbers."""

import warnings
from typing import NamedTuple

import numpy as np


class PlateauState(NamedTuple):
    """What a decision depends on beside the new value."""

    best: float | None = None  # as a cost: lower is better
    wait: int = 0  # looks without improvement that count
    cooling: int = 0  # looks still not counted after a cut


def plateau_step(state, cost, patience, margin, cooldown):
    """The next state, and whether `cost` (lower is better) "improved", means "plateau" or "wait".

    `margin(best)` is what an improvement must exceed.
    """
    cooling = max(state.cooling - 1, 0)
    if state.best is None or cost < state.best - margin(state.best):
        return PlateauState(cost, 0, cooling), "improved"
    if state.cooling:
        return PlateauState(state.best, 0, cooling), "wait"
    if state.wait + 1 >= patience:
        return PlateauState(state.best, 0, cooldown), "plateau"
    return PlateauState(state.best, state.wait + 1, 0), "wait"


def divided(rates, divisor, min_lr):
    """Each rate divided, or None where it is not to go lower."""
    lower = [max(rate / divisor, min_lr) for rate in rates]
    # By the optimizer's precision, in which 0.1 is above 0.1.
    return [
        new if np.float32(new) < np.float32(old) else None
        for old, new in zip(rates, lower, strict=True)
    ]


def warn_of_short_looks(every, batches):
    """Warn where an update of the optimizer takes more batches than one looks at."""
    if batches > every:
        warnings.warn(
            f"DivideLROnPlateau looks every {every} batches, and the optimizer makes one update of "
            f"{batches}, so that it sees the same model several times: pass every={batches}, or a "
            "multiple.",
            stacklevel=2,
        )
