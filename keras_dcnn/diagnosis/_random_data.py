"""The random numbers that data draw from generators of their own."""

import contextlib
import copy
import random
import sys

import keras
import numpy as np


def is_loader(data):
    """Whether data are a torch DataLoader."""
    torch = sys.modules.get("torch.utils.data")
    return torch is not None and isinstance(data, torch.DataLoader)


def loader_copy(loader):
    """A torch DataLoader with the same samples and its own worker processes."""
    own = copy.copy(loader)
    vars(own)["_iterator"] = None
    return own


@contextlib.contextmanager
def random_states_kept(data):
    """Put back the generators that data, their samplers and data sets have as attributes."""
    restore = [_saved(one) for owner in _owners(data) for one in vars(owner).values()]
    if is_loader(data):
        torch = sys.modules["torch"]
        state = torch.get_rng_state()
        restore.append(lambda: torch.set_rng_state(state))
    try:
        yield
    finally:
        for put_back in filter(None, restore):
            put_back()


def _owners(data):
    owners = [data]
    if is_loader(data):
        batch_sampler = data.batch_sampler
        owners += [data.dataset, data.sampler, batch_sampler]
        owners += [getattr(batch_sampler, "sampler", None)]
    return [owner for owner in owners if hasattr(owner, "__dict__")]


def _saved(thing):
    """A function that sets the state of a generator as it is now, or None for all else."""
    if isinstance(thing, random.Random):
        state = thing.getstate()
        return lambda: thing.setstate(state)
    if isinstance(thing, np.random.Generator):
        bits, state = thing.bit_generator, thing.bit_generator.state
        return lambda: setattr(bits, "state", state)
    torch = sys.modules.get("torch")
    if isinstance(thing, np.random.RandomState) or (torch and isinstance(thing, torch.Generator)):
        state = thing.get_state()
        return lambda: thing.set_state(state)
    if isinstance(thing, keras.Layer):
        values = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in thing.variables]
        return lambda: [variable.assign(value) for variable, value in values]
    if isinstance(thing, keras.random.SeedGenerator):
        value = np.array(keras.ops.convert_to_numpy(thing.state))
        return lambda: thing.state.assign(value)
    return None
