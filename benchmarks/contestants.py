"""The list of contestants: a label, the work, the process it runs in, and how to set it up."""

from collections.abc import Callable
from typing import NamedTuple

from measure import BATCH

WORKS = {  # by the name that --only takes
    "hsv": "Colours in HSV",
    "pca": "Colours along their components",
    "affine": "Affine warps",
    "adapt": "Adapting to the pixels",
    "rrelu": "Rectifiers",
    "cnn": "A step of training",
    "gpu": "GPU",
}
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX"}
CONTESTANTS = {}  # by label


class Contestant(NamedTuple):
    label: str
    works: tuple
    worker: str  # the process: a Keras backend, or the name of a peer
    build: Callable  # returns the step, a function without arguments
    images: int  # per step
    draws: bool  # whether two steps must differ


def contestant(label, works, *workers, images=BATCH, draws=True):
    """Add the decorated `build` to the list, once for each of `workers`."""

    def add(build):
        for worker in workers:
            name = label.format(backend=BACKENDS.get(worker))
            CONTESTANTS[name] = Contestant(name, works.split(), worker, build, images, draws)
        return build

    return add


class Unavailable(Exception):
    """What this contestant needs is not on this machine."""


def load():
    """The full list, in the order of the tables. Imports no framework: that is left to `build`."""
    import network  # noqa: F401
    import ours  # noqa: F401
    import peers  # noqa: F401
    import rectifiers  # noqa: F401

    return CONTESTANTS
