"""The formulas by which members' outputs become one."""

import keras

ops = keras.ops
TINY = 1e-30  # log of a probability that underflowed to 0 stays finite
ROUNDED = 6e-8  # half of float32's step below 1: what lies nearer to 1 is 1, and to 0 counts alike


def weighted_mean(outputs, weights):
    """Σₘ wₘ yₘ over the first axis of `outputs`, which is (members, …)."""
    return ops.tensordot(weights, outputs, axes=1)


def geometric_mean(probabilities, weights):
    """Πₘ pₘ^wₘ, normalised over the classes (one class: over it and its complement)."""
    if probabilities.shape[-1] == 1:
        p, q = (ops.maximum(one, ROUNDED) for one in (probabilities, 1 - probabilities))
        return ops.sigmoid(weighted_mean(ops.log(p) - ops.log(q), weights))
    log_p = ops.log(ops.maximum(probabilities, TINY))
    return ops.softmax(weighted_mean(log_p, weights), axis=-1)


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
    """The members' outputs, a list of tensors or of structures of them, as one, in float32."""

    def one(*parts):
        return COMBINE[how](ops.cast(ops.stack(parts), "float32"), weights)

    return keras.tree.map_structure(one, *outputs)


def has_nan(outputs):
    """For each member and sample whether an output is NaN, as a tensor (members, samples)."""

    def of_member(output):
        flags = [
            ops.any(ops.reshape(ops.isnan(leaf), (ops.shape(leaf)[0], -1)), axis=1)
            for leaf in keras.tree.flatten(output)
        ]
        return ops.any(ops.stack(flags), axis=0)

    return ops.stack([of_member(output) for output in outputs])
