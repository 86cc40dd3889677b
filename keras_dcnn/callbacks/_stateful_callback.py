"""What our callbacks share: a state that can be restored, and each other's company."""

import copy
import warnings

import keras

from keras_dcnn._keras.fitting import callbacks_of_fit, print_message
from keras_dcnn._keras.optimizers import trains_by_itself
from keras_dcnn._keras.variables import seed_variables
from keras_dcnn._state.random_state import get_random_state, set_random_state
from keras_dcnn._state.snapshot import put_back, snapshot
from keras_dcnn.callbacks._own_averages import check_own_averages

_RUN = "keras_dcnn_run"  # among the `params`, the one dict that all callbacks of a `fit` get
_OF_THE_FIT = ("_model", "_given_model", "_trained_model", "_run", "params")


class TrainingRun:
    """Our callbacks of one `fit`, their states, and those of the random numbers."""

    def __init__(self, model):
        self._model = model
        self.callbacks = {}  # by a name that is the same in a run that is begun again
        self.has_begun = False
        self._epoch = None
        self._restored = {"callbacks": {}}

    def add(self, callback):
        number = 1 + sum(type(one) is type(callback) for one in self.callbacks.values())
        self.callbacks[f"{type(callback).__name__} {number}"] = callback

    def get_state(self):
        return {
            "format": 1,
            "random": get_random_state(),
            "seeds": snapshot(seed_variables(self._model)),
            "callbacks": {name: {"state": one.get_state()} for name, one in self.callbacks.items()},
        }

    def get_state_within(self, at_begin):
        """The state in the middle of an epoch; `at_begin` is that with which it began.

        The random numbers stay those, by which the epoch is read anew in its order.
        """
        state = {**at_begin, "seeds": snapshot(seed_variables(self._model))}
        now = {name: one.get_state_within() for name, one in self.callbacks.items()}
        own = {name: {"state": one} for name, one in now.items() if one is not None}
        return {**state, "callbacks": {**at_begin["callbacks"], **own}}

    def restore(self, state):
        """Have each callback take its state when the first epoch begins."""
        self._restored = state

    def begin_epoch(self, epoch):
        """What all callbacks do before the first of them does what it does in this epoch."""
        if not self.has_begun:
            self._begin()
        if self._epoch != epoch:
            self._epoch = epoch
            for callback in self.callbacks.values():
                callback.enter_epoch(epoch)

    def _begin(self):
        model = self._model
        if model.compiled and model.optimizer is None and not trains_by_itself(model):
            raise ValueError(
                f"`fit` needs an optimizer, and `{model.name}` was compiled with optimizer=None: "
                "give `compile` one."
            )
        if "random" in self._restored:
            set_random_state(self._restored["random"])
            put_back(seed_variables(self._model), self._restored["seeds"])
        for name, callback in self.callbacks.items():
            callback.begin(self._restored["callbacks"].get(name, {}).get("state"))
        self.has_begun = True


class StatefulCallback(keras.callbacks.Callback):
    """A callback whose state can be read, set, and restored in a run that was killed.

    The order: `on_train_begin` of all callbacks, which may load a checkpoint; then, before the
    first batch, the state that came with it, or `reset()` where there is none and the model is not
    the one of the last `fit`.

    A pickle holds the arguments and the state, not the model; the next `fit` goes on with it.
    """

    excludes = ()  # names of the classes that this one can't work beside
    kept = ()  # names of the attributes, without "_", that make up the state
    of_the_fit = ()  # names of attributes that hold something of the model, beside its bases'
    sets_weights = False  # whether it ends with weights of its own in the model
    keeps_weights = None  # "of the beginning" or "of the end" of an epoch
    verbose = 1

    def __init__(self):
        super().__init__()
        self._trained_model = None
        self._state_is_set = False
        self.epochs_ended = 0

    def __getstate__(self):
        goes_on = self._trained_model is not None and self.goes_on()
        names = [name for one in type(self).__mro__ for name in vars(one).get("of_the_fit", ())]
        dropped = dict.fromkeys([*_OF_THE_FIT, *names])
        return vars(self) | dropped | {"_state_is_set": self._state_is_set or goes_on}

    def __deepcopy__(self, memo):
        """A copy that goes on where this one does: with the same model, or its copy in `memo`.

        It has the data of this one, since tf.data and generators can't be copied.
        """
        data = getattr(self, "data", None)
        memo[id(data)] = data
        memo[id(self)] = other = copy.copy(self)
        vars(other).update(copy.deepcopy(vars(other), memo), _state_is_set=self._state_is_set)
        other._model = other._given_model = memo.get(id(self._model), self._model)
        other._trained_model = memo.get(id(self._trained_model), self._trained_model)
        return other

    def get_state(self):
        """The state as a dict of plain values and NumPy arrays."""
        return {name: getattr(self, f"_{name}") for name in self.kept}

    def set_state(self, state):
        """Go on from a state of `get_state`; also before a `fit`."""
        for name in self.kept:
            setattr(self, f"_{name}", state[name])
        self._state_is_set = True

    def get_state_within(self):
        """The state in the middle of an epoch; None for that with which the epoch began.

        Then the batches up to there are seen again, with the same means for all of them.
        """

    def reset(self):
        """Begin anew."""

    def goes_on(self):
        """Whether a `fit` continues with the state that there is."""
        return self._trained_model is self.model

    def say(self, sentence):
        """Print a line, but where this callback or the `fit` is silent."""
        if self.verbose and self.params.get("verbose", 1):
            print_message(f"\n{sentence}")

    def set_model(self, model):
        super().set_model(model)
        self._given_model = model

    @property
    def model_in_step(self):
        """`model`, which on JAX would stop the training between two batches; this does not.

        Its variables are empty then, in the middle of an epoch.
        """
        return self._given_model if keras.backend.backend() == "jax" else self.model

    def set_params(self, params):
        super().set_params(params)
        self._run = params.setdefault(_RUN, TrainingRun(self.model))
        self._run.add(self)

    def on_train_begin(self, logs=None):
        if "epochs" not in (self.params or {}):
            raise ValueError(
                f"{type(self).__name__} needs the `params` of a training; got {self.params}: use "
                "`fit`, or in a loop of your own keras.callbacks.CallbackList(callbacks, "
                "model=model, epochs=…, steps=…)."
            )
        for other in self._run.callbacks.values():
            if other is not self and type(other).__name__ in self.excludes:
                raise ValueError(
                    f"{type(self).__name__} and {type(other).__name__} would both set the learning "
                    "rate: leave one out."
                )
        check_own_averages(self)
        if self is next(iter(self._run.callbacks.values())):  # once in a `fit`
            _warn_of_backups()

    def on_epoch_begin(self, epoch, logs=None):
        self._run.begin_epoch(epoch)

    def begin(self, state):
        """Take a state that is restored, or begin anew where a `fit` does not go on."""
        if state is not None:
            self.set_state(state)
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
        self.params.pop(_RUN, None)  # else the History would hold all callbacks


def _warn_of_backups():
    if any(isinstance(one, keras.callbacks.BackupAndRestore) for one in callbacks_of_fit()):
        warnings.warn(
            "BackupAndRestore does not save the state of keras_dcnn's callbacks, so a training "
            "that it resumes differs from one that was not interrupted: use ResumeTraining in its "
            "place.",
            stacklevel=2,
        )
