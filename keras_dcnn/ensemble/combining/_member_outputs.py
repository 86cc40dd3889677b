"""MemberOutputs: what the members of an ensemble say each, and how far they are apart."""

import keras
import numpy as np

from keras_dcnn._checks import check_shares
from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn.ensemble.combining._combination import COMBINE, common_dtype, has_nan
from keras_dcnn.ensemble.judging._judged import judged
from keras_dcnn.ensemble.judging._task import Task, task_of_outputs
from keras_dcnn.ensemble.judging.calibration import measure
from keras_dcnn.ensemble.judging.spread import Spread, spread

to_numpy = keras.ops.convert_to_numpy


class MemberOutputs:
    """The part of a `CombinedModel` that asks its members; it has `_pool`, `member_weights`."""

    def shares(self):
        """{number of a member: its weight} of those that have one; the weights sum to 1."""
        count = len(self._pool)
        weights = check_shares("member_weights", self.member_weights, count, "member")
        weights = weights or (1.0,) * count
        return {i: weight / sum(weights) for i, weight in enumerate(weights) if weight}

    def predict_members(self, x, batch_size=None, steps=None):
        """The members' own outputs, stacked: (members, samples, …) in float32, or float64.

        Also of those of weight 0. Takes `x` as `predict` does, and memory for all outputs. Raises
        ValueError for NaN of a member that counts.
        """
        every = range(len(self._pool))
        parts = [stacked for _, stacked in self._stacked(x, None, batch_size, steps, every)]
        return joined_batches(parts, axis=1)

    def predict_spread(self, x, batch_size=None, steps=None):
        """How far the members are apart on each sample: a `Spread`; of several outputs, of each.

        Takes `x` as `predict` does. Raises ValueError for NaN.
        """
        shares = self.shares()
        weights = np.array([*shares.values()])

        parts, structure, tasks = [], None, []
        for _, structure in self._stacked(x, None, batch_size, steps, [*shares]):
            outputs = keras.tree.flatten(structure)
            p = [self._probabilities(one) for one in outputs]
            tasks = tasks or [task_of_outputs(one) for one in p]
            parts.append(
                [spread(*one, weights, task) for *one, task in zip(outputs, p, tasks, strict=True)]
            )
        joined = [
            Spread(*map(np.concatenate, zip(*of_output, strict=True)))
            for of_output in zip(*parts, strict=True)
        ]
        return keras.tree.pack_sequence_as(structure, joined)

    def calibration(self, x, y=None, batch_size=None, steps=None, bins=15, class_names=None):
        """Accuracy, NLL, ECE and Brier score of each way to combine these members.

        Where a sample may have several labels, of members that end in sigmoids, each label is
        combined and judged on its own, as by `keras_dcnn.ensemble.calibration`.

        Args:
            x: As `predict` takes it. Of weights of samples in it, as in tf.data, those of 0 count
                for nothing.
            y: Labels, whole numbers, one-hot rows, or for several labels rows of 0 and 1; None
                where they are in `x`, as in tf.data.
            batch_size: Samples at a time; None for 32, or as the data come.
            steps: Batches to read; None for all.
            bins: Number of bins of the ECE, ≥ 1.
            class_names: A name for each class or label, for the same of each; None for the whole.

        Returns:
            A dict of `Calibration` by combination: "probability", "vote", and "geometric", or where
            the members have raw outputs "logit", which is the same.

        Raises:
            ValueError: for NaN, labels that don't fit, and several outputs.
        """
        shares = self.shares()
        weights = np.array([*shares.values()])
        labels, of_samples, one_class, several = [], [], [], []
        for batch, stacked in self._stacked(x, y, batch_size, steps, [*shares], weighted=True):
            outputs = keras.tree.flatten(stacked)
            if len(outputs) > 1:
                raise ValueError(
                    "`calibration` needs one output; the members have several: call "
                    "`keras_dcnn.ensemble.calibration` with the predictions of each."
                )
            if batch[1] is None:
                raise ValueError("`y` must be given, for data without labels.")
            labels.append(to_numpy(batch[1]))
            of_samples.append(batch[2])
            one_class.append(self._ways(outputs[0], weights))
            several.append(self._ways(outputs[0][..., None], weights))  # each as of one unit
        labels = np.concatenate(labels)
        of_samples = None if of_samples[0] is None else np.concatenate([*map(to_numpy, of_samples)])
        ways, task = joined_batches(one_class), None
        shown = (
            np.full_like(ways["probability"], -1)
            if self.combine == "logit"
            else ways["probability"]
        )
        if judged("probabilities", shown, labels, of_samples).task is Task.SEVERAL_LABELS:
            ways, task = joined_batches(several), Task.SEVERAL_LABELS
            ways = {how: p[..., 0] for how, p in ways.items()}
        given = bins, class_names, of_samples, task
        return {how: measure(labels, p, *given) for how, p in ways.items()}

    def _ways(self, stacked, weights):
        """Probabilities by each combination of members' outputs."""
        weights = keras.ops.convert_to_tensor(weights.astype(stacked.dtype))
        p = keras.ops.convert_to_tensor(self._probabilities(stacked))
        if self.combine == "logit":
            mean = COMBINE["logit"](keras.ops.convert_to_tensor(stacked), weights)
            last = {"logit": self._probabilities(mean)}
        else:
            last = {"geometric": COMBINE["geometric"](p, weights)}
        ways = {how: COMBINE[how](p, weights) for how in ("probability", "vote")} | last
        return {how: to_numpy(combined) for how, combined in ways.items()}

    def _probabilities(self, outputs):
        """What members say in probabilities: their outputs, or the softmax of raw ones."""
        if self.combine != "logit":
            return outputs
        one_unit = outputs.shape[-1] == 1
        return to_numpy((keras.ops.sigmoid if one_unit else keras.ops.softmax)(outputs))

    def _stacked(self, x, y, batch_size, steps, chosen, weighted=False):
        """Each batch, and the chosen members' outputs on it, stacked, in NumPy arrays.

        With `weighted`, NaN is no error for samples of weight 0.
        """
        _, batches = batches_as_fit_takes_them(x, y, batch_size=batch_size, steps=steps)
        counts = np.isin(chosen, [*self.shares()])
        for batch, results in self._pool.run(chosen, batches):
            outputs = [outputs for outputs, _ in results]
            nan = to_numpy(has_nan(outputs)) & counts[:, None]
            if weighted and batch[2] is not None:
                nan &= (to_numpy(batch[2]) != 0).reshape(len(batch[2]), -1).any(1)
            refuse_nan(self._pool, nan, chosen)
            yield batch, keras.tree.map_structure(_stack, *outputs)


def refuse_nan(pool, nan, chosen):
    """Raise ValueError where one of the chosen members gives NaN; `nan` is (members, samples)."""
    if nan.any():
        member, sample = np.argwhere(nan)[0]
        raise ValueError(
            f"members must predict numbers; {pool.name(chosen[member])} predicts NaN for sample "
            f"{sample} of a batch: leave it out, or look for NaN in the data."
        )


def _stack(*outputs):
    dtype = common_dtype(outputs)
    return np.stack([to_numpy(keras.ops.cast(output, dtype)) for output in outputs])


def joined_batches(parts, axis=0):
    """Batches of tensors, or structures of them, as one of arrays."""
    return keras.tree.map_structure(
        lambda *one: np.concatenate([*map(to_numpy, one)], axis), *parts
    )
