"""Linear heads on rows of features, with the regularisation chosen on held-out rows."""

from typing import NamedTuple

import numpy as np

from keras_dcnn._checks import check_choice
from keras_dcnn._reading.labels import check_each_class
from keras_dcnn.fine_tuning import _linear_models as linear

HEADS = tuple(linear.GRIDS)


class Head(NamedTuple):
    """A linear head: softmax(rows @ kernel + bias) are probabilities."""

    kernel: np.ndarray  # (channels, classes) in float64, for rows as they are
    bias: np.ndarray  # (classes,)
    C: float  # for rows of a mean square of 1
    accuracy: float  # of held-out rows
    right: np.ndarray  # for each held-out row whether it is right
    losses: np.ndarray  # and its cross-entropy
    weights: np.ndarray  # and its weight

    @property
    def loss(self):
        """The mean cross-entropy of the held-out rows, in nats."""
        return float(np.average(self.losses, weights=self.weights))


def fit_head(
    rows,
    y,
    held_out=None,
    head="logistic",
    *,
    num_classes=None,
    sample_weight=None,
    widths=None,
    share=1.0,
):
    """Fit a linear head to rows of features.

    Features are standardised. Of a grid of C, the inverse of the strength of L2, it takes the one
    with the least cross-entropy on held-out rows, of several the strongest regularisation: of few
    rows the accuracy is too coarse. Where no rows are held out, stratified folds of these are, and
    the head is then fitted to all.

    "logistic" is scikit-learn's multinomial LogisticRegression; "svm" its LinearSVC, each class
    against the rest. Scores are divided by a temperature that is fitted to the held-out rows, so
    that their softmax stands for probabilities, of an SVM too; it changes no class.

    Args:
        rows: (samples, channels).
        y: Classes, (samples,), from 0.
        held_out: `(rows, y)` or `(rows, y, sample_weight)` to choose by, or None.
        head: "logistic" or "svm".
        num_classes: Number of classes; None for the highest in `y` and one.
        sample_weight: (samples,), or None.
        widths: How many of the channels are of each layer, so that all count alike; None for one.
        share: Of the channels, those of the highest relevance to these classes are taken.
    """
    check_choice("head", head, HEADS)
    num_classes = int(max(y)) + 1 if num_classes is None else num_classes
    y, weights = check_rows("the rows", num_classes, rows, y, sample_weight)
    check_each_class("the data", np.bincount(y, minlength=num_classes))
    with linear.one_thread():
        standard = linear.Standardized(rows, weights, widths or [rows.shape[1]])
        everything = np.arange(len(y))
        if held_out is None:
            folds, judged = linear.folds_of(y), (standard.rows, y, weights)
        else:
            judged = check_rows("the held-out rows", num_classes, *held_out)
            folds = [(everything, np.arange(len(judged[0])))]
            judged = standard.of(held_out[0]), *judged
        learnt = standard.rows, y, weights
        best = _best(head, learnt, judged, folds, num_classes, share)
        columns = linear.Selected(*learnt, share)
        model = linear.estimator(head).set_params(C=best.C)
        fitted = linear.fitted(model, columns.of(standard.rows), y, weights)
        kernel, bias = linear.coefficients(fitted)
        kernel, bias = standard.undone(columns.undone(kernel), bias)
    return best._replace(kernel=kernel / best.kernel, bias=bias / best.kernel)


def _best(head, learnt, judged, folds, num_classes, share):
    """The Head of the best C, with its temperature in place of the kernel."""
    rows, y, weights = judged
    scores = np.full((len(linear.GRIDS[head]), len(y), num_classes), np.nan)
    for train, test in folds:
        part = [one[train] for one in learnt]
        columns = linear.Selected(*part, share)
        found = linear.path(head, columns.of(part[0]), *part[1:])
        for of_rows, (kernel, bias) in zip(scores, found, strict=True):
            of_rows[test] = columns.of(rows[test]) @ kernel + bias
    told = np.isfinite(scores[0]).all(axis=1)  # a class of one row is never held out
    if not told.any():
        raise ValueError(
            "there must be a class of at least two samples, so that one can be held out; all "
            f"{num_classes} have one: give `validation_data`."
        )
    y, weights, heads = y[told], weights[told], []
    for C, of_rows in zip(linear.GRIDS[head], scores[:, told], strict=True):
        t, losses = linear.calibrated(of_rows, y, weights)
        right = of_rows.argmax(axis=1) == y
        accuracy = float(np.average(right, weights=weights))
        heads.append(Head(t, None, C, accuracy, right, losses, weights))
    return min(heads, key=lambda one: one.loss)  # the first of ties


def check_rows(name, num_classes, rows, y, sample_weight=None):
    """Classes and weights, of mean 1, as arrays; ValueError for what can't be learnt from."""
    y = np.asarray(y)
    if len(rows) != len(y) or not len(y):
        raise ValueError(
            f"{name} must be at least one, with a label each; got {len(rows)} rows and {len(y)} "
            "labels."
        )
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
