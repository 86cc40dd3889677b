"""diagnose: what the curves of a training say is wrong with it."""

from typing import Any

from keras_dcnn._checks import check_count, check_number
from keras_dcnn.diagnosis._curves.batch_mistakes import find_wide_batches
from keras_dcnn.diagnosis._curves.chance_mistakes import (
    find_chance,
    find_one_accuracy,
    find_validation_at_chance,
)
from keras_dcnn.diagnosis._curves.course_mistakes import (
    find_not_converged,
    find_plateau,
    find_spikes,
    find_too_short,
)
from keras_dcnn.diagnosis._curves.fit_mistakes import (
    find_no_validation,
    find_overfitting,
    find_underfitting,
    find_validation_better,
)
from keras_dcnn.diagnosis._curves.loss_mistakes import (
    find_constant,
    find_negative,
    find_not_finite,
    find_saturated,
)
from keras_dcnn.diagnosis._curves.rate_mistakes import find_rate
from keras_dcnn.diagnosis._curves.reading import read_curves
from keras_dcnn.diagnosis.finding import Finding, worst_first

_RULES = (
    find_not_finite,
    find_negative,
    find_constant,
    find_saturated,
    find_chance,
    find_one_accuracy,
    find_validation_at_chance,
    find_rate,
    find_overfitting,
    find_underfitting,
    find_validation_better,
    find_no_validation,
    find_wide_batches,
    find_spikes,
    find_plateau,
    find_not_converged,
    find_too_short,
)


def diagnose(
    history: Any,
    *,
    batch_losses: Any = None,
    batch_size: int | None = None,
    num_classes: int | None = None,
    majority_share: float | None = None,
) -> list[Finding]:
    """What the curves of a training say: the learning rate, the fit, the batch size, the end.

    For the moment when `fit` has ended, or a run's file lies there, and one wonders what to change.
    It reads numbers only: no model, no data, no Keras. The worst findings come first.

    By the `rule` of what it finds:

    - `not_finite`: NaN or ∞, from which epoch on; `negative_loss`: as no cross-entropy is, an
      "error" below −1 beside an accuracy; `constant_loss`: the same to five digits from the first
      fifth of the run on; `saturated_outputs`: the loss is 16.1 = −ln 10⁻⁷ times the share of
      mistakes, so that all of them are made with certainty;
    - `chance`, `majority_class`: an accuracy up to 1/C·(1 + 0.3·(1 − 1/C)), or of `majority_share`,
      at the end; without `num_classes` C is exp(loss), if the accuracy fits; `constant_accuracy`:
      one validation accuracy in every epoch; `validation_at_chance`: though training learns;
    - `learning_rate_too_high`: the loss rises, jumps up in a fifth of the epochs, or is stuck after
      a first epoch far above chance; `learning_rate_high`: nine tenths of the fall in two fifths of
      the epochs, then rough, flat and high; `learning_rate_low`: falls slowly and nearly straight;
      `learning_rate_good`: falls by half and more, fast, then smoothly;
    - `overfitting`: the validation loss rises from its least on, or its accuracy is .1 behind, .07
      where training is above .9; `underfitting`: training stalls below an accuracy of .75, or
      above half of the first loss, and validation is no worse; `validation_better`: by a tenth of
      the loss; `no_validation`;
    - `wide_batch_losses`: see below; `spikes`: single epochs; `plateau`: how long without 1 % of
      improvement; `not_converged`: still falling at the end; `too_short`: fewer than 5 epochs.

    An "error" is a training that has learned nothing so far. Every other doubt is a "warning" or an
    "info", with a `confidence`: a curve that stalls high does so by its rate, by a small network or
    by noisy labels, and nothing in it says which. No finding about the rate means that it can't be
    told. Rules about the fit, the rate and the end need 5 epochs; 10 for an "error" about chance.

    Statistics are robust: medians, of the last third for "the end" and of three neighbours for the
    least; Theil and Sen's slope; Mann and Kendall's test, |z| > 2; noise by the median distance
    from the mean of both neighbours. A training loss is a mean over an epoch, and is taken half an
    epoch later where it is compared with validation. Of more than 200 epochs, block means count.

    The width of the curve of batches is the deviation σ of a batch's loss, by its distance from
    the next, as the median over 30 blocks. Above a tenth of the curve's fall it is wide, and since
    σ² goes with 1/B, it would be 3 % of the fall, as in healthy trainings at 32, with
    B·(σ / (0.03·fall))² images. McCandlish's B = tr Σ / ‖G‖², beyond which larger batches bring
    little, is made of gradients' noise: it cannot be told from losses, of however many batches,
    and nothing here guesses it.

    Args:
        history: What `fit` returned, or a dict of lists by epoch with `"loss"` and what there is of
            `"val_loss"`, an accuracy (0 to 1) with its `val_` twin, and `"learning_rate"`; a list
            of losses by epoch; a `callbacks.CurveRecorder`; or the path of a CSVLogger's or a
            CurveRecorder's file, or of the folder of Keras's TensorBoard (needs tensorboard).
        batch_losses: Losses of single batches: a list, a CurveRecorder, or the path of its file.
        batch_size: Images in a batch, ≥ 1.
        num_classes: Number of classes, ≥ 2; None infers it where loss and accuracy are at chance.
        majority_share: The largest class's share of the samples, above 0 and below 1, as
            `np.bincount(y).max() / len(y)`.

    Returns:
        A list of `Finding`, the worst first.

    Raises:
        TypeError: for what holds no curves.
        ValueError: for what can't be read, is no list of numbers, or has lists of other lengths.
        ImportError: for a TensorBoard folder without the package tensorboard.

    Example:

    ```python
    import keras_dcnn

    history = {"loss": [2.31, 2.26, 2.22, 2.17, 2.13, 2.1]}
    for finding in keras_dcnn.diagnosis.diagnose(history):
        print(finding)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 7.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        McCandlish et al.: An Empirical Model of Large-Batch Training (2018), section 2 and
        appendix A. https://arxiv.org/abs/1812.06162
        Sen: Estimates of the regression coefficient based on Kendall's tau (1968).
        https://doi.org/10.1080/01621459.1968.10480934
    """
    _check(batch_size, num_classes, majority_share)
    curves = read_curves(
        history,
        batch_losses,
        batch_size=batch_size,
        num_classes=num_classes,
        majority_share=majority_share,
    )
    return worst_first(finding for find in _RULES for finding in find(curves))


def _check(batch_size, num_classes, majority_share):
    if batch_size is not None:
        check_count("batch_size", batch_size)
    if num_classes is not None:
        check_count("num_classes", num_classes, minimum=2)
    if majority_share is not None:
        check_number("majority_share", majority_share, above=0, below=1)
