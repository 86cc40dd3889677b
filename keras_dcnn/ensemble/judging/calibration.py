"""calibration: how right a model is, and how well it knows it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from numpy.typing import ArrayLike

from keras_dcnn._checks import check_count
from keras_dcnn._reading.batches import as_array
from keras_dcnn.ensemble.judging import _scores
from keras_dcnn.ensemble.judging._judged import judged


@dataclass(frozen=True)
class Calibration:
    """Accuracy and three measures of how far the probabilities can be believed.

    Printed, it is one line, and one more for each class that has a name; `dataclasses.asdict` makes
    it plain data for JSON.

    Args:
        accuracy: Share of right answers, 0 to 1; higher is better. For several labels each label of
            a sample is an answer.
        nll: Mean negative log-likelihood of the labels, in nats; lower is better.
        ece: Expected calibration error, 0 to 1; lower is better.
        brier: Brier score, 0 to 1 for two classes and for several labels, else 0 to 2; lower is
            better.
        classes: For each name of a class the `Calibration` of the question "is it this one?", or
            None without names.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.ensemble.Calibration(accuracy=0.9, nll=0.31, ece=0.02, brier=0.15))
    ```

    Reference:
        Guo et al.: On Calibration of Modern Neural Networks (2017).
        https://arxiv.org/abs/1706.04599
    """

    accuracy: float
    nll: float
    ece: float
    brier: float
    classes: "dict[str, Calibration] | None" = field(default=None, hash=False)

    def __str__(self):
        whole = (
            f"accuracy {self.accuracy:.4g}, NLL {self.nll:.4g}, ECE {self.ece:.4g}, "
            f"Brier {self.brier:.4g}"
        )
        return "\n".join([whole, *(f"{name}: {one}" for name, one in (self.classes or {}).items())])


def calibration(
    y: ArrayLike,
    probabilities: ArrayLike,
    bins: int = 15,
    class_names: Sequence[str] | None = None,
    sample_weight: ArrayLike | None = None,
) -> Calibration:
    """Measure accuracy, NLL, ECE and Brier score of predicted probabilities.

    An ensemble is worth its price as much for probabilities that can be believed as for accuracy,
    and the ways to combine members differ in that. Measure on data that nobody trained on or chose
    by.

    NLL = −mean log p(label), with p at least 2.2e-16, so that it is finite. ECE = Σ_b n_b/n ·
    |share right − mean confidence| over bins of equal width of the highest probability. Brier =
    mean Σₖ (pₖ − [k is the label])², for two classes half of that, as scikit-learn.

    Where a sample may have several labels, `y` is rows of 0 and 1, and `probabilities` those of
    sigmoids, which do not sum to 1. Each label of each sample is then a question of its own with
    the classes "no" and "yes", and all four are means over these: the accuracy is 1 − the Hamming
    loss, the NLL the binary cross-entropy, and the bins are over all labels.

    With names of classes, the same four for each class, of "is it this one?", which `p > ½`
    answers: which class's probabilities can be believed.

    Args:
        y: Labels, whole numbers of shape (samples,), one-hot rows, or for several labels rows of 0
            and 1. For a class in each place of a sample, as in segmentation, (samples, height,
            width), or rows there.
        probabilities: (samples, classes); (samples, 1) or (samples,) for two classes with one
            sigmoid output; (samples, height, width, classes) for places.
        bins: Number of bins of the ECE, ≥ 1.
        class_names: A name for each class or label, or None for the whole alone.
        sample_weight: A number ≥ 0 for each sample, or for each place or label; what has 0 is not
            looked at, and may be NaN. None for equal weights.

    Returns:
        A `Calibration`.

    Raises:
        ValueError: for labels that don't fit, NaN, values that are no probabilities, labels of
            several classes with probabilities of one, and names or weights that don't fit.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    p = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    print(keras_dcnn.ensemble.calibration([0, 1, 1, 1], p, class_names=["cat", "dog"]))
    ```

    Reference:
        Naeini et al.: Obtaining Well Calibrated Probabilities Using Bayesian Binning (2015), for
        the ECE. https://ojs.aaai.org/index.php/AAAI/article/view/9602
        Brier: Verification of Forecasts Expressed in Terms of Probability (1950).
        https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    p = as_array(probabilities)
    return measure(y, p[:, None] if p.ndim == 1 else p, bins, class_names, sample_weight)


def measure(y, probabilities, bins, class_names, sample_weight, task=None):
    """What `calibration` does, for a `Task` that may be known already."""
    check_count("bins", bins)
    found = judged("probabilities", probabilities, y, sample_weight, task=task)
    found.check_probabilities("calibration")
    classes = None
    if class_names is not None:
        names = _checked_names(class_names, found.num_classes)
        each = {name: found.against_rest(k) for k, name in enumerate(names)}
        classes = {name: _measured(*one, bins) for name, one in each.items() if len(one[0])}
    return _measured(found.y, found.predictions, found.weights, bins, classes)


def _measured(y, p, weights, bins, classes=None):
    return Calibration(
        accuracy=_scores.accuracy(y, p, weights),
        nll=_scores.log_loss(y, p, weights),
        ece=_scores.expected_calibration_error(y, p, weights, bins),
        brier=_scores.brier(y, p, weights),
        classes=classes,
    )


def _checked_names(names, count):
    listed = hasattr(names, "__iter__") and not isinstance(names, str)
    texts = [str(name) for name in names] if listed else []
    if len(texts) != count or len(set(texts)) < count:
        raise ValueError(
            f"`class_names` must be different names, one for each of {count} classes or labels; "
            f"got {texts if listed else repr(names)}."
        )
    return texts
