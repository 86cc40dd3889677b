"""Counter-based noise: a key and an element's index give its draw, the same on every backend.

Nothing is stored between draws, however the elements are shared out among devices, and XLA fuses
the noise into what uses it. Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3
(2011), https://doi.org/10.1145/2063384.2063405. The rounds are those of `triple32`, the least
biased function of 32 bits and three multiplications in a published search
(https://github.com/skeeto/hash-prospector), with a second word of key after the first of them.
What was tested is in tests/once/test_noise_quality.py and benchmarks/NOISE.md.
"""

import math

import keras

_BLOCK = 2**17  # elements of which PyTorch works on three copies in the cache


def _int32(word):
    return word - 2**32 if word >= 2**31 else word


_ODD = _int32(0x9E3779B9)  # the golden ratio in 32 bits
_MULTIPLIERS = tuple(map(_int32, (0xED5AD4BB, 0xAC4C1B51, 0x31848BAB)))


def _shift_right(x, bits, ops):
    """The logical shift of int32, which itself shifts in the sign."""
    return ops.bitwise_and(ops.right_shift(x, bits), (1 << (32 - bits)) - 1)


def _xor_shift(x, bits, ops):
    return ops.bitwise_xor(x, _shift_right(x, bits, ops))


def mix(x, word, ops=keras.ops):
    """A bijection of int32, another for each int32 `word`, that flips bits as if by chance."""
    x = ops.multiply(_xor_shift(x, 17, ops), _MULTIPLIERS[0])
    x = ops.bitwise_xor(x, word)
    x = ops.multiply(_xor_shift(x, 11, ops), _MULTIPLIERS[1])
    x = ops.multiply(_xor_shift(x, 15, ops), _MULTIPLIERS[2])
    return _xor_shift(x, 14, ops)


def step_key(stream, count, ops=keras.ops):
    """Two int32 that stand for the `count`-th step of a stream, which two int32 stand for.

    Both are new at every step of a stream; two streams share a key by a chance of 2⁻⁶⁴.
    """
    first, second = stream
    return mix(count + first, second, ops), mix(count * _ODD + second, first, ops)


def bits(key, shape, ops=keras.ops):
    """32 random bits for each element, int32. Elements 2³² apart have the same."""
    # Axis by axis: so it may be shared out, and XLA keeps no table of the places; and shaped before
    # it is mixed: XLA fuses that, and not the other way round.
    index = key[0]
    for axis, size in enumerate(shape):
        inner = shape[axis + 1 :]
        places = ops.arange(size, dtype="int32") * math.prod(inner)
        index = index + ops.reshape(places, (-1, *(1 for _ in inner)))
    return mix(index, key[1], ops)


def uniform(key, shape, ops=keras.ops, low=0.0, high=1.0):
    """Uniform draws between `low` and `high`, float32 of 24 bits; in [0, 1) unless told."""
    scale = (high - low) * 2.0**-24
    if ops is keras.ops and keras.backend.backend() == "torch" and not torch_compiles():
        return _uniform_in_blocks(key, shape, low, scale)
    return ops.cast(_shift_right(bits(key, shape, ops), 8, ops), "float32") * scale + low


def normal(key, shape, ops=keras.ops):
    """Standard normal draws, float32 (Box and Muller 1958)."""
    first, second = ops.unstack(uniform(key, (2, *shape), ops), 2)
    return ops.sqrt(-2.0 * ops.log(1.0 - first)) * ops.cos(2.0 * math.pi * second)


def torch_compiles():
    """Whether PyTorch is compiling, and so fuses."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return torch.compiler.is_compiling()


class _InPlace:
    """The operations of `mix` on a tensor of PyTorch, which they change; nothing is allocated."""

    def __init__(self, scratch):
        self._scratch = scratch

    def right_shift(self, x, bits):
        return self._scratch[: len(x)].copy_(x).bitwise_right_shift_(bits)

    def bitwise_and(self, x, mask):
        return x.bitwise_and_(mask)

    def bitwise_xor(self, x, y):
        return x.bitwise_xor_(y)

    def multiply(self, x, factor):
        return x.mul_(factor)


def _uniform_in_blocks(key, shape, low, scale):
    """`uniform` in place, in blocks that stay in the cache: several times as fast on a CPU.

    On a GPU the whole is one block.
    """
    import torch

    size, device = math.prod(shape), key[0].device
    block = _BLOCK if device.type == "cpu" else max(size, 1)
    draws = torch.empty(size, dtype=torch.float32, device=device)
    index = torch.arange(min(block, size), dtype=torch.int32, device=device) + key[0]
    mixed, scratch = torch.empty_like(index), torch.empty_like(index)
    ops = _InPlace(scratch)
    for start, part in zip(range(0, size, block), draws.split(block), strict=False):
        x = torch.add(index[: len(part)], _int32(start % 2**32), out=mixed[: len(part)])
        x = mix(x, key[1], ops)
        part.copy_(_shift_right(x, 8, ops)).mul_(scale).add_(low)
    return draws.reshape(shape)
