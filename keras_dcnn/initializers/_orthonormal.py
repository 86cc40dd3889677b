"""Random orthonormal kernels, on the axes that each kind of kernel has."""

import math

import numpy as np


def orthonormal(generator, shape, incoming, groups=()):
    """A random kernel whose neurons are orthonormal vectors over the `incoming` axes.

    With more neurons than inputs, the inputs' vectors over the neurons are orthonormal instead. For
    each index of the `groups` axes separately. Float64; uniform over all such kernels: see
    Mezzadri, https://arxiv.org/abs/math-ph/0609050, for the signs.
    """
    outgoing = [axis for axis in range(len(shape)) if axis not in (*incoming, *groups)]
    count, rows, columns = (
        math.prod(shape[axis] for axis in axes) for axes in (groups, incoming, outgoing)
    )
    tall = generator.standard_normal((count, max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    if rows < columns:
        q = q.transpose(0, 2, 1)
    order = (*groups, *incoming, *outgoing)
    return q.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def orthonormal_kernel(generator, kernel):
    """`orthonormal` for a LayerKernel."""
    return orthonormal(generator, *kernel.split()).reshape(kernel.variable.shape)
