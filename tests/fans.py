"""What the variances of initialised kernels are to be."""

import math

import numpy as np
from hypothesis import strategies as st
from scipy import stats

KERNELS = {
    "kind": st.sampled_from(["standard", "depthwise", "transpose"]),
    "spatial": st.sampled_from([(3, 3), (1, 1), (5,), (2, 3, 2)]),
    "a": st.integers(8, 64),
    "b": st.integers(8, 64),
    "seed": st.integers(0, 1000),
}


def fans(kind, shape):
    """Fan-in and fan-out in closed form; test_he_normal.py counts them on real layers."""
    *spatial, a, b = shape
    area = math.prod(spatial)
    return {
        "standard": (area * a, area * b),  # a inputs, b outputs
        "transpose": (area * b, area * a),  # a outputs, b inputs
        "depthwise": (area, area * b),  # each output sees one of a channels; each feeds b
    }[kind]


def check_normal(w, variance):
    """n·(mean square)/σ² is χ² with n degrees of freedom: a false alarm in 5 million draws."""
    low, high = stats.chi2.ppf([1e-7, 1 - 1e-7], w.size) / w.size
    assert low < np.mean(w**2) / variance < high
    assert abs(w.mean()) < 5.3 * math.sqrt(variance / w.size)
    beyond = np.mean(np.abs(w) > 2 * math.sqrt(variance))  # of N(0, 1) 4.55 %, truncated none
    assert abs(beyond - 0.0455) < 5.3 * math.sqrt(0.0455 / w.size)
