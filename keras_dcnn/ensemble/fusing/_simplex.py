"""Minimises a convex function of weights that are at least 0 and sum to 1."""

import warnings

import numpy as np

_LEAST = 1e-30  # a weight of 0 could never grow again


def minimise_on_simplex(value_and_gradient, weights, tolerance=1e-6, max_steps=5000):
    """Weights at which the value is at most 2 · `tolerance` above the lowest, those that are not
    needed for that 0.

    Exponentiated gradient, w ← w · exp(−η ∂f/∂w) / Σ, with η halved until the bound that makes it
    converge holds and then doubled. For a convex f the lowest value is at least f(w) − (w − e_m)·∇f
    for the best single m, which says when to stop.
    """
    value, gradient = value_and_gradient(weights)
    step = 1.0
    for _ in range(max_steps):
        gap = weights @ gradient - gradient.min()
        if gap <= tolerance:
            return _without_small(value_and_gradient, weights, value + tolerance)
        while True:
            moved = np.maximum(weights * np.exp(step * (gradient.min() - gradient)), _LEAST)
            moved /= moved.sum()
            new_value, new_gradient = value_and_gradient(moved)
            divergence = moved @ np.log(moved / weights)
            bound = value + gradient @ (moved - weights) + divergence / step
            if new_value <= bound + 1e-14 * abs(value):
                break
            step /= 2
        weights, value, gradient = moved, new_value, new_gradient
        step *= 2
    warnings.warn(
        f"the weights are not the best yet: their loss may be {gap:.1g} too high after "
        f"{max_steps} steps.",
        stacklevel=4,
    )
    return weights


def _without_small(value_and_gradient, weights, highest):
    """With 0 for the small ones, as long as that leaves the value at most at `highest`."""
    for small in (1e-3, 1e-4, 1e-6, 1e-9):
        kept = np.where(weights < small, 0, weights)
        kept /= kept.sum()
        if value_and_gradient(kept)[0] <= highest:
            return kept
    return weights
