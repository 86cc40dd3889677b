"""Losses of learning-rate range tests of which it is known where they descend."""

from typing import NamedTuple

import numpy as np

from keras_dcnn.diagnosis._learning_rate.curve import averages_so_far, has_diverged

NOISES = (0, 0.02, 0.05, 0.1, 0.2, 0.3)  # deviation of the noise as part of the fall
SHAPES = {
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "at once": lambda z: np.exp(-np.exp(-z)),
    "late": lambda z: 1 - np.exp(-np.exp(np.minimum(z, 3))),
    "ramp": lambda z: np.clip((z + 2.5) / 5, 0, 1),
    "two steps": lambda z: 0.4 / (1 + np.exp(-3 * (z + 2))) + 0.6 / (1 + np.exp(-3 * (z - 1))),
}


class Simulated(NamedTuple):
    """A range test up to where it diverged, and the rates between which the loss does fall.

    From where a twentieth of the fall is reached to the lowest loss; and where it is steepest.
    """

    shape: str
    noise: float
    rates: np.ndarray
    losses: np.ndarray
    begins: float
    ends: float
    steepest: float

    def is_on_descent(self, rate):
        return self.begins * 0.999 <= rate <= self.ends * 1.001


def simulate(seed, shape=None, noise=None):
    """A loss that is flat, falls and blows up, with noise; all of it drawn by the seed."""
    rng = np.random.default_rng(seed)
    shape = str(rng.choice(list(SHAPES))) if shape is None else shape
    noise = float(rng.choice(NOISES)) if noise is None else noise
    log_rates = np.linspace(
        rng.uniform(-8, -5), rng.uniform(0, 1.5), rng.choice([40, 70, 100, 200])
    )
    middle, width = rng.uniform(log_rates[0] + 1.5, log_rates[-1] - 2), rng.uniform(0.12, 0.5)
    end = middle + rng.uniform(3, 6) * width + rng.uniform(0, 0.5)
    fall, best = 10 ** rng.uniform(-1, 0.5), rng.uniform(0.05, 1.5)
    fallen = SHAPES[shape](np.clip((log_rates - middle) / width, -30, 30))
    rise = np.exp(np.clip((log_rates - end) / rng.uniform(0.05, 0.2), -30, 30))
    truth = best + fall * (1 - fallen + rise)
    scale = noise * fall * (np.minimum(truth / truth[0], 5) if rng.random() < 0.5 else 1)
    normal = rng.random() < 0.7
    draws = rng.standard_normal(len(truth)) if normal else rng.standard_t(3, len(truth)) / 3**0.5
    rates, losses = 10**log_rates, (truth + scale * draws)
    lowest = int(np.argmin(truth))
    begin = int(np.argmax(truth <= truth[0] - 0.05 * (truth[0] - truth[lowest])))
    steepest = int(np.argmin(np.gradient(truth)[: lowest + 1]))
    stop = until_divergence(losses)
    places = rates[begin], rates[lowest], rates[steepest]
    return Simulated(shape, noise, rates[:stop], losses[:stop], *map(float, places))


def until_divergence(losses, smoothing=0.85):
    """How many losses a range test takes."""
    averages = averages_so_far(losses, smoothing)
    stops = (k for k in range(1, len(losses) + 1) if has_diverged(averages[:k]))
    return next(stops, len(losses))
