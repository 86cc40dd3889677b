"""Reads the losses of a learning-rate range test: pure functions of NumPy arrays."""

import numpy as np

DIVERGES_AT = 4  # times the best loss, as fastai's lr_find has it


def smooth(losses, smoothing):
    """Exponential averages of the losses so far, corrected for their start.

    s_k = Σ_i β^(k−i) l_i / Σ_i β^(k−i), i ≤ k.
    """
    losses = np.asarray(losses, "float64")
    weights = smoothing ** np.arange(len(losses), dtype="float64")[::-1]
    return np.array(
        [np.average(losses[:k], weights=weights[-k:]) for k in range(1, len(losses) + 1)]
    )


def has_diverged(smoothed):
    """Whether the last loss is above 4 × the best; of negative ones, as far above it."""
    best = np.min(smoothed)
    return bool(smoothed[-1] - best > (DIVERGES_AT - 1) * abs(best))


def steepest_place(rates, smoothed):
    """Where the smoothed loss falls most by the log of the rate, or None where it never falls.

    Without the first tenth, where few losses are averaged, and what comes after the lowest: falls
    from the peaks of a training that goes wrong.
    """
    first = max(1, len(smoothed) // 10)
    lowest = first + int(np.argmin(smoothed[first:]))
    slopes = np.gradient(smoothed, np.log(rates))[first : lowest + 1]
    return first + int(np.argmin(slopes)) if slopes.min() < 0 else None


def valley_place(smoothed):
    """Two thirds into the longest stretch in which the smoothed loss falls, or None."""
    first, last = longest_fall(smoothed)
    return None if first == last else first + round(2 / 3 * (last - first))


def longest_fall(values):
    """First and last place of the longest subsequence in which each value is below the one before.

    Of several equally long, one that ends first.
    """
    values = np.asarray(values)
    lengths = np.ones(len(values), int)
    firsts = np.arange(len(values))
    for i in range(1, len(values)):
        chains = np.where(values[:i] > values[i], lengths[:i], 0)
        j = int(np.argmax(chains))
        if chains[j]:
            lengths[i], firsts[i] = chains[j] + 1, firsts[j]
    last = int(np.argmax(lengths))
    return int(firsts[last]), last
