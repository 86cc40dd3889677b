"""The states of the random numbers come back exactly, from a file too."""

import io
import json
import random

import keras
import numpy as np
import pytest

from keras_dcnn._state.random_state import get_random_state, set_random_state

pytestmark = pytest.mark.every_backend


def draws(backend):
    """A few numbers of each kind, from every generator."""
    numbers = [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()]  # noqa: NPY002
    numbers += [float(keras.random.normal(())), float(keras.random.uniform(()))]
    if backend == "torch":
        import torch

        numbers += [float(torch.rand(())), float(torch.randn(()))]
    return numbers


def through_files(state):
    """The state written as JSON and npz, and read."""
    arrays = {}

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        if isinstance(value, np.ndarray):
            arrays[str(len(arrays))] = value
            return {"array": len(arrays) - 1}
        return value

    text = json.dumps(plain(state), allow_nan=False)
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as read:
        return json.loads(text, object_hook=lambda d: read[str(d["array"])] if "array" in d else d)


@pytest.mark.parametrize("after", [0, 1], ids=["at the start", "with a Gaussian kept for later"])
def test_the_same_numbers_again(backend, after):
    for _ in range(after):  # an odd number of normal draws leaves one of a pair
        draws(backend)
    state = get_random_state()
    first, second = draws(backend), draws(backend)
    for saved in (state, through_files(state)):
        set_random_state(saved)
        assert [draws(backend), draws(backend)] == [first, second]


def test_asking_moves_nothing_on(backend):
    expected = draws(backend)
    keras.utils.set_random_seed(1234)  # Keras's own generator is made at the first draw
    set_random_state(through_files(get_random_state()))
    assert draws(backend) == expected


def test_another_bit_generator_of_numpy():
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(1))
        state = through_files(get_random_state())
        first = np.random.randn()  # noqa: NPY002
        set_random_state(state)
        assert np.random.randn() == first  # noqa: NPY002
    finally:
        np.random.set_bit_generator(before)
