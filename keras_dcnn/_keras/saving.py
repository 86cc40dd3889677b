"""Files of weights."""

import numpy as np
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.saving.saving_lib import H5IOStore, _save_state, save_weights_only
from keras.src.saving.saving_lib import safe_get_h5_dataset as dataset_in  # noqa: F401


class SavedWithWeights(KerasSaveable):
    """Text and arrays that Keras puts into a model's `.weights.h5` files, beside the weights.

    Not into `.keras` files, which are for models that are ready.
    """

    def _obj_type(self):
        return "Loss"  # of the kinds that Keras knows, the one with nothing of its own

    def save_own_variables(self, store):
        in_archive = getattr(store, "archive", None) is not None
        to_weights = str(getattr(store, "path_or_io", "")).endswith(".weights.h5")
        if to_weights and not in_archive and self.is_running():
            text, arrays = self.pack()
            store["text"] = np.frombuffer(text.encode(), "uint8")
            for i, array in enumerate(arrays):
                store[str(i)] = array

    def load_own_variables(self, store):
        if "text" in store.keys():  # noqa: SIM118, it is no dict
            arrays = [store[str(i)] for i in range(len(store.keys()) - 1)]
            self.unpack(bytes(store["text"]).decode(), arrays)


def save_weights(model, path):
    """Write a model's weights to a `.weights.h5` file, and nothing else that Keras would find."""
    others = [one for one in vars(model).values() if isinstance(one, SavedWithWeights)]
    save_weights_only(model, path, objects_to_skip=[getattr(model, "optimizer", None), *others])


class _Places(H5IOStore):
    """Writes nothing, and notes what a model would save under which name."""

    def __init__(self):
        self.values = {}

    def __bool__(self):
        return True

    def make(self, path, metadata=None):
        self._path = f"{path}/vars" if path else "vars"
        return self

    def __setitem__(self, key, value):
        self.values[f"{self._path}/{key}"] = value


def weight_places(model):
    """What `save_weights` would write, by its name in the file: variables, as a rule."""
    others = [one for one in vars(model).values() if isinstance(one, SavedWithWeights)]
    skipped = {id(one) for one in [getattr(model, "optimizer", None), *others]}
    places = _Places()
    _save_state(model, places, None, inner_path="", visited_saveables=skipped)
    return places.values
