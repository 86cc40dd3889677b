"""DeadUnits: the share of ReLU units that never fire."""

from typing import Any

import numpy as np

from keras_dcnn._checks import check_count, check_number
from keras_dcnn._keras.fitting import variables_of_fit
from keras_dcnn._keras.rereading import is_stream
from keras_dcnn._reading.batches import first_batch
from keras_dcnn._state.random_state import random_state_kept
from keras_dcnn._state.snapshot import are_finite
from keras_dcnn.callbacks._stateful_callback import StatefulCallback
from keras_dcnn.diagnosis._model.unit_activity import UnitActivity

ALARM = 0.4  # the share of which the tutorial tells


def dead_fraction(firing):
    """The share of units that do not fire, of all units of a dict of boolean arrays."""
    return float(np.mean(~np.concatenate(list(firing.values()))))


class DeadUnits(StatefulCallback):
    """Writes to the logs which share of the ReLU units never fires on a sample.

    A ReLU unit that is pushed below zero for all inputs gets no gradient and stays there: with too
    high a learning rate as much as 40 % of a network can be dead, which the loss does not show.

    Fires at the end of the first epoch and of every `every`-th, runs the model on the sample as at
    inference, compiled, and changes nothing in it. A unit is a neuron of a dense layer or a channel
    of a convolution; it fires when its activation exceeds `threshold` for any sample at any place
    (NaN does not). The logs, and so the History and callbacks behind this one, get `dead_fraction`:
    dead units over all such units; in epochs without a look, the last value again. The attribute
    `dead_unit_fractions` has the share of each layer, by its path, at the last look.

    Counted are layers with `activation="relu"` or `"relu6"`, `ReLU` without a slope and
    `Activation` layers, at any depth; recurrent layers by their output. A layer that is called
    several times fires when it does in one of the calls. Not counted: leaky rectifiers, which can't
    die, and layers inside loops and other transformations of the backend, as the cells of recurrent
    layers. Of separate activations on three axes or more the channels are where
    `keras.config.image_data_format()` says.

    Args:
        data: The sample, as `fit` takes it: an array, a list or dict of them, or `(inputs, …)` of
            these; of tf.data, PyDataset, generator, DataLoader the first batch. Read once; not the
            generator that `fit` reads, which would lose that batch.
        threshold: Activation above which a unit fires, ≥ 0.
        every: Epochs from one look to the next, ≥ 1.
        num_samples: Samples to take of arrays, evenly spread, ≥ 1. More samples find fewer dead.
        verbose: 1 prints one line when more than 40 % are dead for the first time in a run, 0
            nothing, as in `fit(verbose=0)`.

    Raises:
        ValueError: for an argument outside the ranges above; before the first epoch, when the
            sample is empty, not finite or what `fit` would miss, or when the model calls no such
            layer.
        TypeError: before the first epoch, for data of another kind.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = np.random.default_rng(0).normal(size=(32, 4)), np.ones(32)
    dead = keras_dcnn.callbacks.DeadUnits(x)
    stop = keras.callbacks.EarlyStopping("dead_fraction", mode="min", patience=2)
    history = model.fit(x, y, epochs=3, callbacks=[dead, stop], verbose=0)
    print(history.history["dead_fraction"], dead.dead_unit_fractions)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 5.2.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    kept = ("dead_fraction", "epochs_seen", "has_alarmed")
    of_the_fit = ("_activity",)

    def __init__(
        self,
        data: Any,
        threshold: float = 0.0,
        every: int = 1,
        num_samples: int = 256,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        check_number("threshold", threshold, minimum=0)
        check_count("every", every)
        check_count("num_samples", num_samples)
        self.data = data
        self.threshold = threshold
        self.every = every
        self.num_samples = num_samples
        self.verbose = verbose
        self._inputs = None
        self.reset()

    def reset(self) -> None:
        self.dead_unit_fractions = {}
        self._dead_fraction = None
        self._epochs_seen = 0
        self._has_alarmed = False

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "fractions": self.dead_unit_fractions}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.dead_unit_fractions = state["fractions"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._activity = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._activity is None:
            self._prepare()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._epochs_seen += 1
        if self._dead_fraction is None or self._epochs_seen % self.every == 0:
            self._look(epoch)
        logs["dead_fraction"] = self._dead_fraction

    def _prepare(self):
        if self._inputs is None:
            self._inputs = self._sample()
        self._activity = UnitActivity(self.model, self._inputs, self.threshold)
        if not self._activity.layers:
            raise ValueError(
                'the model must call a layer with activation="relu" or "relu6", ReLU or '
                f"Activation, outside of loops; `{self.model.name}` calls none: leave DeadUnits "
                "out. Leaky rectifiers can't die."
            )

    def _sample(self):
        given = variables_of_fit(self.model)
        of_fit = any(self.data is given.get(name) for name in ("x", "validation_data"))
        if of_fit and is_stream(self.data):
            raise ValueError(
                f"`data` must not be the {type(self.data).__name__} that `fit` reads, which would "
                "miss the batch taken here: pass arrays, or a generator of its own."
            )
        with random_state_kept():
            return first_batch(self.data, self.num_samples, self.model)

    def _look(self, epoch):
        firing = self._activity.look()
        self._dead_fraction = dead_fraction(firing)
        self.dead_unit_fractions = {name: dead_fraction({name: f}) for name, f in firing.items()}
        if self._dead_fraction > ALARM and not self._has_alarmed:
            self._has_alarmed = True
            self.say(f"Epoch {epoch + 1}: {self._alarm()}.")

    def _alarm(self):
        """What is wrong, and what to do."""
        worst = max(self.dead_unit_fractions, key=self.dead_unit_fractions.get)
        found = (
            f"{self._dead_fraction:.0%} of the ReLU units never fire, of {worst} "
            f"{self.dead_unit_fractions[worst]:.0%}"
        )
        if not are_finite(self.model.weights):
            return (
                f"{found}, as weights are NaN or infinite: lower the learning rate, or end in time "
                "with keras.callbacks.TerminateOnNaN"
            )
        return (
            f"{found}: lower the learning rate, begin with He's initialisation (HeNormal), or take "
            "leaky rectifiers (RReLU, PReLU)"
        )
