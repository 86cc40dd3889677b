"""Whether a task is similar, by which samples the linear probe of each depth gets right."""

import numpy as np

from keras_dcnn.diagnosis._shares import wilson

# By what share of its errors the second half of the network must surely do more than, for
# "similar", or surely less than, for "different". What was seen is told by `measure_similarity`.
SIMILAR, DIFFERENT = 0.1, 1 / 3
Z = 1.96  # 95 %
# By whether it surely saves more than SIMILAR, and less than DIFFERENT.
REASONS = {
    (True, False): (
        "similar",
        "{last} makes clearly fewer errors than {half}, so what the network learnt last helps",
    ),
    (False, True): (
        "different",
        "{last} is hardly better, if at all, than {half}, so what the network learnt last is not "
        "for this task",
    ),
    (True, True): (
        "cannot tell",
        "{last} makes a few errors fewer than {half}, which is in between",
    ),
    (False, False): (
        "cannot tell",
        "{last} makes neither surely fewer nor surely as many errors as {half}: more images would "
        "tell, where it still makes errors",
    ),
}


def verdict_of(names, right, share_of_largest):
    """The verdict and its reason; `right` has for each depth whether each sample is right."""
    half = max(range((len(names) + 1) // 2), key=lambda depth: right[depth].mean())
    last, n = right[-1], len(right[-1])
    accuracies = f"{100 * last.mean():.1f} against {100 * right[half].mean():.1f} % of {n:,} right"
    most = max(int(last.sum()), int(right[half].sum()))
    if wilson(most, n)[0] <= share_of_largest:
        return "cannot tell", (
            f"neither `{names[-1]}` nor `{names[half]}`, in the first half, is surely better than "
            f"to name the largest class each time ({accuracies}; {100 * share_of_largest:.1f} %)"
        )
    more = saves(last, right[half], SIMILAR)[1] < 0
    less = saves(last, right[half], DIFFERENT)[0] > 0
    verdict, reason = REASONS[more, less]
    pair = f"`{names[half]}`, in the first half ({accuracies})"
    return verdict, reason.format(last=f"`{names[-1]}`", half=pair)


def saves(last, half, share):
    """95 % interval of the mean of e_last − (1 − share) e_half, below 0 where G > share.

    Of pairs: the four cells of right and wrong, each with half a sample more, so that a few samples
    that agree are not certainty.
    """
    cells = np.array([[(~half & ~last).sum(), (~half & last).sum()], [(half & ~last).sum(), 0]])
    cells[1, 1] = len(last) - cells.sum()
    weights = (cells + 0.5) / (cells + 0.5).sum()
    values = np.array([[share, share - 1], [1, 0]])
    mean = (weights * values).sum()
    variance = (weights * (values - mean) ** 2).sum()
    spread = Z * np.sqrt(variance / (cells + 0.5).sum())
    return mean - spread, mean + spread
