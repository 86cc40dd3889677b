"""Which samples an epoch draws, and in which order: pure NumPy."""

import numpy as np

from keras_dcnn._checks import check_choice, check_count

MODES = ("over", "under", "sqrt", "progressive")


def epoch_counts(counts, mode, epoch=0, epochs=None):
    """How many of each class the epoch draws; of a class without samples none.

    "over" and "under" draw as many of each class as the largest and the smallest have, the others
    as many in all as there are samples: "sqrt" in shares ∝ √count, "progressive" in shares that go
    from the natural ones at the first of `epochs` to equal ones at the last.
    """
    counts = np.asarray(counts)
    present = counts > 0
    if not isinstance(mode, str):
        return _given_counts(counts, mode)
    check_choice("mode", mode, MODES)
    if mode in ("over", "under"):
        number = counts.max() if mode == "over" else counts[present].min()
        return np.where(present, number, 0)
    equal, natural = present / present.sum(), counts / counts.sum()
    if mode == "sqrt":
        shares = np.sqrt(counts) / np.sqrt(counts).sum()
    else:
        done = min(1.0, epoch / max(1, epochs - 1))
        shares = (1 - done) * natural + done * equal
    return rounded(shares, counts.sum())


def _given_counts(counts, mode):
    """The numbers that a list, or a dict by class, gives; without one a class keeps its own."""
    if isinstance(mode, dict):
        for number in mode:
            if number not in range(len(counts)):
                raise ValueError(
                    f"`mode` as a dict must have classes from 0 to {len(counts) - 1} as keys; got "
                    f"{number!r}."
                )
        mode = [mode.get(number, count) for number, count in enumerate(counts)]
    if np.shape(mode) != counts.shape:
        raise ValueError(
            f"`mode` must be one of {', '.join(map(repr, MODES))}, or a number for each of "
            f"{len(counts)} classes; got {mode!r}."
        )
    for number, (wanted, count) in enumerate(zip(mode, counts, strict=True)):
        check_count(f"mode[{number}]", wanted, minimum=0)
        if wanted and not count:
            raise ValueError(f"`mode` must be 0 for class {number}, of no sample; got {wanted}.")
    if not 0 < sum(map(int, mode)) < 2**31:
        raise ValueError(
            f"`mode` must draw at least one sample an epoch, and fewer than 2³¹; got {mode!r}."
        )
    return np.array(mode, "int64")


def rounded(shares, total):
    """Whole numbers of this sum in these shares: the largest remainders are rounded up."""
    exact = np.asarray(shares) * total
    whole = np.floor(exact + 1e-9).astype("int64")
    up = np.argsort(np.round(whole - exact, 9), kind="stable")[: total - whole.sum()]
    whole[up] += 1
    return whole


def members(classes, num_classes, rng):
    """For each class its samples, in the order in which epochs walk through them."""
    mixed = rng.permutation(len(classes))
    mixed = mixed[_by_class(classes[mixed])]
    counts = np.bincount(classes, minlength=num_classes)
    return np.split(mixed, np.cumsum(counts)[:-1])


def _by_class(classes):
    """Positions sorted by class; of 16 bits and less NumPy sorts ten times as fast."""
    narrow = classes.astype(np.min_scalar_type(int(classes.max(initial=0))))
    return np.argsort(narrow, kind="stable")


def draw(of_class, wanted, walked):
    """The samples of an epoch, class by class, of `members`.

    Of n samples of which w are wanted each comes ⌊w/n⌋ times, and w mod n of them once more: those
    behind the `walked` that earlier epochs took so, round and round. So none comes more than once
    more often than another of its class, and all have their turn before one has its second.
    """
    drawn = []
    for samples, number, before in zip(of_class, wanted, walked, strict=True):
        if number:
            whole, more = divmod(int(number), len(samples))
            turn = (int(before) + np.arange(more)) % len(samples)
            drawn += [np.tile(samples, whole), samples[turn]]
    return np.concatenate(drawn)


def arranged(indices, classes, batch_size, per_batch, rng):
    """The samples of an epoch in the order of its batches; the last may be a part of one.

    "balanced" deals each class out to the batches like cards: two whole batches differ by at most
    one in the number of a class, and where all classes are drawn alike and the batch is a multiple
    of their number, each batch has equally many of each.
    """
    indices = rng.permutation(indices)
    batches, rest = divmod(len(indices), batch_size)
    if per_batch is None or not batches:
        return indices
    rank = rng.permutation(int(classes.max()) + 1)  # which classes get the odd places
    indices = indices[_by_class(rank[classes[indices]])]
    spread = np.zeros(len(indices), bool)  # evenly, so by class, for the last part-batch
    spread[np.arange(rest) * len(indices) // max(rest, 1)] = True
    dealt = indices[~spread].reshape(batch_size, batches)[rng.permutation(batch_size)]
    return np.concatenate([dealt.T.ravel(), rng.permutation(indices[spread])])
