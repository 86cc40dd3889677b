"""DivideLROnPlateau: divides the learning rate when the validation curve stops improving."""

from typing import NamedTuple

import keras
import numpy as np

from keras_dcnn._keras import has_fixed_rate, leaf_optimizers
from keras_dcnn._validation import check_count, check_flag, check_number
from keras_dcnn.callbacks._monitor import Monitor


class PlateauState(NamedTuple):
    """What a decision depends on beside the new value."""

    best: float | None = None  # as a cost: lower is better
    wait: int = 0  # epochs without improvement that count
    cooling: int = 0  # epochs still not counted after a cut


def plateau_step(state, cost, patience, min_delta, cooldown):
    """The next state, and whether `cost` (lower is better) "improved", means "cut" or "wait"."""
    cooling = max(state.cooling - 1, 0)
    if state.best is None or cost < state.best - min_delta:
        return PlateauState(cost, 0, cooling), "improved"
    if state.cooling:
        return PlateauState(state.best, 0, cooling), "wait"
    if state.wait + 1 >= patience:
        return PlateauState(state.best, 0, cooldown), "cut"
    return PlateauState(state.best, state.wait + 1, 0), "wait"


class DivideLROnPlateau(keras.callbacks.Callback):
    """Divides the learning rate by 2 (or 5) when a monitored quantity stops improving.

    The tutorial's schedule: begin at about 0.1 (SGD), divide when validation stalls, go on.

    Fires at the end of an epoch. After `patience` epochs without an improvement of more than
    `min_delta` over the best value so far, the rate becomes `max(rate / divisor, min_lr)`, and the
    next `cooldown` epochs are not counted. An epoch whose value is NaN, infinite or missing is not
    counted either, so it never cuts. The rate that an epoch used is written to the logs as
    `learning_rate`, and so to the History.

    Unlike `keras.callbacks.ReduceLROnPlateau` it goes on where it stopped when `fit` is called
    again on the same model, `cooldown=1` spares one epoch (there: none), and a misspelt argument
    is an error.

    Args:
        monitor: Quantity of the logs to watch, such as `"val_loss"`.
        mode: `"min"` or `"max"`: which is better; `"auto"` asks Keras's metric.
        divisor: What to divide by, above 1: 2 halves; 5 is the other usual choice.
        patience: Epochs without improvement before a cut, ≥ 1.
        min_delta: Smallest change that counts as an improvement, ≥ 0, in the monitor's unit.
        cooldown: Epochs after a cut that are not counted, ≥ 0.
        min_lr: Rate below which it never goes, ≥ 0.
        restore_best: Whether to set the model's weights back to the best epoch's at each cut.
            They are kept in memory.
        verbose: 0 is silent, 1 prints one line per cut.

    Raises:
        ValueError: for an argument outside the ranges above; at the start of `fit`, when the
            optimizer's rate is a schedule; at the end of the first epoch, when `mode="auto"` and
            Keras does not know the metric's direction.
        TypeError: for an unknown keyword.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    plateau = keras_dcnn.callbacks.DivideLROnPlateau(monitor="loss", patience=2, verbose=1)
    history = model.fit(np.ones((8, 4)), np.ones(8), epochs=5, callbacks=[plateau], verbose=0)
    print(history.history["learning_rate"])
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    def __init__(
        self,
        monitor="val_loss",
        mode="auto",
        divisor=2.0,
        patience=5,
        min_delta=1e-4,
        cooldown=0,
        min_lr=0.0,
        restore_best=False,
        verbose=0,
    ):
        super().__init__()
        check_number("divisor", divisor, above=1)
        check_count("patience", patience)
        check_number("min_delta", min_delta, minimum=0)
        check_count("cooldown", cooldown, minimum=0)
        check_number("min_lr", min_lr, minimum=0)
        check_flag("restore_best", restore_best)
        self._monitor = Monitor("DivideLROnPlateau", monitor, mode)
        self.monitor = monitor
        self.mode = mode
        self.divisor = divisor
        self.patience = patience
        self.min_delta = min_delta
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.restore_best = restore_best
        self.verbose = verbose
        self._trained_model = None

    def on_train_begin(self, logs=None):
        for optimizer in leaf_optimizers(self.model.optimizer):
            if not has_fixed_rate(optimizer):
                raise ValueError(
                    "DivideLROnPlateau needs a learning rate that it can set; the optimizer "
                    f"`{optimizer.name}` follows a schedule: pass it a number, or drop one of the "
                    "two."
                )
        if self._trained_model is not self.model:  # a second fit of the same model goes on
            self._trained_model = self.model
            self._monitor.mode = self.mode
            self._state = PlateauState()
            self._best_weights = None

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        optimizers = leaf_optimizers(self.model.optimizer)
        for optimizer in optimizers:
            suffix = f"_{optimizer.name}" if len(optimizers) > 1 else ""
            logs[f"learning_rate{suffix}"] = _rate(optimizer)
        value = self._monitor.read(self.model, logs)
        if value is None:
            return
        self._state, verdict = plateau_step(
            self._state, self._monitor.cost(value), self.patience, self.min_delta, self.cooldown
        )
        if verdict == "improved" and self.restore_best:
            self._best_weights = [np.array(w) for w in self.model.get_weights()]
        if verdict == "cut":
            self._cut(epoch, optimizers)

    def _cut(self, epoch, optimizers):
        cuts = []
        for optimizer in optimizers:
            old = _rate(optimizer)
            new = max(old / self.divisor, self.min_lr)
            if np.float32(new) < np.float32(old):  # the optimizer's precision
                optimizer.learning_rate = new
                cuts.append(f"{old:.4g} → {new:.4g}")
        if not cuts:
            return
        if self.restore_best:
            self.model.set_weights(self._best_weights)
        if self.verbose:
            best = self._monitor.cost(self._state.best)  # its own inverse
            print(
                f"\nEpoch {epoch + 1}: {self.monitor} did not improve on {best:.4g} for "
                f"{self.patience} epochs: learning rate {', '.join(cuts)}"
                f"{', best weights restored' if self.restore_best else ''}."
            )


def _rate(optimizer):
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
