"""DivideLROnPlateau: divides the learning rate when the validation curve stops improving."""

import warnings
from typing import Any

import numpy as np

from keras_dcnn._checks import check_choice, check_count, check_number
from keras_dcnn._state.rates import batches_of_an_update, rates_of, set_rates, without_rates
from keras_dcnn._state.snapshot import fits, put_back, snapshot
from keras_dcnn.callbacks._logs import BlockMeans, Monitor
from keras_dcnn.callbacks._plateau import PlateauState, divided, plateau_step, warn_of_short_looks
from keras_dcnn.callbacks._rate_callback import RateCallback


class DivideLROnPlateau(RateCallback):
    """Divides the learning rate by 2 (or 5) when a monitored quantity stops improving.

    The tutorial's schedule: begin at about 0.1 (SGD), divide when validation stalls, go on.

    Fires at the end of an epoch, or of every `every` batches. After `patience` such looks without
    an improvement over the best value so far, each rate becomes `max(rate / divisor, min_lr)`, and
    the next `cooldown` looks are not counted. A value that is NaN, infinite or missing is not
    counted either, so it never cuts. The rate that an epoch used is written to the logs as
    `learning_rate`, and so to the History.

    Unlike `keras.callbacks.ReduceLROnPlateau` it goes on where it stopped when `fit` is called
    again on the same model (with another optimizer it begins anew, with a warning) or a killed run
    is resumed; divides the rate of every optimizer in a `MultiOptimizer`, and of all in attributes
    of a model with a `train_step` of its own; and with `cooldown=1` spares one epoch (there: none).

    Args:
        monitor: Quantity of the logs to watch, such as `"val_loss"`.
        mode: `"min"` or `"max"`: which is better; `"auto"` asks Keras's metric.
        divisor: What to divide by, above 1: 2 halves; 5 is the other usual choice.
        patience: Looks without improvement before a cut, ≥ 1.
        min_delta: What an improvement must exceed, ≥ 0.
        threshold_mode: `"abs"`: `min_delta` is in the monitor's unit; `"rel"`: it is a share of the
            best value so far, 0.01 for 1 %.
        cooldown: Looks after a cut that are not counted, ≥ 0.
        min_lr: Rate below which it never goes, ≥ 0.
        max_reductions: Number of cuts, ≥ 1, or None for any number.
        at_limit: What to do at a plateau when `max_reductions` or `min_lr` allow no further cut:
            `"stay"` goes on training, `"stop"` ends it.
        restore: What the next epoch (or batch) after a cut begins with from the best look: `None`,
            `"weights"` (BatchNorm's statistics among them), or `"state"`, the weights and the
            optimizer's slots and iterations. Kept in memory. Random seeds go on, so that no draw
            is repeated. With `every` batches JAX's compiled training stops at each improvement.
        every: `"epoch"`, or a number of batches ≥ 1 that are seen, at the end of the step in which
            they are full. Then the value is the mean of the monitor over these batches; it must be
            a mean over samples that is in the logs of batches, such as `"loss"`. It warns where
            they are fewer than those of one update (`gradient_accumulation_steps`).
        warmup: Epochs, ≥ 0, at the beginning of the run in which the rate rises linearly from 0,
            batch by batch, and nothing is counted.
        verbose: 1 prints one line per cut, 0 nothing, as in `fit(verbose=0)`.

    Raises:
        ValueError: for an argument outside the ranges above; at the start of `fit`, when a rate is
            a schedule or can't be set, or another callback of ours sets it; at the first look, when
            `mode="auto"` and Keras does not know the metric's direction.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    plateau = keras_dcnn.callbacks.DivideLROnPlateau(monitor="loss", patience=2)
    history = model.fit(np.ones((8, 4)), np.ones(8), epochs=5, callbacks=[plateau], verbose=0)
    print(history.history["learning_rate"])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    excludes = ("DivideLROnPlateau",)
    kept = ("plateau", "reductions", "best", "goes_back", "epochs_seen", "full_rates")
    of_each_rate = "full_rates"

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        divisor: float = 2.0,
        patience: int = 5,
        min_delta: float = 1e-4,
        threshold_mode: str = "abs",
        cooldown: int = 0,
        min_lr: float = 0.0,
        max_reductions: int | None = None,
        at_limit: str = "stay",
        restore: str | None = None,
        every: str | int = "epoch",
        warmup: int = 0,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        check_number("divisor", divisor, above=1)
        check_count("patience", patience)
        check_number("min_delta", min_delta, minimum=0)
        check_choice("threshold_mode", threshold_mode, ("abs", "rel"))
        check_count("cooldown", cooldown, minimum=0)
        check_number("min_lr", min_lr, minimum=0)
        if max_reductions is not None:
            check_count("max_reductions", max_reductions)
        check_choice("at_limit", at_limit, ("stay", "stop"))
        check_choice("restore", restore, (None, "weights", "state"))
        if every != "epoch":
            check_count("every", every)
        check_count("warmup", warmup, minimum=0)
        self._monitor = Monitor("DivideLROnPlateau", monitor, mode, every != "epoch")
        self.monitor = monitor
        self.mode = mode
        self.divisor = divisor
        self.patience = patience
        self.min_delta = min_delta
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.max_reductions = max_reductions
        self.at_limit = at_limit
        self.restore = restore
        self.every = every
        self.warmup = warmup
        self.verbose = verbose
        # Without batches to look at, Keras need not wait for each of them.
        self.async_safe = every == "epoch"
        self.reset()

    def reset(self) -> None:
        self._monitor.mode = self.mode
        self._plateau = PlateauState()
        self._reductions = self._epochs_seen = 0
        self._best = self._full_rates = None
        self._goes_back = False
        self._blocks = BlockMeans(self.every)

    def get_state(self) -> dict[str, Any]:
        more = {"mode": self._monitor.mode, "block": self._blocks.state}
        return {**super().get_state(), **more}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._monitor.mode = state["mode"]
        self._plateau = PlateauState(*self._plateau)  # a list in the file
        self._blocks.state = state["block"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        if self.every != "epoch":
            warn_of_short_looks(self.every, batches_of_an_update(self.model))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._blocks.begin_epoch()
        self._go_back()
        if self._warming and self._full_rates is None:
            self._full_rates = rates_of(self.model)

    @property
    def _warming(self):
        return self._epochs_seen < self.warmup

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._warming:
            steps = self.params.get("steps") or batch + 1  # unknown, it is the whole epoch's rate
            self._warm_to(self.model_in_step, self._epochs_seen + (batch + 1) / steps)

    def _warm_to(self, model, epochs):
        share = min(epochs / self.warmup, 1.0)
        # Groups that wait for GradualUnfreeze, at 0, are its own.
        set_rates(model, [rate * share if rate else None for rate in self._full_rates])

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.every == "epoch" or self._warming:
            return
        value = self._monitor.read(self.model_in_step, logs)
        mean = self._blocks.step(batch, np.nan if value is None else value)
        if mean is not None and np.isfinite(mean):
            self._decide(mean, f"Epoch {self.epochs_ended + 1}, batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        warming = self._warming
        self._epochs_seen += 1
        if warming:  # steps of several batches, or fewer batches than were said, end below
            self._warm_to(self.model, self._epochs_seen)
        if self.every == "epoch" and not warming:
            value = self._monitor.read(self.model, logs)
            if value is not None and np.isfinite(value):
                self._decide(value, f"Epoch {epoch + 1}")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        self._goes_back = False  # there is no next epoch, and the next `fit` is the user's affair

    def _decide(self, value, when):
        self._plateau, verdict = plateau_step(
            self._plateau, self._monitor.cost(value), self.patience, self._margin, self.cooldown
        )
        if verdict == "improved" and self.restore:
            self._best = snapshot(self._watched())
        if verdict == "plateau":
            self._cut(when)

    def _margin(self, best):
        return self.min_delta * (abs(best) if self.threshold_mode == "rel" else 1.0)

    def _cut(self, when):
        best = self._monitor.cost(self._plateau.best)  # its own inverse
        looks = "epochs that count" if self.every == "epoch" else f"times {self.every} batches"
        why = f"{when}: {self.monitor} did not improve on {best:.4g} for {self.patience} {looks}"
        old, new = rates_of(self.model), []
        if self.max_reductions is None or self._reductions < self.max_reductions:
            new = divided(old, self.divisor, self.min_lr)
        cuts = [f"{a:.4g} → {b:.4g}" for a, b in zip(old, new, strict=False) if b is not None]
        if cuts:
            self._reductions += 1
            set_rates(self.model, new)
            restored = f"; what is next begins with the best {self.restore}" if self.restore else ""
            self.say(f"{why}: learning rate {', '.join(cuts)}{restored}.")
            self._goes_back = bool(self.restore)
            if self.every != "epoch":  # else not before others have seen what the epoch ended with
                self._go_back()
            for callback in self._run.callbacks.values():
                callback.rates_were_set()
        elif self.at_limit == "stop":
            self.model.stop_training = True
            self.say(f"{why}, and the learning rate is not to be cut further: training stops.")

    def _go_back(self):
        """To the best look, where there was a cut."""
        if self._goes_back and fits(self._watched(), self._best):
            put_back(self._watched(), self._best)
        elif self._goes_back:
            self._best = None
            warnings.warn(
                f"DivideLROnPlateau forgets the best {self.restore}, which is of other variables.",
                stacklevel=2,
            )
        self._goes_back = False

    def _watched(self):
        """The variables that go back to the best look's values; the rates do not."""
        return without_rates(self.model, with_slots=self.restore == "state")
