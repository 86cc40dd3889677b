"""Affine resampling by gathers: one pass over the image, whatever is composed, inside XLA."""

import keras


def affine_coordinates(matrix, offset, height, width, ops=keras.ops):
    """Where each pixel of an output of height × width comes from: rows and columns, as floats.

    `matrix` (batch, 2, 2) and `offset` (batch, 2) map the (row, column) of an output pixel to that
    of the input; both results have the shape (batch, height, width).
    """
    y = ops.reshape(ops.cast(ops.arange(height), "float32"), (1, -1, 1))
    x = ops.reshape(ops.cast(ops.arange(width), "float32"), (1, 1, -1))
    m, b = ops.reshape(matrix, (-1, 2, 2, 1, 1)), ops.reshape(offset, (-1, 2, 1, 1))
    return tuple(m[:, i, 0] * y + m[:, i, 1] * x + b[:, i] for i in (0, 1))


def fold(index, size, fill_mode, ops=keras.ops):
    """The pixel within 0 … size − 1 that stands for a whole-numbered `index` outside it."""
    if fill_mode in ("reflect", "wrap"):
        # The half keeps the quotient off the whole numbers, where rounding could go either way.
        period = 2.0 * size if fill_mode == "reflect" else size
        index = index - period * ops.floor((index + 0.5) / period)
        if fill_mode == "reflect":  # (d c b a | a b c d | d c b a)
            index = ops.minimum(index, period - 1.0 - index)
    return ops.clip(index, 0.0, size - 1.0)


def resample(
    images, rows, columns, interpolation="bilinear", fill_mode="reflect", fill_value=0.0, ops=None
):
    """Pixels of `images` (batch, height, width, channels) at `rows` and `columns`.

    `rows` and `columns` have the shape of the output without its channels. Bilinear results are
    float32; nearest ones keep the dtype.
    """
    ops = ops or keras.ops
    batch, height, width, channels = ops.shape(images)
    if isinstance(batch, int) and batch == 0:  # JAX takes nothing from nothing
        return ops.zeros((*rows.shape, channels), "float32")
    sizes = tuple(ops.cast(size, "float32") for size in (height, width))
    flat = ops.reshape(images, (-1, channels))
    first = ops.reshape(ops.arange(batch, dtype="int32") * (height * width), (-1, 1, 1))

    def pixels(y, x):
        inside = [fold(i, n, fill_mode, ops) for i, n in zip((y, x), sizes, strict=True)]
        at = ops.cast(inside[0] * sizes[1] + inside[1], "int32")
        found = ops.take(flat, first + at, axis=0)
        if interpolation == "bilinear":
            found = ops.cast(found, "float32")
        if fill_mode != "constant":
            return found
        known = ops.logical_and(inside[0] == y, inside[1] == x)
        return ops.where(ops.expand_dims(known, -1), found, ops.cast(fill_value, found.dtype))

    if interpolation == "nearest":
        return pixels(ops.floor(rows + 0.5), ops.floor(columns + 0.5))
    y, x = ops.floor(rows), ops.floor(columns)
    down, right = ops.expand_dims(rows - y, -1), ops.expand_dims(columns - x, -1)

    def row(y):
        left = pixels(y, x)
        return left + (pixels(y, x + 1.0) - left) * right

    above = row(y)
    return above + (row(y + 1.0) - above) * down
