"""Weight decay where it does harm, or twice."""

import keras

from keras_dcnn._keras.graph import walk_layers
from keras_dcnn._keras.optimizers import decaying_optimizer
from keras_dcnn._structure.kernels import layer_kernels
from keras_dcnn.diagnosis.finding import Finding
from keras_dcnn.regularizers import WeightDecay

_NAMED = 5  # layers in a message


def find_decayed_slopes(model):
    """PReLU layers whose slopes a regularizer or the optimizer pulls towards 0."""
    findings = []
    for path, layer in walk_layers(model):
        slopes = getattr(layer, "alpha", None)
        if not isinstance(layer, keras.layers.PReLU) or slopes is None:
            continue
        if slopes.regularizer is not None:
            what, advice = type(slopes.regularizer).__name__, "make it without alpha_regularizer"
            findings.append(_decayed(path, what, advice))
        optimizer = decay_on(model, slopes)
        if optimizer is not None:
            what = f"{type(optimizer).__name__}'s weight_decay={optimizer.weight_decay:g}"
            advice = (
                "compile with a new optimizer of which you have called "
                'exclude_from_weight_decay(var_names=["alpha"])'
            )
            findings.append(_decayed(path, what, advice))
    return findings


def find_double_decay(model):
    """Kernels with an L2 penalty on which the optimizer's own weight decay acts too."""
    layers, optimizers = [], set()
    for path, layer in walk_layers(model):
        twice = [
            optimizer
            for kernel in layer_kernels(layer)
            if is_l2(kernel.variable.regularizer)
            if (optimizer := decay_on(model, kernel.variable)) is not None
        ]
        layers += [path] if twice else []
        optimizers |= {f"{type(one).__name__}'s weight_decay={one.weight_decay:g}" for one in twice}
    if not layers:
        return []
    more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
    return [
        Finding(
            "double_decay",
            f"{len(layers)} layers ({', '.join(layers[:_NAMED])}{more}) have an L2 penalty, and "
            f"{' and '.join(sorted(optimizers))} decays their kernels again",
            "keep one of the two; with Adam and its kin the optimizer's",
        )
    ]


def is_l2(regularizer):
    """Whether a regularizer's gradient has a share of w."""
    if isinstance(regularizer, WeightDecay):
        return regularizer.decay > 0
    known = isinstance(regularizer, (keras.regularizers.L2, keras.regularizers.L1L2))
    return known and bool(regularizer.l2 > 0)


def decay_on(model, variable):
    """The optimizer whose own weight decay acts on a variable, or None."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not variable.trainable:
        return None
    return decaying_optimizer(optimizer, variable)


def _decayed(path, what, advice):
    return Finding(
        "decayed_slopes",
        f"{what} decays the slopes of this PReLU, which pulls them towards ReLU",
        advice,
        path,
    )
