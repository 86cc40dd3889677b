"""Counter-based noise: a key and an element's index give its draw, the same on every backend.

Nothing is stored between draws, and XLA fuses the noise into what uses it. The mixing rounds are
those of `lowbias32` (https://nullprogram.com/blog/2018/07/31/), in wrapping int32.
"""

import math

import keras

_ODD = 0x9E3779B9 - 2**32  # the golden ratio in 32 bits


def _shift_right(x, bits, ops):
    """The logical shift of int32, which itself shifts in the sign."""
    return ops.bitwise_and(ops.right_shift(x, bits), (1 << (32 - bits)) - 1)


def mix(x, ops=keras.ops):
    """A bijection of int32 in which each bit of `x` flips each bit of the result by chance."""
    x = ops.bitwise_xor(x, _shift_right(x, 16, ops)) * 0x7FEB352D
    x = ops.bitwise_xor(x, _shift_right(x, 15, ops)) * (0x846CA68B - 2**32)
    return ops.bitwise_xor(x, _shift_right(x, 16, ops))


def step_key(stream, count, ops=keras.ops):
    """Two int32 that stand for the `count`-th step of a stream, which two int32 stand for.

    Both are new at every step of a stream; two streams share one by a chance of 2⁻⁶⁴.
    """
    first = mix(ops.bitwise_xor(mix(stream[0], ops), count), ops)
    return first, mix(mix(stream[1], ops) + count * _ODD, ops)


def uniform(key, shape, ops=keras.ops):
    """Uniform draws in [0, 1), float32 of 24 bits."""
    # Shaped before it is hashed: XLA fuses that, and not the other way round.
    index = ops.reshape(ops.arange(math.prod(shape), dtype="int32"), shape)
    bits = mix(ops.bitwise_xor(mix(index + key[0], ops), key[1]), ops)
    return ops.cast(_shift_right(bits, 8, ops), "float32") * 2.0**-24


def normal(key, shape, ops=keras.ops):
    """Standard normal draws, float32 (Box and Muller 1958)."""
    first, second = ops.unstack(uniform(key, (2, *shape), ops), 2)
    return ops.sqrt(-2.0 * ops.log(1.0 - first)) * ops.cos(2.0 * math.pi * second)
