"""What the `adapt` methods of the layers share."""

import contextlib

from keras_dcnn.statistics.pixel_moments import PixelMoments


@contextlib.contextmanager
def adapting(layer):
    """Errors inside name the layer."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"adapt of `{layer.name}`: {error}") from error


def moments_for(layer, data, batch_size, shape=None, per="channel", covariance=True):
    """The moments that `layer.adapt(data)` needs: `data` itself, or measured on it.

    `shape` is the one that the mean must have, None for any. Errors name the layer.
    """
    with adapting(layer):
        if isinstance(data, PixelMoments):
            return _check(data, per, shape)
        moments = PixelMoments(per, covariance, layer.data_format)
        moments.shape = shape
        return moments.update_from(data, batch_size)


def _check(moments, per, shape):
    if moments.per != per or (shape and moments.shape not in (shape, None)):
        raise ValueError(
            f"the moments must be of PixelMoments(per={per!r})"
            + (f" with a mean of shape {shape}" if shape else "")
            + f"; got per={moments.per!r} and shape {moments.shape}: measure them anew."
        )
    return moments
