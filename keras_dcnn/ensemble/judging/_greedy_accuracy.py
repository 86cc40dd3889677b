"""Judge of accuracy for greedy selection: looks only at what one more member can turn.

A sample is right if its label leads over every rival class. A further member changes a lead by at
least `lowest` and at most `highest` of what the members have there, so most leads are safe, or
their sample is lost, whoever comes; after some steps a few in a hundred are open. All is exact:
outputs are whole multiples of 2⁻³⁰ of their range, so that no sum is rounded and no tie depends on
the order of the members.
"""

import numpy as np

_BITS = 30
_PART = 1 << 17  # leads in one part, so that what is known of them stays in the cache
_AT_A_TIME = 1 << 10  # leads, of all members, that are compared at a time


class Accuracy:
    """Share of right samples, each of its own weight, by the mean of the members' outputs.

    Args:
        oof: (members, samples, classes), at least two classes.
        y: Integer labels.
        weights: Per sample, what a right one counts.
        divide_by: What the sum of the counts is divided by.
    """

    def __init__(self, oof, y, weights, divide_by):
        # Not `np.ptp`: the range of int8 does not fit into int8, nor half of float16's into it.
        half_range = max(float(oof.max()) / 2 - float(oof.min()) / 2, 1e-30)
        scale = 2.0 ** (_BITS - 1 - np.ceil(np.log2(half_range)))
        size = max(1, _PART // (oof.shape[2] - 1))
        blocks = [slice(start, start + size) for start in range(0, len(y), size)]
        self.parts = [_Part(oof[:, b], y[b], weights[b] / divide_by, scale) for b in blocks]
        self.singles = self.start(np.arange(len(oof))).scores()

    def start(self, members):
        return _AccuracyPath(self.parts, members)


class _AccuracyPath:
    def __init__(self, parts, members):
        self._parts, self._members = parts, members
        self._leads = [part.lead.copy() for part in parts]

    def add(self, i):
        for part, lead in zip(self._parts, self._leads, strict=True):
            lead += part.added[:, self._members[i]]

    def scores(self):
        parts = zip(self._parts, self._leads, strict=True)
        return sum(part.scores(lead, self._members) for part, lead in parts)


class _Part:
    """Some of the samples: the leads of their labels over rivals, and what each member adds.

    The leads lie in blocks: the b-th holds the b-th rival of the samples 0, 1, … Samples with more
    rivals come first, so that the blocks get shorter. Rivals that no member prefers to the label
    are left out, and so are samples that all members get wrong by the same rival.
    """

    def __init__(self, oof, y, weights, scale):
        samples, classes = np.arange(len(y)), oof.shape[2]
        rivals = np.arange(classes - 1)[:, None]
        rivals = rivals + (rivals >= y)  # (classes − 1, samples): all but the label

        def leads(member):
            outputs = np.rint(member.T.astype("float64") * scale)
            return (outputs[y, samples] - outputs).astype("int32")

        lowest = highest = leads(oof[0])
        for member in oof[1:]:
            of_member = leads(member)
            lowest, highest = np.minimum(lowest, of_member), np.maximum(highest, of_member)
        # A tie is won by the lower class: there the label starts with a lead of 1.
        self.lead = (rivals > y).ravel().astype("int64")
        self._safe_above = -lowest[rivals, samples].ravel().astype("int64")
        self._lost_below = -highest[rivals, samples].ravel().astype("int64")
        self._blocks = _blocks([len(y)] * (classes - 1))
        self._weights, self._certain = weights, 0.0

        columns, order, sizes, certain = self._open(self.lead)
        self._weights, self._certain, self._blocks = weights[order], certain, _blocks(sizes)
        self.lead, self._safe_above, self._lost_below = (
            array[columns] for array in (self.lead, self._safe_above, self._lost_below)
        )
        where = (rivals.ravel()[columns], np.tile(samples, classes - 1)[columns])
        # The members side by side, so that what is looked at is not strewn over all of the memory.
        self.added = np.empty((len(columns), len(oof)), "int32")
        for i, member in enumerate(oof):
            self.added[:, i] = leads(member)[where]

    def scores(self, lead, members):
        """The score with each of the members added to what gave this lead."""
        columns, order, sizes, certain = self._open(lead)
        right = np.ones((len(order), self.added.shape[1]), bool)
        above = np.clip(-lead[columns], -(2**31), 2**31 - 1).astype("int32")[:, None]
        for start, size in _blocks(sizes):
            for done in range(0, size, _AT_A_TIME):
                end = min(size, done + _AT_A_TIME)
                some = slice(start + done, start + end)
                right[done:end] &= self.added.take(columns[some], axis=0) > above[some]
        # Not `@`: for products as small as these the threads of a BLAS get in their way.
        return certain + np.einsum("sm,s->m", right, self._weights[order])[members]

    def _open(self, lead):
        """The leads that one more member may turn, and the weight of samples that are right anyway.

        As (their places, in blocks again; their samples; sizes of the blocks; that weight).
        """
        is_open, behind = lead <= self._safe_above, lead <= self._lost_below
        lost = np.zeros(len(self._weights), bool)
        for start, size in self._blocks:
            lost[:size] |= behind[start : start + size]
        count = np.zeros(len(lost), "int16" if len(self._blocks) < 2**15 else "int64")
        for start, size in self._blocks:
            of_block = is_open[start : start + size]
            of_block &= ~lost[:size]
            count[:size] += of_block
        certain = self._certain + self._weights[(count == 0) & ~lost].sum()
        order = np.argsort(-count, kind="stable")[: np.count_nonzero(count)]
        sizes = [int(np.count_nonzero(count > b)) for b in range(count.max(initial=0))]
        return self._places(is_open, order, sizes), order, sizes, certain

    def _places(self, is_open, order, sizes):
        place = np.empty(len(self._weights), "int64")  # of a sample's next lead
        place[order] = np.arange(len(order))
        starts = np.cumsum([0, *sizes])
        seen = np.zeros(len(place), "int64")
        columns = np.empty(starts[-1], "int64")
        for start, size in self._blocks:
            samples = np.flatnonzero(is_open[start : start + size])
            columns[starts[seen[samples]] + place[samples]] = start + samples
            seen[samples] += 1
        return columns


def _blocks(sizes):
    """(start, size) of each block."""
    return list(zip(np.cumsum([0, *sizes]).tolist(), sizes, strict=False))
