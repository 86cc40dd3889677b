"""Affine resampling by gathers: one pass over the image, whatever is composed, inside XLA."""

import keras

from keras_dcnn._keras.layers import take_rows


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
    images,
    rows,
    columns,
    interpolation="bilinear",
    fill_mode="reflect",
    fill_value=0.0,
    dtype="float32",
    ops=keras.ops,
):
    """Pixels of `images` (batch, height, width, channels) at `rows` and `columns`, in `dtype`.

    `rows` and `columns` have the shape of the output without its channels. Interpolated are floats.
    """
    batch, height, width, channels = ops.shape(images)
    if isinstance(batch, int) and batch == 0:  # JAX takes nothing from nothing
        return ops.zeros((*rows.shape, channels), dtype)
    flat = ops.reshape(images, (-1, channels))
    first = ops.reshape(ops.arange(batch, dtype="int32") * (height * width), (-1, 1, 1))

    def pixels(line, place):
        found = ops.cast(take_rows(flat, first + line[0] * width + place[0], ops), dtype)
        if fill_mode != "constant":
            return found
        known = ops.expand_dims(line[1] * place[1], -1)
        if interpolation == "nearest":
            return ops.where(known > 0, found, ops.cast(fill_value, dtype))
        return found * known + fill_value * (1.0 - known)  # faster than a choice, on a CPU

    if interpolation == "nearest":
        line = _place(ops.floor(rows + 0.5), height, fill_mode, ops)
        return pixels(line, _place(ops.floor(columns + 0.5), width, fill_mode, ops))
    taps, join = ((0.0, 1.0), _linear) if interpolation == "bilinear" else (_TAPS, _cubic)
    above, left = ops.floor(rows), ops.floor(columns)
    lines = [_place(above + i, height, fill_mode, ops) for i in taps]
    places = [_place(left + i, width, fill_mode, ops) for i in taps]
    down, right = ops.expand_dims(rows - above, -1), ops.expand_dims(columns - left, -1)
    out = join([join([pixels(y, x) for x in places], right) for y in lines], down)
    return out if interpolation == "bilinear" else _within(images, out, fill_mode, fill_value, ops)


def _place(index, size, fill_mode, ops):
    """The pixel that stands for `index` on one axis, and 1 if it is the one itself, else 0."""
    inside = fold(index, ops.cast(size, "float32"), fill_mode, ops)
    return ops.cast(inside, "int32"), ops.cast(inside == index, "float32")


def _linear(points, share):
    start, end = points
    return start + (end - start) * share


_TAPS = (-1.0, 0.0, 1.0, 2.0)


def _cubic(points, share):
    """Keys's convolution with a = −1/2, third order; `share` of the way from the second point."""
    p, q, r, s = points
    cube = 3.0 * (q - r) + s - p
    return q + 0.5 * share * (r - p + share * (2.0 * p - 5.0 * q + 4.0 * r - s + share * cube))


def _within(images, out, fill_mode, fill_value, ops):
    """`out` clipped to what the channels of each image hold, beyond which cubics overshoot."""
    low, high = (
        ops.cast(bound(images, axis=(1, 2), keepdims=True), "float32")
        for bound in (ops.min, ops.max)
    )
    if fill_mode == "constant":
        low, high = ops.minimum(low, fill_value), ops.maximum(high, fill_value)
    return ops.minimum(ops.maximum(out, low), high)
