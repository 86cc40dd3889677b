"""The memory that a covariance needs, against that of the machine."""

import contextlib
import os

# Of dimension², float64: the sums, the covariance, and its eigenvectors with LAPACK's workspace.
MATRICES = 6


@contextlib.contextmanager
def memory_guard(dimension, joint=True):
    """ValueError where a covariance (`joint`) does not fit in memory, before or in the block."""
    memory = machine_memory()
    if joint and memory is not None and needed(dimension) > memory:
        raise _too_large(dimension)
    try:
        yield
    except MemoryError as error:
        if not joint:
            raise
        raise _too_large(dimension) from error


def check_weights(who, count):
    """ValueError where `count` float32 weights and their initial values do not fit in memory."""
    size, memory = 8 * count, machine_memory()
    if memory is not None and size > memory:
        raise ValueError(
            f"{who} must fit in memory; got inputs for which its weights take {_gib(size)}, but "
            f"this machine has {_gib(memory)}: use smaller images or patches, or ZeroCenter, "
            "MinMaxScaling or Keras's Normalization in place of whitening."
        )


def needed(dimension):
    """Bytes for the covariance and all that is computed from it."""
    return 8 * MATRICES * dimension**2


def machine_memory():
    """Bytes of memory of the machine, or None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _too_large(dimension):
    memory = machine_memory()
    has = "this machine could not give it" if memory is None else f"this machine has {_gib(memory)}"
    return ValueError(
        f"the covariance must fit in memory; got {dimension} dimensions, for which it takes "
        f"{_gib(needed(dimension))} ({MATRICES} arrays of {dimension}×{dimension} float64: the "
        f"sums, the covariance, its eigenvectors with their workspace), but {has}: use smaller "
        "images or patches, or do without the covariance of dimensions (PixelMoments with "
        "per='channel' or covariance=False; ZeroCenter, MinMaxScaling and Keras's Normalization "
        "in place of whitening)."
    )


def _gib(size):
    return f"{size / 2**30:.1f} GiB"
