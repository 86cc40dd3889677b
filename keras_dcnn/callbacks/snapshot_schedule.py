"""SnapshotSchedule: a cosine that begins anew several times in a training."""

import bisect
import math
from typing import Any

from keras_dcnn._checks import check_count, check_number
from keras_dcnn._keras.updates import UpdateCounter
from keras_dcnn._state.rates import rates_of, set_rates
from keras_dcnn.callbacks._rate_callback import RateCallback


def cosine(progress, lr_max, lr_min):
    """The rate at `progress` ∈ [0, 1) of a cycle: from `lr_max` down to `lr_min`."""
    return lr_min + (lr_max - lr_min) / 2 * (math.cos(math.pi * progress) + 1)


def cycle_ends(epochs, cycles):
    """The epochs, counted from 1, after which the cycles end: whole ones, as even as they go."""
    return [(i * epochs + cycles // 2) // cycles for i in range(1, cycles + 1)]


class SnapshotSchedule(RateCallback):
    """Lowers the learning rate along a cosine, batch by batch, and begins anew several times.

    Each cycle ends in a minimum of its own, of which `CheckpointEnsemble(keep="cycle")` takes a
    member: an ensemble for the price of one training. Between cycles the rate jumps back up.

    Before each batch the rate becomes lr_min + ½(lr_max − lr_min)(cos(π·t/T) + 1), where t counts
    the batches of a cycle and T is their number. With `gradient_accumulation_steps` an update has
    the rate of the first of its batches, as if these were one; with `steps_per_execution` all of an
    execution have that of the first. A cycle is a whole number of epochs, so that members are taken
    at restarts. Where the number of batches in an epoch is unknown, as of a generator, the rate is
    constant during the first epoch. With several optimizers the highest rate follows the cosine and
    the others keep their proportion to it. The rate is in the logs.

    Average the predictions of the members, not their weights: those lie in different basins.

    Args:
        cycles: Number of cycles in a `fit`, ≥ 1 and at most its epochs; 4 to 8 are usual.
        lr_max: Rate at the beginning of each cycle, > `lr_min`.
        lr_min: Rate towards its end, ≥ 0.

    Raises:
        ValueError: for an argument outside the ranges above; at the start of `fit`, when it has
            fewer epochs than cycles, when the optimizer's rate is a schedule, or when another
            callback of ours sets it.

    Example:

    ```python
    import tempfile
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    members = keras_dcnn.callbacks.CheckpointEnsemble(tempfile.mkdtemp(), keep="cycle")
    schedule = keras_dcnn.callbacks.SnapshotSchedule(cycles=2, lr_max=0.2)
    x, y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 3
    model.fit(x, y, epochs=6, callbacks=[schedule, members], verbose=0)
    print([member["epoch"] for member in members.members])
    ```

    Reference:
        Huang et al.: Snapshot Ensembles: Train 1, get M for free (2017).
        https://arxiv.org/abs/1704.00109
    """

    excludes = ("DivideLROnPlateau", "GradualUnfreeze", "SnapshotSchedule")
    kept = ("proportions", "steps")
    of_the_fit = ("_counter",)
    of_each_rate = "proportions"
    async_safe = True  # only the setting of the rate must come in its turn, and it does

    def __init__(self, cycles: int, lr_max: float, lr_min: float = 0.0) -> None:
        super().__init__()
        check_count("cycles", cycles)
        check_number("lr_min", lr_min, minimum=0)
        check_number("lr_max", lr_max, above=lr_min)
        self.cycles = cycles
        self.lr_max = lr_max
        self.lr_min = lr_min
        self.reset()

    def reset(self) -> None:
        self._proportions = self._steps = None
        self._batches = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._counter = UpdateCounter(self.model_in_step)
        if self.params["epochs"] < self.cycles:
            raise ValueError(
                f"`cycles` must be at most the epochs of the training; got {self.cycles} cycles "
                f"and {self.params['epochs']} epochs: train longer, or have fewer cycles."
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._steps = self.params.get("steps") or self._steps
        self._counter.begin_epoch()
        if self._proportions is None:
            rates = rates_of(self.model)
            self._proportions = [rate / max(rates) if max(rates) else 1.0 for rate in rates]

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        waiting = self._counter.batches_waiting()
        pairs = zip(self._proportions, waiting, strict=True)
        rates = [share * self._rate_after(batch - before) for share, before in pairs]
        set_rates(self.model_in_step, rates)

    def _rate_after(self, batches):
        """The rate after so many batches of an epoch; less than 0 are of the one before it."""
        within = batches / self._steps if self._steps else 0.0
        epochs = max(self.epochs_ended + within, 0.0)
        return cosine(self._progress(epochs), self.lr_max, self.lr_min)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Not at its beginning, where data may turn out to have ended.
        self._batches = max(self._batches, batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._steps = self._steps or self._batches

    def ends_cycle(self, epochs: int) -> bool:
        """Whether a cycle ends after so many epochs."""
        return epochs in cycle_ends(self.params["epochs"], self.cycles)

    def _progress(self, epochs):
        ends = [0, *cycle_ends(self.params["epochs"], self.cycles)]
        cycle = min(bisect.bisect(ends, epochs), self.cycles)
        start, end = ends[cycle - 1], ends[cycle]
        return min((epochs - start) / (end - start), 1.0)
