"""Settings of all tests: fixed seeds, and figures that need no screen."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import pytest


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(1234)


@pytest.fixture
def backend():
    return keras.backend.backend()
