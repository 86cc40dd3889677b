"""The curves of a training in one shape for all rules."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from keras_dcnn.diagnosis._curves.limits import BATCHES_OF_A_BLOCK, BLOCKS_OF_BATCHES, FEWEST
from keras_dcnn.diagnosis._curves.trend import Trend, block_means, tail_of


@dataclass(frozen=True)
class Curve:
    """A quantity and the epochs, from 1, in which it was logged."""

    epochs: np.ndarray
    values: np.ndarray

    def __len__(self):
        return len(self.values)

    def take(self, chosen):
        """The part that an index or a mask chooses."""
        return Curve(self.epochs[chosen], self.values[chosen])

    def finite(self):
        """The part that is finite numbers."""
        return self.take(np.isfinite(self.values))


class Batches(NamedTuple):
    """Losses of batches in their order; each is the mean of `block` of them."""

    losses: np.ndarray
    block: int = 1


@dataclass(frozen=True)
class Curves:
    """Curves by epoch, empty where there are none, and what else is known of the training.

    `batches` is None without losses of batches. `validated` is None where the source has no place
    for validation. `step` is None, or how many batches stand for an epoch where there are none.
    """

    loss: Curve
    val_loss: Curve
    accuracy: Curve
    val_accuracy: Curve
    learning_rate: Curve
    batches: Batches | None = None
    validated: bool | None = None
    step: int | None = None
    num_classes: int | None = None
    majority_share: float | None = None
    batch_size: int | None = None

    @cached_property
    def trend(self):
        """The trend of the training loss, or None where it has too few finite values.

        Of too few epochs it is that of blocks of batches, where there are some.
        """
        values = self.loss.finite().values
        if len(values) < FEWEST and self.batches is not None:
            losses = self.batches.losses[np.isfinite(self.batches.losses)]
            size = max(BATCHES_OF_A_BLOCK, len(losses) // BLOCKS_OF_BATCHES)
            values = block_means(losses, size) if len(losses) else losses
        return Trend(values) if len(values) >= FEWEST else None

    def pairs(self, training, validation):
        """Of the epochs that have both, the training's values at their end, and the validation's.

        Keras's of training are means over an epoch in which the weights change, those of validation
        are of its end: between the means of this epoch and the next.
        """
        training, validation = training.finite(), validation.finite()
        if not len(validation) or not len(training):
            return (validation.values[:0],) * 3
        both = validation.epochs[np.isin(validation.epochs, training.epochs)]
        own, after = (np.interp(both + k, training.epochs, training.values) for k in (0, 1))
        return both, (own + after) / 2, validation.values[np.isin(validation.epochs, both)]

    def ends(self, training, validation):
        """The medians of both over the last third of these epochs, or None of too few."""
        both, *values = self.pairs(training, validation)
        return [float(np.median(tail_of(v))) for v in values] if len(both) >= FEWEST else None

    def where(self, epoch):
        """The name of an epoch, or of the batch that stands for it."""
        return f"epoch {epoch}" if self.step is None else f"batch {epoch * self.step:,}"

    def span(self, epochs):
        """So many epochs, or batches that stand for them, in words."""
        return f"{epochs} epochs" if self.step is None else f"{epochs * self.step:,} batches"
