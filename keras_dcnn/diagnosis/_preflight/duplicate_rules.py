"""The same sample in training and validation, or with several labels."""

import numpy as np

from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn.diagnosis._preflight.input_rules import single_array
from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding

_NUMBERS = 64  # of a sample; shorter ones, as the rows of a table, may well be equal
_LOOK = 256  # numbers in the middle of each, by which nearly all are told apart
_MOST = 200_000  # samples that are looked at, evenly spread
_AT_ONCE = 4096
_MANY = 0.01  # of the samples: a warning
_EXAMPLES = 5


def find_duplicates(subject):
    """Samples of the training that are in the validation too, or come with several labels."""
    x, pair = single_array(subject.x), subject.validation_data
    if x is None or x[:1].size < _NUMBERS:
        return
    other = single_array(pair[0]) if isinstance(pair, (tuple, list)) and pair else None
    if other is not None and other.shape[1:] != x.shape[1:]:
        other = None
    # Of each array, and of every so many samples of it.
    steps = [(one, -(-len(one) // _MOST)) for one in (x, other) if one is not None]
    groups = _equal_samples([one[::step] for one, step in steps])
    if other is not None:
        yield from _in_validation(groups, *(step for _, step in steps), len(other))
    yield from _of_several_labels(subject, groups, steps[0][1], len(x))


def _in_validation(groups, step, step_of_other, samples):
    pairs = [
        (ours[0] * step, place * step_of_other)
        for ours, others in groups
        if ours
        for place in others
    ]
    if not pairs:
        return
    share = len(pairs) * step_of_other / samples
    message = (
        f"{len(pairs)} of {-(-samples // step_of_other)} validation samples ({percent(share, 1)}) "
        f"are in the training as well, such as {_listed(place for _, place in pairs)}, so that the "
        "validation seems better than it is"
    )
    advice = "leave them out of one of the two, and split by person, place or recording"
    evidence = {"count": len(pairs), "samples": samples, "pairs": pairs[:_EXAMPLES]}
    severity = "warning" if share >= _MANY else "info"
    yield Finding("duplicates", message, advice, None, severity, evidence)


def _of_several_labels(subject, groups, step, samples):
    y, head = subject.y, subject.heads[0]
    classes = head.loss is not None and head.loss.family in ("sparse", "categorical", "binary")
    if not classes or not isinstance(y, np.ndarray) or len(y) != samples or len(subject.heads) > 1:
        return
    found = []
    for ours, _ in groups:
        places = [place * step for place in ours]
        if any((y[place] != y[places[0]]).any() for place in places[1:]):
            found.append(places)
    count = sum(map(len, found))
    if not count:
        return
    share = count * step / samples
    message = (
        f"{count} samples ({percent(share, 1)}) are equal to others of another label, such as "
        f"{_listed(found[0])}"
    )
    advice = "look at them, and keep one label or leave them out"
    evidence = {
        "count": count,
        "samples": samples,
        "groups": [one[:2] for one in found[:_EXAMPLES]],
    }
    severity = "warning" if share >= _MANY else "info"
    yield Finding("same_image_other_label", message, advice, None, severity, evidence)


def _listed(places):
    places = [str(place) for place in places]
    return "number " + ", ".join(places[:_EXAMPLES]) + (", …" if len(places) > _EXAMPLES else "")


def _equal_samples(arrays):
    """For each set of equal samples, none of one value alone, its places in each array.

    By a part of each sample first, that not all of a large file is read.
    """
    keys = [(key, number, place) for number, one in enumerate(arrays) for key, place in _keys(one)]
    found = []
    for group in _alike(keys):
        samples = [(arrays[number][place], number, place) for number, place in group]
        whole = [
            (int(fingerprints(one[None])[0]), number, place)
            for one, number, place in samples
            if (one != one.flat[0]).any()
        ]
        for same in _alike(whole):
            places = [[place for one, place in same if one == number] for number in (0, 1)]
            found.append(places)
    return found


def _keys(array):
    """(hash of a part, place) of each sample."""
    for start in range(0, len(array), _AT_ONCE):
        part = array[start : start + _AT_ONCE]
        part = part.reshape(len(part), -1)
        begin = max(0, (part.shape[1] - _LOOK) // 2)
        rows = np.asarray(part[:, begin : begin + _LOOK], "float32")
        for place, row in enumerate(rows, start):
            yield hash(row.tobytes()), place


def _alike(keys):
    """The rest of the tuples, in lists of those that begin alike; none of single ones."""
    groups = {}
    for key, *rest in keys:
        groups.setdefault(key, []).append(rest)
    return [group for group in groups.values() if len(group) > 1]
