"""The memory that statistics need, against that of the machine."""

import os

# Of dimension², float64: the sums, the covariance, and its eigenvectors with LAPACK's workspace.
MATRICES = 6


def check_covariance(dimension):
    """Raise ValueError where the covariance of so many dimensions would not fit in memory."""
    check_memory(f"the covariance of {dimension} dimensions", 8 * MATRICES * dimension**2)


def check_memory(what, size):
    """Raise ValueError where the machine has fewer than `size` bytes; some systems don't say."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return
    if size > memory:
        raise ValueError(
            f"{what} must fit in memory; it takes {size / 2**30:.1f} GiB, but this machine has "
            f"{memory / 2**30:.1f} GiB: use smaller images or patches, or do without the "
            "covariance of dimensions (PixelMoments with per='channel' or covariance=False; "
            "ZeroCenter, MinMaxScaling and Keras's Normalization in place of whitening)."
        )
