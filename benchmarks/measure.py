"""How a step is checked and timed, and what it is timed on."""

import functools
import os
import time

BATCH, SIZE = 64, 224
MAPS = (32, 56, 56, 64)  # what the rectifiers get
GPU_MAPS = (1024, 56, 56, 64)  # far beyond the caches
CIFAR = (8, 32, 32, 3)
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@functools.cache
def images(dtype="uint8", top=255, count=BATCH):
    """Coloured squares with noise in [0, top]: flat parts and edges, as photographs have them."""
    import numpy as np

    rng = np.random.default_rng(0)
    squares = rng.integers(10, 246, (BATCH, SIZE // 16, SIZE // 16, 3))
    noise = rng.integers(-10, 11, (BATCH, SIZE, SIZE, 3))
    pixels = (squares.repeat(16, 1).repeat(16, 2) + noise) * (top / 255)
    return np.tile(pixels.astype(dtype), (count // BATCH, 1, 1, 1))


@functools.cache
def normals(shape, seed=0):
    """Normal draws on the device; contestants of one process share them."""
    import keras
    import numpy as np

    draws = np.random.default_rng(seed).standard_normal(shape, "float32")
    return keras.ops.convert_to_tensor(draws)


def check_draws(step):
    """Raise RuntimeError unless two calls give finite images that differ."""
    import numpy as np

    first, second = (np.asarray(step()[0]) for _ in range(2))
    if not np.isfinite(first).all() or (first == second).all():
        raise RuntimeError("two calls must give finite images, and not the same ones")


def images_per_second(step, images_per_step, seconds=0.5):
    """The rate over that time, after one call that wakes up a process that was idle.

    Where that call takes as long by itself, it is the measurement.
    """
    rate = _calls_per_second(step, 0)
    if rate * seconds > 1:
        rate = _calls_per_second(step, seconds)
    return rate * images_per_step


def _calls_per_second(step, seconds):
    """The rate over that time, over one call at least."""
    calls, start = 0, time.perf_counter()
    while True:
        step()
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return calls / elapsed
