"""The states of the global random number generators."""

import contextlib
import random
import sys
import threading

import keras
import numpy as np

from keras_dcnn._keras.variables import global_seed, set_global_seed
from keras_dcnn._state.layer_calls import shadowed


def get_random_state():
    """The states of Python's, NumPy's, Keras's and, where it is loaded, PyTorch's random numbers.

    A dict of plain JSON values and NumPy arrays. None of the generators is moved on.
    """
    version, words, gauss = random.getstate()
    state = {
        "python": {"version": version, "words": np.array(words, "uint32"), "gauss": gauss},
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002, the global one
        "keras": global_seed(),
    }
    if "torch" in sys.modules:  # on other backends too, whose data may come from its loaders
        state["torch"] = _torch_states()
    return state


def set_random_state(state):
    """Set what `get_random_state` got."""
    set_global_seed(state["keras"])  # first, since Keras may ask Python for a random number
    python = state["python"]
    random.setstate((python["version"], tuple(map(int, python["words"])), python["gauss"]))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    if "torch" in state and "torch" in sys.modules:
        _set_torch_states(state["torch"])


@contextlib.contextmanager
def random_state_kept():
    """Put back the states at the end, as where PyTorch's loaders draw a seed for each pass."""
    state = get_random_state()
    try:
        yield
    finally:
        set_random_state(state)


@contextlib.contextmanager
def seeded(seed):
    """All random numbers from a seed, as by `keras.utils.set_random_seed`; then as before.

    TensorFlow, which does not tell where its numbers are, goes on from one that it draws before.
    """
    tensorflow = sys.modules.get("tensorflow")  # of which Keras sets the seed on every backend
    drawn = tensorflow.compat.v1.random.get_seed(None)[1] if tensorflow else None
    randint = random.randint  # from which Keras takes the seeds of layers
    if threading.current_thread() is not threading.main_thread():
        randint = random.Random(seed).randint  # as Dask draws from Python's in its main thread
    with random_state_kept(), shadowed(random, randint=randint):
        keras.utils.set_random_seed(seed)
        try:
            yield
        finally:
            if tensorflow:
                tensorflow.random.set_seed(drawn)  # None where no seed was set


def _torch_states():
    """That of the CPU, then those of the GPUs that are in use."""
    import torch

    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [state.numpy().copy() for state in [torch.get_rng_state(), *gpus]]


def _set_torch_states(states):
    import torch

    cpu, *gpus = [torch.from_numpy(np.array(state)) for state in states]
    torch.set_rng_state(cpu)
    for i, gpu in enumerate(gpus[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(gpu, i)
