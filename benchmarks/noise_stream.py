"""The raw bits of the noise on the standard output, without end, for a battery of tests.

Usage: KERAS_BACKEND=jax python benchmarks/noise_stream.py ELEMENTS | dieharder -a -g 200

The stream is that of a layer with the seed 0: step 0, step 1, …, each of so many ELEMENTS of
32 bits. Many elements test the draws within a step, few the keys of the steps.
"""

import contextlib
import sys

import jax
import numpy as np

from keras_dcnn._random import noise as _noise
from keras_dcnn._random.draws import stream_words

BLOCK = 2**22  # elements written at once


def blocks(elements, seed=0):
    """Arrays of uint32: the bits of some steps, then those of the next ones."""
    words, steps = stream_words("RReLU", seed), max(BLOCK // elements, 1)
    step = jax.vmap(lambda count: _noise.bits(_noise.step_key(words, count), (elements,)))
    block, first = jax.jit(step), 0
    while True:
        counts = np.arange(first, first + steps, dtype="int32")
        yield np.asarray(block(counts)).astype("uint32")
        first += steps


def main(elements):
    written = 0
    with contextlib.suppress(BrokenPipeError):
        for block in blocks(elements):
            written += sys.stdout.buffer.write(block.tobytes())
    print(f"{written / 2**30:.1f} GiB of noise read", file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]))
