"""Dropout and penalties that are too strong, in the wrong place, or there twice."""

import keras

from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._structure.kernels import all_kernels
from keras_dcnn.diagnosis._preflight.activation_kinds import DROPOUTS, has_kernel, has_weights
from keras_dcnn.diagnosis._preflight.network import listed
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.regularizers import WeightDecay

_USUAL_DROPOUT = 0.5  # Srivastava et al. (2014), section A.4: 0.5 to 0.8 are kept of hidden units
_STRONG_L2 = 0.1  # λ of λ‖w‖²; Keras's default is 0.01, the tutorial's kind of penalty 0.0005
_STRONG_L1 = 0.05


def find_strong_dropout(subject):
    """Dropout of more than half of the units."""
    strong = [
        (path, float(layer.rate))
        for path, layer in walk_layers(subject.model)
        if isinstance(layer, DROPOUTS) and (layer.rate or 0) > _USUAL_DROPOUT
    ]
    if not strong:
        return []
    rate = max(rate for _, rate in strong)
    return [
        Finding(
            "strong_dropout",
            f"{listed([path for path, _ in strong])} drops up to {100 * rate:.0f} % of its inputs",
            "take 0.5 or less",
            severity="warning",
            evidence={"rates": dict(strong)},
        )
    ]


def find_misplaced_dropout(subject):
    """Dropout that reaches a BatchNormalization or another dropout without a kernel between."""
    network, before_norm, repeated = subject.network, [], []
    for step in network.steps if network else ():
        if isinstance(step.operation, DROPOUTS) and step.operation.rate:
            for other in _reached(network, step):
                if isinstance(other.operation, keras.layers.BatchNormalization):
                    before_norm.append((step.path, other.path))
                elif isinstance(other.operation, DROPOUTS) and other.operation.rate:
                    repeated.append((step.path, other.path))
    found = []
    if before_norm:
        pairs = [f"{one}` before `{other}" for one, other in before_norm]
        message = (
            f"dropout right in front of BatchNormalization ({listed(pairs)}): the variance that it "
            "measures in training is not that of the inference"
        )
        advice = "put dropout behind the last BatchNormalization"
        found.append(Finding("dropout_before_batch_norm", message, advice))
    if repeated:
        pairs = [f"{one}` before `{other}" for one, other in repeated]
        message = f"dropout of what is dropped already ({listed(pairs)})"
        found.append(Finding("repeated_dropout", message, "keep one of them"))
    return found


def _reached(network, step):
    """The steps that see the output with no kernel, sum or other normalization in front."""
    for user in network.after(step):
        yield user
        stops = isinstance(user.operation, (keras.layers.BatchNormalization, *DROPOUTS))
        if not stops and len(user.inputs) == 1 and not (has_kernel(user) or has_weights(user)):
            yield from _reached(network, user)


def find_repeated_normalization(subject):
    """A BatchNormalization right behind another."""
    network, pairs = subject.network, []
    for step in network.steps if network else ():
        if isinstance(step.operation, keras.layers.BatchNormalization):
            after = network.after(step)
            pairs += [
                f"{step.path}` before `{user.path}"
                for user in after
                if isinstance(user.operation, keras.layers.BatchNormalization)
            ]
    if not pairs:
        return []
    message = f"what is normalized already is normalized again ({listed(pairs)})"
    return [Finding("repeated_batch_norm", message, "keep one of them")]


def find_strong_penalties(subject):
    """L1 and L2 penalties beside which the loss hardly counts."""
    strong = {}
    for path, layer in walk_layers(subject.model):
        for kernel in all_kernels(layer):
            l1, l2 = _strengths(kernel.variable.regularizer)
            if (l1 >= _STRONG_L1 or l2 >= _STRONG_L2) and kernel.variable.trainable:
                strong[path] = {"l1": l1, "l2": l2}
    if not strong:
        return []
    parts = {key: max(one[key] for one in strong.values()) for key in ("l1", "l2")}
    given = " and ".join(f"{key.upper()} {value:g}" for key, value in parts.items() if value)
    message = f"a penalty of {given} on {listed([*strong])} outweighs most losses"
    advice = "begin with an L2 of 0.0005"
    return [Finding("strong_penalty", message, advice, evidence={"layers": strong})]


def _strengths(regularizer):
    """λ of |w| and of w², where the regularizer is one of those that say it."""
    if isinstance(regularizer, WeightDecay):
        return 0.0, float(regularizer.decay) / 2
    kinds = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
    if not isinstance(regularizer, kinds):
        return 0.0, 0.0
    return tuple(float(getattr(regularizer, key, 0) or 0) for key in ("l1", "l2"))
