"""examine_predictions: what an accuracy hides, such as that one class is always the answer."""

from collections.abc import Sequence

from numpy.typing import ArrayLike

from keras_dcnn.diagnosis._predictions.answers import read_answers
from keras_dcnn.diagnosis._predictions.class_mistakes import (
    find_few_samples,
    find_low_recall,
    find_never_predicted,
    find_one_class,
)
from keras_dcnn.diagnosis._predictions.majority import find_no_better
from keras_dcnn.diagnosis.finding import Finding

_RULES = (
    find_one_class,
    find_no_better,
    find_never_predicted,
    find_low_recall,
    find_few_samples,
)


def examine_predictions(
    y: ArrayLike, predictions: ArrayLike, class_names: Sequence[str] | None = None
) -> list[Finding]:
    """What an accuracy on test data hides: 99 % is no success where 99 of 100 images are cats.

    By the `rule` of what it finds:

    - `majority_class`: the accuracy is not surely above that of always naming the largest class.
      The two are compared on the samples where one is right and the other wrong (McNemar's exact
      test, 95 %). An "error" where the balanced accuracy, the mean recall of the classes, is not
      surely above chance either, and there are samples enough to say so or one class is nearly
      always the answer; else a "warning";
    - `chance`: the same of test data with as many samples of each class, to 10 %;
    - `never_predicted`: classes of which there are samples, and that are never the answer;
    - `low_recall`: classes of which surely less than half as much is found as of the others
      (Wilson's intervals, for all classes at once);
    - `few_samples`: classes with fewer than 5 samples, about which a test can say little: "info";
    - `one_class`: all samples are of one class.

    The balanced accuracy's interval is made from Wilson's of each recall, after Zou and Donner.

    Args:
        y: True classes from 0, (samples,) or (samples, 1), or one-hot rows.
        predictions: Of the same samples: probabilities or logits (samples, classes), those of one
            sigmoid, (samples, 1) or (samples,), or the predicted classes as integers. Numbers of
            one output that all lie between 0 and 1 are taken for probabilities.
        class_names: Names of the classes, for the sentences; None says "class 3".

    Returns:
        A list of `Finding`, empty where nothing is to be said.

    Raises:
        ValueError: for no samples, other numbers of samples, NaN, and labels or names that don't
            fit the columns.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    y = np.repeat([0, 1], [100, 5])
    always_cat = np.tile([0.9, 0.1], (105, 1))
    for finding in keras_dcnn.diagnosis.examine_predictions(y, always_cat, ["cat", "dog"]):
        print(finding)
    ```

    Reference:
        McNemar: Note on the sampling error of the difference between correlated proportions or
        percentages (1947). https://doi.org/10.1007/BF02295996
        Zou, Donner: Construction of confidence limits about effect measures (2008).
        https://doi.org/10.1002/sim.3095
    """
    answers = read_answers(y, predictions, class_names)
    return [finding for find in _RULES for finding in find(answers)]
