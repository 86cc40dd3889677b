"""Spread: how far the members of an ensemble are apart, sample by sample."""

from typing import NamedTuple

import numpy as np

from keras_dcnn.ensemble.judging._scores import two_columns
from keras_dcnn.ensemble.judging._task import Task, task_of_outputs


class Spread(NamedTuple):
    """How far the members are apart on each sample: where not to trust the ensemble.

    The members agree about what they learnt and part where they did not: on rare classes and on
    images unlike those of the training. `Ensemble.predict_spread` measures it. Entropies are in
    nats; for members of raw outputs they and the disagreement are of their softmax (one output:
    sigmoid). For several labels, of sigmoids that do not sum to 1, they are means over the labels,
    each with the classes "no" and "yes", and for a class in each place means over the places. Of
    numbers that are no probabilities, as in regression, there is `standard_deviation` alone, and
    the others are NaN.

    Args:
        standard_deviation: (samples, …) of the members' outputs, weighted.
        disagreement: (samples,), the weighted share of members with another class than the mean.
        entropy: (samples,), H(mean): how uncertain the mean is, 0 to ln(classes).
        mutual_information: (samples,), H(mean) − mean H: what of that comes from the members'
            parting (epistemic) and not from the image (aleatoric).

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])

    ensemble = keras_dcnn.ensemble.Ensemble([build(), build()])
    spread = ensemble.predict_spread(np.ones((5, 4)))
    print(np.argsort(-spread.mutual_information))  # the most doubtful first
    ```

    Reference:
        Lakshminarayanan et al.: Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles (2017). https://arxiv.org/abs/1612.01474
    """

    standard_deviation: np.ndarray
    disagreement: np.ndarray
    entropy: np.ndarray
    mutual_information: np.ndarray


def spread(outputs, probabilities, weights, task=None):
    """The `Spread` of members' outputs (members, samples, …) and what they say in probabilities.

    The `Task` is that of the last activation, or None to tell it by the outputs.
    """
    outputs, p = np.asarray(outputs, "float64"), np.asarray(probabilities, "float64")
    around = outputs - np.tensordot(weights, outputs, 1)
    deviation = np.sqrt(np.tensordot(weights, around**2, 1))
    task = task or task_of_outputs(p)
    if task is Task.NUMBERS:
        return Spread(deviation, *np.full((3, p.shape[1]), np.nan))
    p = two_columns(p[..., None] if task is Task.SEVERAL_LABELS else p)
    p = p.reshape(*p.shape[:2], -1, p.shape[-1])
    mean = np.tensordot(weights, p, 1)
    other = p.argmax(-1) != mean.argmax(-1)
    of_mean, of_each = _entropy(mean), np.tensordot(weights, _entropy(p), 1)
    return Spread(
        deviation,
        np.tensordot(weights, other, 1).mean(-1),
        of_mean.mean(-1),
        np.maximum(of_mean - of_each, 0).mean(-1),
    )


def _entropy(p):
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1)
