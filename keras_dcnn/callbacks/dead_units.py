"""DeadUnits: the share of rectified units that never fire."""

import contextlib
import functools

import keras
import numpy as np

from keras_dcnn._data import first_batch, input_batches
from keras_dcnn._keras import compiled_run
from keras_dcnn._layer_graph import walk_layers
from keras_dcnn._model_run import shadowed
from keras_dcnn._validation import check_choice, check_count, check_number
from keras_dcnn.callbacks._stateful_callback import StatefulCallback

ops = keras.ops
MANY = 0.4  # the tutorial: as much as 40 % may be dead when the learning rate is too high
_BATCH = 32


class DeadUnits(StatefulCallback):
    """Measures the share of rectified units that never fire, over a sample of the data.

    A unit whose input is negative for every sample has gradient 0 and learns no more. Many of them
    are the sign of a learning rate that is too high.

    Fires at the end of every `every`-th epoch, with the weights that the model has then, and runs
    the model as at inference on the sample; it changes nothing. A unit is a neuron or a channel; it
    fires when its activation exceeds `threshold` at any place of any sample. Counted are layers
    with `activation="relu"` or `"relu6"`, `ReLU` without a negative slope and `Activation`, in
    models and layers at any depth; leaky rectifiers never die. Writes `dead_fraction`, of all such
    units, to the logs, for the History and for callbacks behind this one to monitor; between two
    looks the last value. `fractions` has the share of each layer.

    Args:
        data: Inputs, as for `fit`: of arrays `num_samples`, evenly spread; of tf.data, PyDataset or
            DataLoader the first batch.
        threshold: Activation above which a unit fires, ≥ 0.
        every: Epochs from one look to the next, ≥ 1.
        num_samples: Number of samples, ≥ 1. A look costs a forward pass of these.
        verbose: 1 prints a line when the share rises above 40 %, 0 nothing.

    Raises:
        ValueError: for an argument outside the ranges above; at the start of `fit` for a model
            without such units, and for data that are empty or not finite.
        TypeError: for data of another type and for an unknown keyword.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu")])
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = np.random.default_rng(0).normal(size=(8, 4)), np.ones(8)
    dead = keras_dcnn.callbacks.DeadUnits(x)
    history = model.fit(x, y, epochs=2, callbacks=[dead], verbose=0)
    print(history.history["dead_fraction"], dead.fractions)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 5.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    def __init__(self, data, threshold=0.0, every=1, num_samples=256, verbose=1):
        super().__init__()
        check_number("threshold", threshold, minimum=0)
        check_count("every", every)
        check_count("num_samples", num_samples)
        check_choice("verbose", verbose, (0, 1))
        self.data = data
        self.threshold = threshold
        self.every = every
        self.num_samples = num_samples
        self.verbose = verbose
        self.reset()

    def reset(self):
        self.fractions = {}
        self._dead_fraction = None
        self._epochs_seen = 0

    def get_state(self):
        return {
            "fractions": self.fractions,
            "dead_fraction": self._dead_fraction,
            "epochs_seen": self._epochs_seen,
        }

    def set_state(self, state):
        super().set_state(state)
        self.fractions = state["fractions"]
        self._dead_fraction = state["dead_fraction"]
        self._epochs_seen = state["epochs_seen"]

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._sample = first_batch(self.data, self.num_samples)
        self._layers = [(path, one) for path, one in walk_layers(self.model) if _dies(one)]
        if not self._layers:
            raise ValueError(
                "DeadUnits needs a model with units that can die: layers with activation 'relu' or "
                "'relu6', or ReLU without a negative slope; this one has none: leave it out."
            )
        layers = [layer for _, layer in self._layers]
        self._run_model = compiled_run(
            self.model, functools.partial(greatest_outputs, self.model, layers)
        )

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._epochs_seen += 1
        if self._epochs_seen % self.every == 0:
            self._look(epoch)
        if logs is not None and self._dead_fraction is not None:
            logs["dead_fraction"] = self._dead_fraction

    def _look(self, epoch):
        greatest = {}
        for x in input_batches(self._sample, _BATCH):
            x = keras.tree.map_structure(ops.convert_to_tensor, x)
            for place, value in self._run_model(x).items():
                value = ops.convert_to_numpy(value)
                greatest[place] = np.maximum(greatest.get(place, value), value)
        dead = {self._layers[int(i)][0]: value <= self.threshold for i, value in greatest.items()}
        self.fractions = {path: float(np.mean(flags)) for path, flags in dead.items()}
        before, self._dead_fraction = (
            self._dead_fraction,
            float(np.mean(np.concatenate(list(dead.values())))),
        )
        if self.verbose and self._dead_fraction > MANY >= (before or 0):
            worst = max(self.fractions, key=self.fractions.get)
            print(
                f"\nEpoch {epoch + 1}: {self._dead_fraction:.0%} of the rectified units never fire "
                f"({worst}: {self.fractions[worst]:.0%}): lower the learning rate, or use He "
                "initialisation or a leaky rectifier."
            )


def greatest_outputs(model, layers, x):
    """The greatest activation of each unit, by the place of its layer among those given."""
    found = {}
    with contextlib.ExitStack() as stack:
        for i, layer in enumerate(layers):
            call = functools.partial(_note_greatest, found, str(i), layer, layer.call)
            stack.enter_context(shadowed(layer, call=call))
        model(x, training=False)
    return found


def _note_greatest(found, place, layer, call, *args, **kwargs):
    out = call(*args, **kwargs)
    axes = list(range(len(out.shape)))
    del axes[_unit_axis(layer, len(axes))]
    greatest = ops.cast(ops.max(out, axis=axes) if axes else out, "float32")
    found[place] = ops.maximum(found[place], greatest) if place in found else greatest
    return out


def _unit_axis(layer, rank):
    first = getattr(layer, "data_format", None) or keras.config.image_data_format()
    return 1 if first == "channels_first" and rank > 2 else -1


def _dies(layer):
    """Whether a layer's units can stop firing for good. Cells are called inside loops."""
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    is_cell = hasattr(layer, "state_size") and not isinstance(layer, keras.layers.RNN)
    rectifiers = (keras.activations.relu, keras.activations.relu6)
    return not is_cell and getattr(layer, "activation", None) in rectifiers
