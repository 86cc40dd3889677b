"""calibration: how right a model is, and how well it knows it."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from keras_dcnn._checks import check_count
from keras_dcnn.ensemble.judging import _scores
from keras_dcnn.ensemble.judging._predictions import as_labels, as_predictions, check_probabilities


@dataclass(frozen=True)
class Calibration:
    """Accuracy and three measures of how far the probabilities can be believed.

    Printed, it is one line; `dataclasses.asdict` makes it plain data for JSON.

    Args:
        accuracy: Share of right answers, 0 to 1; higher is better.
        nll: Mean negative log-likelihood of the labels, in nats; lower is better.
        ece: Expected calibration error, 0 to 1; lower is better.
        brier: Brier score, 0 to 1 for two classes, else 0 to 2; lower is better.

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

    def __str__(self):
        return (
            f"accuracy {self.accuracy:.4g}, NLL {self.nll:.4g}, ECE {self.ece:.4g}, "
            f"Brier {self.brier:.4g}"
        )


def calibration(y: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> Calibration:
    """Measure accuracy, NLL, ECE and Brier score of predicted probabilities.

    An ensemble is worth its price as much for probabilities that can be believed as for accuracy,
    and the ways to combine members differ in that. Measure on data that nobody trained on or chose
    by.

    NLL = −mean log p(label), with p at least 2.2e-16, so that it is finite. ECE = Σ_b n_b/n ·
    |share right − mean confidence| over bins of equal width of the highest probability. Brier =
    mean Σₖ (pₖ − [k is the label])², for two classes half of that, as scikit-learn.

    Args:
        y: Labels, whole numbers of shape (samples,), or one-hot rows.
        probabilities: (samples, classes), or (samples, 1) for two classes with one sigmoid output.
        bins: Number of bins of the ECE, ≥ 1.

    Returns:
        A `Calibration`.

    Raises:
        ValueError: for labels that don't fit, NaN, and values that are no probabilities.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    p = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    print(keras_dcnn.ensemble.calibration([0, 1, 1, 1], p))
    ```

    Reference:
        Naeini et al.: Obtaining Well Calibrated Probabilities Using Bayesian Binning (2015), for
        the ECE. https://ojs.aaai.org/index.php/AAAI/article/view/9602
        Brier: Verification of Forecasts Expressed in Terms of Probability (1950).
        https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    check_count("bins", bins)
    p = as_predictions("probabilities", probabilities, ("samples", "classes"))
    check_probabilities("probabilities", p, "calibration")
    y = as_labels(y, *p.shape)
    return Calibration(
        accuracy=_scores.accuracy(y, p),
        nll=_scores.log_loss(y, p),
        ece=_scores.expected_calibration_error(y, p, bins),
        brier=_scores.brier(y, p),
    )
