"""The states of the global random number generators."""

import random

import keras
import numpy as np

from keras_dcnn._keras import global_seed_state


def get_random_state():
    """The states of Python's, NumPy's, Keras's and, on its backend, PyTorch's random numbers.

    A dict of plain values and NumPy arrays.
    """
    version, words, gauss = random.getstate()
    kind, key, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002, the global one
    state = {
        "python": {"version": version, "words": np.array(words, "uint64"), "gauss": gauss},
        "numpy": {
            "kind": kind,
            "key": key.copy(),
            "rest": np.array([position, has_gauss, cached], "float64"),
        },
        "keras": np.array(keras.ops.convert_to_numpy(global_seed_state())),
    }
    if keras.backend.backend() == "torch":
        import torch

        state["torch"] = torch.get_rng_state().numpy().copy()
    return state


def set_random_state(state):
    """Set what `get_random_state` got."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(map(int, python["words"])), python["gauss"]))
    position, has_gauss, cached = numpy["rest"]
    np.random.set_state(  # noqa: NPY002
        (numpy["kind"], numpy["key"], int(position), int(has_gauss), float(cached))
    )
    global_seed_state().assign(state["keras"])
    if keras.backend.backend() == "torch" and "torch" in state:
        import torch

        torch.set_rng_state(torch.from_numpy(np.array(state["torch"])))
