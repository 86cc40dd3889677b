"""GradualUnfreeze: groups of layers that begin to learn one after the other."""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_dcnn._checks import check_built_model, check_count
from keras_dcnn._keras.grouped_optimizer import (
    check_can_be_grouped,
    find_grouped_optimizer,
    grouped_optimizer,
)
from keras_dcnn._keras.optimizers import leaf_optimizers, reset_slots, training_optimizers
from keras_dcnn._state.layer_calls import at_inference
from keras_dcnn._state.rates import check_rates_can_be_set, log_rates, rates_of, set_rates
from keras_dcnn._structure.batch_norm import batch_norm_layers
from keras_dcnn._structure.groups import groups_of_layers, groups_of_variables
from keras_dcnn._structure.where import check_where
from keras_dcnn.callbacks._stateful_callback import StatefulCallback

_HELD = "_keras_dcnn_held_norms"


class GradualUnfreeze(StatefulCallback):
    """Thaws a pretrained network group by group, from the head down.

    While a new head is still random its gradients would spoil pretrained features; so those wait.
    A group that waits has learning rate 0, which also stops the optimizer's weight decay (it is
    scaled by the rate), and its BatchNorm layers run as at inference and keep their statistics.
    `trainable` stays as it is: changed after `compile` it breaks the training.

    Group i begins to learn after i·`every` epochs, i = 1, 2, …; its rate rises linearly, batch by
    batch, over `ramp` epochs to that of the layers that learn from the start. Layers in no group
    learn from the start. It works beside `DivideLROnPlateau`, which divides all rates. At each thaw
    the training step is compiled once more. Gradients of waiting groups are computed all the same,
    so no time is saved; constraints act on them too, and `global_clipnorm` clips by the norm over
    all groups, those that wait as well. After a `fit` that was interrupted BatchNorm of the groups
    that waited stays held until the next `fit` with a GradualUnfreeze.

    Groups are of layers and their variables, whatever other layers bear the same names; a model
    that is saved keeps them, and to load it compiled `keras_dcnn` must be imported.

    Args:
        groups: For each group which layers, the first to thaw first: a layer class, a pattern for
            names or paths such as `"block5_*"`, a function that takes a layer, or a list of these.
            A layer's own inner layers go with it. A layer that fits several groups, itself or by
            the models that it is in, is in the first of them.
        every: Epochs from one thaw to the next, ≥ 1.
        ramp: Epochs in which the rate of a group rises, ≥ 0.
        verbose: 1 prints a line at each thaw, 0 nothing, as in `fit(verbose=0)`.

    Raises:
        TypeError: for groups that can't pick layers.
        ValueError: for an argument outside the ranges above; from `optimizer()`, when a group has
            no weights, and for an optimizer that was used, follows a schedule, or is Ftrl, which
            divides by the rate; at the start of `fit`, when the model is not compiled with the
            optimizer that `optimizer()` made for these groups, or trains with others besides, and
            beside a warm-up that is longer than `every`.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((8, 8, 3))])
    model.add(keras.layers.Conv2D(4, 3, name="block1"))
    model.add(keras.layers.Conv2D(4, 3, name="block2"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(2, activation="softmax", name="head"))
    thaw = keras_dcnn.callbacks.GradualUnfreeze(["block2", "block1"])
    optimizer = thaw.optimizer(model, keras.optimizers.SGD(0.01))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(np.ones((4, 8, 8, 3)), np.zeros(4), epochs=3, callbacks=[thaw], verbose=0)
    ```

    Reference:
        Howard, Ruder: Universal Language Model Fine-tuning for Text Classification (2018), section
        3.3. https://arxiv.org/abs/1801.06146
    """

    excludes = ("GradualUnfreeze", "SnapshotSchedule")

    def __init__(
        self, groups: Sequence[Any], every: int = 1, ramp: int = 1, verbose: int = 1
    ) -> None:
        super().__init__()
        if not isinstance(groups, (list, tuple)) or not groups:
            raise ValueError(f"`groups` must be a list with at least one group; got {groups!r}.")
        check_where(groups)
        check_count("every", every)
        check_count("ramp", ramp, minimum=0)
        self.groups = groups
        self.every = every
        self.ramp = ramp
        self.verbose = verbose
        self._waiting = 0

    def optimizer(self, model: keras.Model, optimizer: Any) -> keras.Optimizer:
        """An optimizer to compile the model with, in which each group has a rate of its own.

        Args:
            model: The built Keras model, each layer's `trainable` as it is to be.
            optimizer: The new Keras optimizer for the layers that learn from the start; the groups
                get their own, with the same settings.

        Returns:
            A `keras.optimizers.MultiOptimizer`.
        """
        check_built_model(model)
        check_can_be_grouped(optimizer)
        variables, groups = groups_of_variables(model, self.groups)
        for number, group in enumerate(self.groups):
            if number not in groups:
                raise ValueError(
                    "each of `groups` must have weights that are trained and in no group before "
                    f"it; group {number + 1} ({group!r}) has none: see the names in "
                    "model.summary(), and that `trainable` is True."
                )
        return grouped_optimizer(optimizer, variables, groups, [0.0] * len(self.groups))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._release()
        self._check_optimizer()
        check_rates_can_be_set("GradualUnfreeze", self.model)
        warmup = max(getattr(one, "warmup", 0) for one in self._run.callbacks.values())
        if warmup > self.every:
            raise ValueError(
                "the warm-up of DivideLROnPlateau must end before the first group thaws; got "
                f"warmup={warmup} and every={self.every}: shorten the one or lengthen the other."
            )

    def _check_optimizer(self):
        """Raise ValueError unless the model is trained by the groups of this callback alone."""
        others = [
            held.where
            for held in training_optimizers(self.model)
            if held.optimizer is not self.model.optimizer
        ]
        if others:
            raise ValueError(
                "GradualUnfreeze needs a model that the optimizer of `compile` trains alone; "
                f"`{self.model.name}` has {', '.join(others)} besides: leave GradualUnfreeze out."
            )
        optimizer = find_grouped_optimizer(self.model)
        variables, groups = groups_of_variables(self.model, self.groups)
        expected = [len(self.groups) if group is None else group for group in groups]
        if optimizer is None or len(optimizer.optimizers) != len(self.groups) + 1:
            found = getattr(self.model.optimizer, "name", "none")
        elif optimizer.groups_of(variables) not in (expected, [None] * len(variables)):
            found = f"{optimizer.name} of other groups"
        else:
            return
        raise ValueError(
            "the model must be compiled with the optimizer that this callback makes; it has "
            f"{found}: model.compile(thaw.optimizer(model, keras.optimizers.SGD(0.01)), …)."
        )

    def goes_on(self) -> bool:
        return False

    def reset(self) -> None:
        """Let no momentum of an earlier `fit` move the groups while they wait."""
        for optimizer in leaf_optimizers(self.model.optimizer)[:-1]:
            reset_slots(optimizer)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        waiting = sum(epoch < start for start in self._starts())
        if waiting != self._waiting:
            self._hold(waiting)
        if epoch in self._starts():
            number = self._starts().index(epoch) + 1
            self.say(f"Epoch {epoch + 1}: group {number} of {len(self.groups)} learns from now.")
        self.rates_were_set()
        steps = self.params.get("steps")
        self._set_rates(epoch if steps else epoch + 1, epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        steps, epoch = self.params.get("steps"), self.epochs_ended
        if steps and any(0 <= epoch - start < self.ramp for start in self._starts()):
            self._set_rates(epoch + (batch + 1) / steps, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        log_rates(self.model, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_end(logs)
        if self._waiting:
            self._hold(0)

    def rates_were_set(self) -> None:
        self._full = rates_of(self.model)[-1]

    def _release(self):
        """Let BatchNorm run as ever again, also what an interrupted `fit` left held."""
        vars(self.model).pop(_HELD, contextlib.ExitStack()).close()
        self._waiting = 0

    def _starts(self):
        """After how many epochs each group begins to learn."""
        return [number * self.every for number in range(1, len(self.groups) + 1)]

    def _set_rates(self, now, epoch):
        """Set the rates of the groups that wait or rise; the others are left to other callbacks."""
        rates = [
            self._full * risen(now - start, self.ramp) if epoch - start <= self.ramp else None
            for start in self._starts()
        ]
        set_rates(self.model_in_step, [*rates, None])

    def _hold(self, waiting):
        """Have BatchNorm in the groups that wait run as at inference, from the next trace on."""
        self._release()
        held = vars(self.model)[_HELD] = contextlib.ExitStack()
        groups = groups_of_layers(self.model, self.groups)
        first = len(self.groups) - waiting
        norms = batch_norm_layers(self.model)
        held.enter_context(at_inference([n for n in norms if groups.get(id(n), -1) >= first]))
        self._waiting = waiting
        self.model.make_train_function(force=True)  # traced again at its next call


def risen(epochs, ramp):
    """The share of its rate that a group has so many epochs after its thaw."""
    if epochs < 0:
        return 0.0
    return min(epochs / ramp, 1.0) if ramp else 1.0
