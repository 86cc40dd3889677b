"""Linear heads on rows of features, with the regularisation chosen on held-out rows."""

from typing import NamedTuple

import numpy as np

from keras_dcnn._checks import check_choice
from keras_dcnn.fine_tuning import _linear_models as linear

HEADS = ("logistic", "svm")


class Head(NamedTuple):
    """A linear head: softmax(rows @ kernel + bias) are probabilities."""

    kernel: np.ndarray  # (channels, classes) in float64, for rows as they are
    bias: np.ndarray  # (classes,)
    C: float
    accuracy: float  # of held-out rows
    right: np.ndarray  # for each held-out row 1.0 or 0.0; NaN where a fold held none out


def fit_head(rows, y, held_out=None, head="logistic", *, num_classes=None, sample_weight=None):
    """Fit a linear head to rows of features.

    Features are standardised. Of a grid of C, the inverse of the strength of L2, it takes the one
    with the highest accuracy on held-out rows; of several that with the strongest regularisation.
    Where no rows are held out, stratified folds of these are, and the head is then fitted to all.

    "logistic" is scikit-learn's multinomial LogisticRegression; "svm" its LinearSVC, each class
    against the rest. The softmax of its decision values, divided by a temperature that is fitted to
    the held-out rows, stands for probabilities, and does not change which class is highest.

    Args:
        rows: (samples, channels).
        y: Classes, (samples,), from 0.
        held_out: `(rows, y)` or `(rows, y, sample_weight)` to choose C by, or None.
        head: "logistic" or "svm".
        num_classes: Number of classes; None for the highest in `y` and one.
        sample_weight: (samples,), or None.
    """
    check_choice("head", head, HEADS)
    num_classes = int(max(y)) + 1 if num_classes is None else num_classes
    y, weights = check_rows("the rows", num_classes, rows, y, sample_weight)
    check_each_class(y, num_classes)
    with linear.one_thread():
        scaled = linear.Scaled(rows, weights)
        if held_out is None:
            folds, judged, judged_y, judged_weights = linear.folds_of(y), scaled.rows, y, weights
        else:
            judged_y, judged_weights = check_rows("the held-out rows", num_classes, *held_out)
            folds, judged = [(slice(None), slice(None))], scaled.of(held_out[0])
        scores = np.full((len(linear.GRID), len(judged_y), num_classes), np.nan)
        for train, test in folds:
            path = linear.path(head, scaled.rows[train], y[train], weights[train])
            for i, (kernel, bias) in enumerate(path):
                scores[i, test] = judged[test] @ kernel + bias
        right = np.where(np.isnan(scores[..., 0]), np.nan, scores.argmax(-1) == judged_y)
        accuracies = [mean_of(one, judged_weights) for one in right]
        best = int(np.argmax(accuracies))  # the first of several
        model = linear.estimator(head).set_params(C=linear.GRID[best])
        fitted = linear.fitted(model, scaled.rows, y, weights)
        kernel, bias = scaled.unscaled(*linear.coefficients(fitted))
    if head == "svm":
        t = linear.temperature(scores[best], judged_y, judged_weights)
        kernel, bias = kernel / t, bias / t
    return Head(kernel, bias, linear.GRID[best], accuracies[best], right[best])


def mean_of(right, weights):
    """The share of the held-out rows that are right."""
    told = ~np.isnan(right)
    return float(np.average(right[told], weights=weights[told]))


def check_rows(name, num_classes, rows, y, sample_weight=None):
    """Classes and weights, of mean 1, as arrays; ValueError for what can't be learnt from."""
    y = np.asarray(y)
    if len(rows) != len(y):
        raise ValueError(f"{name} must have a label each; got {len(rows)} rows, {len(y)} labels.")
    wrong = ~np.isfinite(rows).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{name} must be finite; got NaN or infinity in row {int(np.argmax(wrong))}: look for "
            "it in the images and in the weights of the network."
        )
    if ((y < 0) | (y >= num_classes)).any():
        raise ValueError(
            f"labels must be whole numbers from 0 to {num_classes - 1}; got "
            f"{y.min() if y.min() < 0 else y.max()} in {name}: number the classes from 0, and hold "
            "out only such as are trained on."
        )
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, "float64")
    return y.astype("int64"), weights / weights.mean()


def check_each_class(y, num_classes):
    """Raise ValueError for one class, and for a class without a row."""
    counts = np.bincount(y, minlength=num_classes)
    if (counts > 0).sum() < 2:
        raise ValueError(
            f"there must be samples of at least two classes; all {len(y)} are of class {y[0]}: "
            "there is nothing to tell apart."
        )
    if not counts.all():
        raise ValueError(
            f"each of the {num_classes} classes must have samples; class {int(counts.argmin())} "
            "has none: add some, or number the classes without it."
        )
