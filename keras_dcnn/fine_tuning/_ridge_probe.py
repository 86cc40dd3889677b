"""A linear probe in closed form: which samples it gets right that it was not fitted to."""

import numpy as np

from keras_dcnn.fine_tuning._transferability import ROWS

# Strengths of L2, in units of the mean eigenvalue.
STRENGTHS = 10.0 ** np.arange(-5, 3)


def ridge_probe(features, of, y):
    """For each sample whether the ridge classifier that is fitted to all others is right.

    Of features, their `Moments` and labels. Least squares to one-hot rows of standardised features,
    with the L2 of the best generalised cross-validation. Leaving a sample out has a closed form,
    and nothing is drawn. What a class loses of its share by the sample left out is given back, or
    features that know nothing would be wrong each time rather than at chance.
    """
    n, scale = len(y), _scale(of)
    s2, v = np.linalg.eigh(of.scatter * np.outer(scale, scale))
    kept = s2 > max(n, len(s2)) * np.finfo("float64").eps * s2[-1]
    s2, v = s2[kept], v[:, kept] * scale[:, None]
    onto_classes = v.T @ of.sums
    penalty = _best_penalty(s2, onto_classes, of)
    of_classes, shares = np.unique(y, return_inverse=True)[1], of.counts / n
    right = np.zeros(n, bool)
    for start in range(0, n, ROWS):
        x = (features[start : start + ROWS] - of.mean) @ v
        labels = of_classes[start : start + ROWS]
        leverage = 1 / n + (x**2 / (s2 + penalty)).sum(1, keepdims=True)
        target = np.eye(len(shares))[labels] - shares
        left_out = target - (target - x @ (onto_classes / (s2 + penalty)[:, None])) / (1 - leverage)
        answer = left_out + target / (n - 1) + shares
        right[start : start + ROWS] = answer.argmax(1) == labels
    return right


def _scale(of):
    """1 / standard deviation of each channel; 0 of one that is constant but for rounding."""
    deviation = np.sqrt(np.diag(of.scatter) / of.num_samples)
    varies = deviation > 1e-7 * np.abs(of.mean)
    return np.where(varies, 1 / np.where(varies, deviation, 1), 0)


def _best_penalty(s2, onto_classes, of):
    """The L2 with the lowest ‖residuals‖² / (1 − tr(H) / n)², GCV of Golub, Heath and Wahba."""
    if not len(s2):
        return 1.0
    n = of.num_samples
    z2, total = np.square(onto_classes).sum(1) / s2, n - np.square(of.counts).sum() / n
    penalties = STRENGTHS * s2.mean()
    kept = s2 / (s2 + penalties[:, None])
    residuals = total - ((2 * kept - kept**2) * z2).sum(1)
    freedom = 1 - (1 + kept.sum(1)) / n
    return penalties[np.argmin(residuals / freedom**2)]
