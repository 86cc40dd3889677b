"""Shares in words, and how sure they are of few samples: intervals, the sign test."""

import math
import statistics

import numpy as np


def percent(share, digits=0):
    """A share in words."""
    return f"{100 * share:.{digits}f} %"


def wilson(right, n, at_once=1):
    """Wilson's 95 % intervals of shares, (low, high); with `at_once` of them all hold together."""
    z = statistics.NormalDist().inv_cdf(1 - 0.025 / at_once)
    share = right / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    spread = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return np.maximum(middle - spread, 0), np.minimum(middle + spread, 1)


def arms(right, n, at_once=1):
    """How far the shares are from the farther ends of Wilson's intervals."""
    low, high = wilson(right, n, at_once)
    return np.maximum(right / n - low, high - right / n)


def mean_interval(right, n):
    """95 % interval, or wider, of the mean of independent shares: their arms, added as squares.

    Zou and Donner take the arm of each side; of many shares near 0 the lower are too short by far.
    """
    mean, arm = (right / n).mean(), np.sqrt((arms(right, n) ** 2).sum()) / len(n)
    return float(mean - arm), float(mean + arm)


def sign_test(better, worse):
    """Two-sided p of McNemar's exact test: better on so many samples and worse on so many."""
    n, most = better + worse, max(better, worse)
    first = math.lgamma(n + 1) - math.lgamma(most + 1) - math.lgamma(n - most + 1)
    k = np.arange(most, n)  # from `most` on, each probability of Bin(n, ½) by the one before
    ratios = np.concatenate([[0.0], np.cumsum(np.log((n - k) / (k + 1)))])
    return min(1.0, float(2 * np.exp(first - n * math.log(2) + ratios).sum()))
