"""The formulas by which members' outputs become one."""

import keras

ops = keras.ops
TINY = 1e-30  # log of a probability that underflowed to 0 stays finite
# Half of the step below 1: what lies nearer to 1 is 1, and to 0 counts alike.
ROUNDED = {"float32": 6e-8, "float64": 1.1e-16}


def weighted_mean(outputs, weights):
    """Σₘ wₘ yₘ over the first axis of `outputs`, which is (members, …)."""
    # `tensordot` and `matmul` of Keras 3.15 on PyTorch compute float64 in float32.
    return ops.einsum("m,m...->...", weights, outputs)


def geometric_mean(probabilities, weights):
    """Πₘ pₘ^wₘ, normalised over the classes (one class: over it and its complement)."""
    if probabilities.shape[-1] == 1:
        least = ROUNDED[keras.backend.standardize_dtype(probabilities.dtype)]
        p, q = (_at_least(least, one) for one in (probabilities, 1 - probabilities))
        return ops.sigmoid(weighted_mean(ops.log(p) - ops.log(q), weights))
    log_p = ops.log(_at_least(TINY, probabilities))
    return ops.softmax(weighted_mean(log_p, weights), axis=-1)


def _at_least(least, x):
    return ops.clip(x, least, float("inf"))  # `maximum` makes float32 of float64 on PyTorch


def vote_share(outputs, weights):
    """Weighted share of the members whose highest output is the class (one class: p > ½)."""
    classes = outputs.shape[-1]
    if classes == 1:
        return weighted_mean(ops.cast(outputs > 0.5, outputs.dtype), weights)
    votes = ops.one_hot(ops.argmax(outputs, axis=-1), classes, dtype=outputs.dtype)
    return weighted_mean(votes, weights)


COMBINE = {
    "probability": weighted_mean,
    "logit": weighted_mean,
    "geometric": geometric_mean,
    "vote": vote_share,
}


def combine(how, outputs, weights):
    """The members' outputs, a list of tensors or of structures of them, as one.

    In float32, or in float64 where one of them is; `weights` are a list or a tensor.
    """

    def one(*parts):
        dtype = common_dtype(parts)
        stacked = ops.stack([ops.cast(part, dtype) for part in parts])
        return COMBINE[how](stacked, ops.cast(ops.convert_to_tensor(weights), dtype))

    return keras.tree.map_structure(one, *outputs)


def common_dtype(tensors):
    """ "float64" where one of the tensors is, else "float32"; TypeError unless all are floats."""
    dtypes = {keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors}
    for dtype in dtypes:
        if not keras.backend.is_float_dtype(dtype):
            raise TypeError(
                f"members must give real numbers in floating point; got {dtype}: end them in "
                'probabilities or raw outputs, and whole numbers in keras.ops.cast(x, "float32").'
            )
    return "float64" if "float64" in dtypes else "float32"


def as_weights(shares, outputs):
    """The weights of the members as a tensor, as precise as the members' outputs."""
    return ops.convert_to_tensor([*shares.values()], common_dtype(keras.tree.flatten(outputs)))


def has_nan(outputs):
    """For each member and sample whether an output is NaN, as a tensor (members, samples)."""

    def of_member(output):
        flags = [
            ops.any(ops.reshape(ops.isnan(leaf), (ops.shape(leaf)[0], -1)), axis=1)
            for leaf in keras.tree.flatten(output)
        ]
        return ops.any(ops.stack(flags), axis=0)

    return ops.stack([of_member(output) for output in outputs])
