"""What our callbacks share: a state that goes with the checkpoint, and each other's company."""

import warnings
import weakref

import keras

from keras_dcnn._files.states import pack, unpack
from keras_dcnn._keras.saving import SavedWithWeights
from keras_dcnn._keras.variables import seed_variables
from keras_dcnn._state.random_state import get_random_state, set_random_state
from keras_dcnn._state.snapshot import put_back, snapshot

_PLACE = "_keras_dcnn_training_run"


class TrainingRun(SavedWithWeights):
    """Our callbacks of one `fit`, their states, and those of the random numbers.

    Held by the model while it is trained, so that it is in every `.weights.h5` that is written:
    that of `keras.callbacks.BackupAndRestore` too.
    """

    def __init__(self, model, params):
        self._model = weakref.ref(model)  # Keras looks for what to save in all that it can reach
        self.params = params  # one object for all callbacks of a `fit`
        self.callbacks = []
        self._epoch = None
        self._restored = None

    def named(self):
        """The callbacks by a name that is the same in a run that is begun again."""
        names = {}
        for callback in self.callbacks:
            kind = type(callback).__name__
            count = sum(type(one) is type(callback) for one in names.values())
            names[f"{kind} {count + 1}"] = callback
        return names

    def get_state(self):
        states = {
            name: {"epochs": callback.epochs_ended, "state": callback.get_state()}
            for name, callback in self.named().items()
        }
        return {
            "format": 1,
            "random": get_random_state(),
            "seeds": snapshot(seed_variables(self._model())),
            "callbacks": states,
        }

    def begin_epoch(self, epoch):
        """What all callbacks do before the first of them does what it does in this epoch."""
        if self._epoch is None:
            for callback in self.callbacks:
                callback.begin(epoch)
        if self._epoch != epoch:
            self._epoch = epoch
            for callback in self.callbacks:
                callback.enter_epoch(epoch)

    def restore(self, state):
        """Have each callback take its state when the first epoch begins."""
        self._restored = state

    def take(self, callback, epoch):
        """The state that is to be restored to a callback, or None; the random numbers' as well."""
        if self._restored is None:
            return None
        if "random" in self._restored:
            set_random_state(self._restored.pop("random"))
            put_back(seed_variables(self._model()), self._restored["seeds"])
        name = next(name for name, one in self.named().items() if one is callback)
        if name not in self._restored["callbacks"]:
            return None
        restored = self._restored["callbacks"].pop(name)
        if restored["epochs"] != epoch:
            warnings.warn(
                f"the state of {type(callback).__name__} is that after {restored['epochs']} "
                f"epochs, but the training begins after {epoch}, so it differs from one that was "
                "not interrupted: put BackupAndRestore after the callbacks of keras_dcnn, or use "
                "ResumeTraining, which writes one file where that writes two.",
                stacklevel=3,
            )
        return restored["state"]

    @property
    def has_begun(self):
        """Whether an epoch began."""
        return self._epoch is not None

    def is_running(self):
        """False for what a `fit` that was interrupted left on the model, once another began."""
        history = getattr(self._model(), "history", None)
        return history is None or history.params is self.params

    def pack(self):
        return pack(self.get_state())

    def unpack(self, text, arrays):
        self.restore(unpack(text, arrays))


class StatefulCallback(keras.callbacks.Callback):
    """A callback whose state can be read, set, and restored in a run that was killed.

    The order: `on_train_begin` of all callbacks, which may load a checkpoint; then, before the
    first batch, the state that came with it, or `reset()` where there is none and the model is not
    the one of the last `fit`.
    """

    excludes = ()  # names of the classes that this one can't work beside

    def __init__(self):
        super().__init__()
        self._trained_model = None
        self._state_is_set = False
        self.epochs_ended = 0

    def get_state(self):
        """The state as a dict of plain values and NumPy arrays."""
        return {}

    def set_state(self, state):
        """Go on from a state of `get_state`; also before a `fit`."""
        self._state_is_set = True

    def reset(self):
        """Begin anew."""

    def goes_on(self):
        """Whether a `fit` continues with the state that there is."""
        return self._trained_model is self.model

    def set_params(self, params):
        super().set_params(params)
        holder = vars(self._model)
        if _PLACE not in holder or holder[_PLACE].params is not params:
            holder[_PLACE] = TrainingRun(self._model, params)
        self._run = holder[_PLACE]
        self._run.callbacks.append(self)

    def on_train_begin(self, logs=None):
        for other in self._run.callbacks:
            if other is not self and type(other).__name__ in self.excludes:
                raise ValueError(
                    f"{type(self).__name__} and {type(other).__name__} would both set the learning "
                    "rate: leave one out."
                )

    def on_epoch_begin(self, epoch, logs=None):
        self._run.begin_epoch(epoch)

    def begin(self, epoch):
        """Take a restored state, or begin anew where a `fit` does not go on."""
        restored = self._run.take(self, epoch)
        if restored is not None:
            self.set_state(restored)
        elif not self._state_is_set and not self.goes_on():
            self.reset()
        self._state_is_set = False
        self._trained_model = self.model

    def enter_epoch(self, epoch):
        """What must be so before any of our callbacks begins the epoch, such as the weights."""
        self.epochs_ended = epoch

    def rates_were_set(self):
        """Another of our callbacks has set learning rates, in the middle of an epoch perhaps."""

    def on_epoch_end(self, epoch, logs=None):
        self.epochs_ended = epoch + 1

    def on_train_end(self, logs=None):
        vars(self._model).pop(_PLACE, None)
