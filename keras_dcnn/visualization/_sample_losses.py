"""The loss of each sample, of probabilities or logits."""

import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn.imbalance._remedy_scores import softmax

_LEAST = np.finfo("float64").eps


def probabilities(predictions):
    """Rows of probabilities in float64, of probabilities or logits that `read_pairs` has passed.

    Numbers that all lie between 0 and 1 are taken for probabilities, others for logits. ValueError
    for predicted classes, which have no loss.
    """
    scores = as_array(predictions)
    if scores.dtype.kind in "biu" and scores.size == len(scores):
        raise ValueError(
            "`predictions` must be probabilities or logits, by which the worst are found; got "
            f"classes, {scores.dtype}: give what `model.predict` returns."
        )
    scores = scores.astype("float64").reshape(len(scores), -1)
    are_probabilities = scores.min() >= 0 and scores.max() <= 1
    if scores.shape[1] == 1:  # a sigmoid is the softmax beside a logit of 0
        scores = np.concatenate([1 - scores if are_probabilities else 0 * scores, scores], 1)
    return scores if are_probabilities else softmax(scores)


def sample_losses(y, p):
    """−log p(y) of each sample, finite."""
    return -np.log(np.maximum(p[np.arange(len(y)), y], _LEAST))
