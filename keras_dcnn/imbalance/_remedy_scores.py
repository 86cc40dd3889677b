"""How good predictions are where some classes are rare, and how sure that is; NumPy only."""

import numpy as np

_EPSILON = np.finfo("float64").eps  # as scikit-learn: p = 0 costs 36 nats, which is finite
_SIZES = ("many", "medium", "few")


def groups_by_count(counts):
    """The classes in thirds, {"many": …, "medium": …, "few": …}, by their training samples.

    The first thirds have one more where it does not come out even, of equal counts the lower class
    comes first. Of two classes one has many, one few.
    """
    order = np.argsort(-np.asarray(counts), kind="stable")
    names = _SIZES if len(order) > 2 else ("many", "few")
    thirds = np.array_split(order, len(names))
    return {name: tuple(sorted(one.tolist())) for name, one in zip(names, thirds, strict=True)}


def scores_of(y, p, groups):
    """Scores by name, of labels (samples,) of which each class occurs, and probabilities.

    Recall of a group is the mean of its classes'. F1 of a class that is never right is 0.
    """
    predicted, classes = p.argmax(1), p.shape[1]
    counts, answers = (np.bincount(one, minlength=classes) for one in (y, predicted))
    right = np.bincount(y[predicted == y], minlength=classes)
    recall = right / counts
    of_label = np.maximum(p[np.arange(len(y)), y].astype("float64"), _EPSILON)
    return {
        "accuracy": float(right.sum() / len(y)),
        "balanced_accuracy": float(recall.mean()),
        **{name: float(recall[list(group)].mean()) for name, group in groups.items()},
        "macro_f1": float((2 * right / (counts + answers)).mean()),
        "nll": float(-np.log(of_label).mean()),
    }


def interval(values):
    """(mean, low, high) of two or more numbers: the 95 % interval of the mean, by Student's t."""
    from scipy import stats  # comes with scikit-learn

    values = np.asarray(values, "float64")
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    mean = values.mean()
    return float(mean), float(mean - half), float(mean + half)


def adjusted(p, log_priors, tau):
    """p / π^τ, divided by its sum, as of the model that `adjust_logits` returns."""
    logits = np.log(np.maximum(p.astype("float64"), np.finfo("float32").tiny)) - tau * log_priors
    return softmax(logits)


def softmax(logits):
    """Probabilities, (samples, classes)."""
    return np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
