"""What callbacks share that set the learning rates of the optimizers that train a model."""

import warnings

from keras_dcnn._keras.optimizers import training_optimizers
from keras_dcnn._state.rates import check_rates_can_be_set, log_rates, rate_holders
from keras_dcnn.callbacks._stateful_callback import StatefulCallback


class RateCallback(StatefulCallback):
    """Sets learning rates, logs them, and begins anew with another optimizer than before."""

    of_the_fit = ("_trained_with",)
    of_each_rate = ""  # the name, without "_", of the list in the state with a number for each

    def __init__(self):
        super().__init__()
        self._trained_with = None

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        check_rates_can_be_set(type(self).__name__, self.model)

    def goes_on(self):
        return super().goes_on() and self._has_same_optimizers()

    def begin(self, state):
        goes_on = self.goes_on()
        is_given = state is not None or self._state_is_set
        if not is_given and not goes_on and self._trained_model is self.model:
            self._drop("the model has another optimizer than in the last `fit`")
        super().begin(state)
        rates = getattr(self, f"_{self.of_each_rate}", None)
        if rates is not None and len(rates) != len(rate_holders(self.model)):
            self._drop(
                f"its state is of {len(rates)} learning rates, and the model has "
                f"{len(rate_holders(self.model))}"
            )
            self.reset()
        self._trained_with = self._optimizers()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        log_rates(self.model, logs)

    def _optimizers(self):
        return [one.optimizer for one in training_optimizers(self.model)]

    def _has_same_optimizers(self):
        before, now = self._trained_with, self._optimizers()
        return before is None or list(map(id, before)) == list(map(id, now))

    def _drop(self, why):
        warnings.warn(f"{type(self).__name__} begins anew: {why}.", stacklevel=2)
