"""LateFusion: the scores of several networks, combined with weights learned on held-out data."""

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_dcnn.ensemble.combining._combination import ROUNDED, TINY
from keras_dcnn.ensemble.combining.ensemble import Ensemble
from keras_dcnn.ensemble.fusing._held_out import (
    held_out,
    held_out_batches,
    members_predictions,
    shape_of_one_output,
)
from keras_dcnn.ensemble.fusing._simplex import minimise_on_simplex
from keras_dcnn.ensemble.judging import _scores
from keras_dcnn.ensemble.judging._judged import judged

to_numpy = keras.ops.convert_to_numpy
_WAY_OUT = "hold data out, or use `learn_weights_from` with out-of-fold predictions"


@keras.saving.register_keras_serializable(package="keras_dcnn")
class LateFusion(Ensemble):
    """An ensemble of several networks whose weights are given or learned on held-out data.

    Networks that look at images in different ways err on different ones; how much each should
    count is a question to data that none of them was trained on. An `Ensemble` in all else: train
    the members first, then `learn_weights`.

    The weights w ≥ 0, Σ w = 1 minimise the mean −log p(label) of the combination: p = Σₘ wₘ pₘ for
    "probability", softmax(Σₘ wₘ log pₘ) for "geometric", softmax(Σₘ wₘ zₘ) for "logit". Where a
    sample may have several labels, rows of 0 and 1, the mean is over the labels, each with the
    answers "no" and "yes". Each is convex, so what is found is the best there is, to 1e-6. They are
    saved with the model. The same in training and at inference.

    Args:
        members: Built Keras models, at least one, with the same input and output shapes.
        combine: `"probability"`, `"logit"`, `"geometric"` or `"vote"`, as in `Ensemble`; for
            "vote" weights can be given, not learned.
        weights: One number ≥ 0 per member, or None for equal weights until they are learned.
        **kwargs: Keras's own model arguments, such as `name`.

    Input shape:
        That of the members.

    Output shape:
        That of the members.

    Raises:
        ValueError: as `Ensemble`; from `learn_weights`, for samples that are in `trained_on`, for
            labels and predictions that don't fit or are NaN, and for "vote".

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    def build(activation):
        return keras.Sequential([
            keras.Input((4,)), keras.layers.Dense(8, activation), keras.layers.Dense(3, "softmax")
        ])

    fusion = keras_dcnn.ensemble.LateFusion([build("relu"), build("tanh")])
    x, y = np.random.default_rng(0).normal(size=(24, 4)), np.arange(24) % 3
    print(fusion.learn_weights(x[:12], y[:12], trained_on=x[12:]))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        Kivinen and Warmuth: Exponentiated Gradient versus Gradient Descent for Linear Predictors
        (1997), for the method. https://doi.org/10.1006/inco.1996.2612
    """

    def learn_weights(
        self, x: Any, y: Any = None, trained_on: Any = None, sample_weight: Any = None
    ) -> tuple[float, ...]:
        """Learn the weights from samples that no member was trained on; return them.

        Args:
            x: As `fit` takes it: arrays, or tf.data, PyDataset, DataLoader with the labels, which
                must end.
            y: Labels, whole numbers or one-hot rows; None where they are in `x`.
            trained_on: What the members were trained on, as in `StackedEnsemble.fit`, so that `x`
                is checked to hold none of it. None warns.
            sample_weight: A number ≥ 0 per sample; samples of 0 are left out. None for those in
                `x`, as in tf.data, or equal ones.
        """
        self._check_learnable()
        check = held_out(trained_on, _WAY_OUT)
        parts = []
        for x_batch, y_batch, weights in held_out_batches(x, y, None, check, sample_weight):
            (of_one_output,) = keras.tree.flatten(self.predict_members(x_batch))
            parts.append((of_one_output, y_batch, weights))
        predictions, labels, weights = zip(*parts, strict=True)
        return self.learn_weights_from(
            np.concatenate(predictions, axis=1),
            np.concatenate([*map(to_numpy, labels)]),
            None if weights[0] is None else np.concatenate([*map(to_numpy, weights)]),
        )

    def learn_weights_from(
        self, predictions: ArrayLike, y: Any, sample_weight: Any = None
    ) -> tuple[float, ...]:
        """Learn the weights from held-out or out-of-fold predictions; return them.

        Args:
            predictions: What the members, of one output, predicted for samples that they were not
                trained on: (members, samples, classes), (members, samples, 1) of a sigmoid.
            y: Labels, whole numbers, one-hot rows, or for several labels rows of 0 and 1.
            sample_weight: A number ≥ 0 per sample, or per place or label; what has 0 is not looked
                at, and may be NaN. None for equal weights.
        """
        self._check_learnable()
        predictions = members_predictions(self.members, predictions)
        found = judged("predictions", predictions, y, sample_weight, members=True)
        if self.combine != "logit":
            found.check_probabilities(f"combine={self.combine!r}")
        loss = _loss(self.combine, found)
        equal = np.full(len(predictions), 1 / len(predictions))
        self.member_weights = tuple(minimise_on_simplex(loss, equal).tolist())
        # What is compiled holds the old weights as constants.
        self.train_function = self.test_function = self.predict_function = None
        return self.member_weights

    def _check_learnable(self):
        if self.combine == "vote":
            raise ValueError(
                "the weights of combine='vote' can't be learned: a vote says a class, not its "
                "probability, and its share of right answers moves in jumps. Give `weights`, or "
                "combine probabilities."
            )
        shape_of_one_output(self.members)


def _loss(combine, found):
    """The mean −log p(label) of the combination, and its gradient, as a function of w."""
    outputs, y, shares = found.predictions, found.y, np.ones(len(found.y))
    shares = shares if found.weights is None else found.weights
    shares = shares / shares.sum()
    if combine == "logit":
        z = outputs.astype("float64")
        return _softmax_loss(np.concatenate([0 * z, z], 2) if z.shape[2] == 1 else z, y, shares)
    p = _scores.two_columns(outputs)
    if combine == "probability":
        return _mixture_loss(p, y, shares)
    rounded = ROUNDED["float64" if outputs.dtype == "float64" else "float32"]
    lowest = rounded if outputs.shape[2] == 1 else TINY  # as `geometric_mean`
    return _softmax_loss(np.log(np.maximum(p, lowest)), y, shares)


def _mixture_loss(p, y, shares):
    """Mean −log Σₘ wₘ pₘ(label)."""
    of_label = np.maximum(p[:, np.arange(len(y)), y], _scores.EPSILON)

    def value_and_gradient(weights):
        mixture = weights @ of_label
        return -shares @ np.log(mixture), -(of_label / mixture) @ shares

    return value_and_gradient


def _softmax_loss(z, y, shares):
    """Mean −log softmax(Σₘ wₘ zₘ)(label)."""
    z = z - z[:, np.arange(len(y)), y][..., None]  # of the label 0
    flat = z.reshape(len(z), -1)

    def value_and_gradient(weights):
        combined = (weights @ flat).reshape(z.shape[1:])
        highest = combined.max(1, keepdims=True)
        exponentials = np.exp(combined - highest)
        sums = exponentials.sum(1, keepdims=True)
        value = shares @ (np.log(sums) + highest)[:, 0]
        return value, flat @ (exponentials / sums * shares[:, None]).ravel()

    return value_and_gradient
