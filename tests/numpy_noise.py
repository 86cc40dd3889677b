"""The noise by its definition, in unsigned NumPy."""

import hashlib
import multiprocessing

import numpy as np

GOLDEN = 0x9E3779B9


def mix(x, word):
    x, word = np.atleast_1d(x).astype("uint32"), np.uint32(word)
    x = (x ^ (x >> np.uint32(17))) * np.uint32(0xED5AD4BB) ^ word
    x = (x ^ (x >> np.uint32(11))) * np.uint32(0xAC4C1B51)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x31848BAB)
    return x ^ (x >> np.uint32(14))


def bits(stream, count, shape):
    """32 bits for each element, in the `count`-th step of a stream of two words."""
    one, other = (int(word) for word in stream)
    first = mix((count + one) % 2**32, other)
    second = mix((count * GOLDEN + other) % 2**32, one)
    places = np.arange(np.prod(shape, dtype=int), dtype="uint32")
    return mix(places + first, second[0]).reshape(shape)


def uniform(stream, count, shape):
    return (bits(stream, count, shape) >> np.uint32(8)) * np.float32(2**-24)


def normal(stream, count, shape):
    """Box and Muller's."""
    u, v = uniform(stream, count, (2, *shape)).astype("float64")
    return np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v)


def stream(name, seed):
    """The stream of a layer of that class and seed, in this process."""
    process = multiprocessing.current_process().name
    place = () if process == "MainProcess" else process
    digest = hashlib.blake2b(f"{name} {place}".encode(), digest_size=8).digest()
    return np.frombuffer(digest, "<u4") ^ np.uint32(seed)
