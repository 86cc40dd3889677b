"""What kind of function stands somewhere in a network, by what it does to numbers."""

import keras
import numpy as np

from keras_dcnn._structure.kernels import known_kernels

_layers, _functions = keras.layers, keras.activations
PROBABILITIES = ("softmax", "sigmoid")
_KNOWN = {
    _functions.linear: "linear",
    _functions.softmax: "softmax",
    _functions.sigmoid: "sigmoid",
    _functions.relu: "relu",
    _functions.tanh: "tanh",
    _functions.log_softmax: "log_softmax",
    **dict.fromkeys(
        (
            *(_functions.elu, _functions.gelu, _functions.leaky_relu, _functions.mish),
            *(_functions.selu, _functions.silu),
        ),
        "other",
    ),
}
# What hands values on, in another order or number, so that their range stays.
_SAME = (
    *(_layers.Flatten, _layers.Reshape, _layers.Permute, _layers.RepeatVector, _layers.Identity),
    *(_layers.Dropout, _layers.SpatialDropout1D, _layers.SpatialDropout2D),
    *(_layers.SpatialDropout3D, _layers.ActivityRegularization, _layers.Masking),
    *(_layers.ZeroPadding1D, _layers.ZeroPadding2D, _layers.ZeroPadding3D),
    *(_layers.Cropping1D, _layers.Cropping2D, _layers.Cropping3D),
    *(_layers.UpSampling1D, _layers.UpSampling2D, _layers.UpSampling3D),
    *(_layers.AveragePooling1D, _layers.AveragePooling2D, _layers.AveragePooling3D),
    *(_layers.GlobalAveragePooling1D, _layers.GlobalAveragePooling2D),
    _layers.GlobalAveragePooling3D,
)
MAXIMA = (
    *(_layers.MaxPooling1D, _layers.MaxPooling2D, _layers.MaxPooling3D),
    *(_layers.GlobalMaxPooling1D, _layers.GlobalMaxPooling2D, _layers.GlobalMaxPooling3D),
)
DROPOUTS = (
    *(_layers.Dropout, _layers.AlphaDropout, _layers.GaussianDropout),
    *(_layers.SpatialDropout1D, _layers.SpatialDropout2D, _layers.SpatialDropout3D),
)
NORMALIZATIONS = (
    *(_layers.BatchNormalization, _layers.LayerNormalization, _layers.GroupNormalization),
    *(_layers.RMSNormalization, _layers.UnitNormalization),
)
_GATED = (_layers.LSTM, _layers.GRU, _layers.SimpleRNN)
RECURRENT = (*_GATED, _layers.Bidirectional)
_PROBE = np.float32([[-40, -3, -0.5, 0.1, 2, 30], [4, 1, -1, -7, 0.25, -20]])


def kind_of(function):
    """What an activation does: one of _KNOWN's kinds, or "other".

    A function of the user's counts by its values: rows that sum to 1 are a softmax, numbers within
    0…1 a sigmoid, 0 for all below 0 a ReLU, none below 0 "positive", numbers within −1…1 a tanh.
    Layers as activations aren't called.
    """
    if function is None:
        return "linear"
    if isinstance(function, keras.Layer) or not callable(function):
        return kind_of_layer(function)
    try:
        return _KNOWN[function] if function in _KNOWN else _by_values(function)
    except Exception:  # what a user's function may raise for a probe, nobody knows
        return "other"


def _by_values(function):
    values = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(_PROBE)))
    if values.shape != _PROBE.shape or not np.isfinite(values).all():
        return "other"
    if np.allclose(values, _PROBE, rtol=1e-2):
        return "linear"
    low, high = values.min(), values.max()
    if low >= 0:
        if high <= 1.001:
            return "softmax" if np.allclose(values.sum(1), 1, atol=1e-2) else "sigmoid"
        return "relu" if not values[_PROBE < 0].any() else "positive"
    if np.allclose(np.exp(values).sum(1), 1, atol=1e-2):
        return "log_softmax"
    return "tanh" if low >= -1.001 and high <= 1.001 else "other"


def kind_of_layer(layer):
    """The kind of a layer without weights; "other" where that isn't known."""
    if isinstance(layer, _SAME):
        return "linear"
    if isinstance(layer, _layers.Activation):
        return kind_of(layer.activation)
    if isinstance(layer, _layers.Softmax):
        return "softmax" if layer.axis == -1 else "other"
    if isinstance(layer, _layers.ReLU):
        return "other" if layer.negative_slope else "relu"
    if type(layer) is _layers.Lambda:
        return kind_of(layer.function)
    return "other"


def kind_of_step(step):
    """The kind of the function that a step ends in: of a layer with kernels its activation."""
    operation = step.operation
    if isinstance(operation, _layers.TimeDistributed):
        operation = operation.layer
    if known_kernels(operation):
        return kind_of(getattr(operation, "activation", None))
    if isinstance(operation, _GATED):  # whose gates only make it smaller
        return kind_of(operation.activation)
    if isinstance(operation, NORMALIZATIONS):
        return "linear"
    if isinstance(operation, keras.Layer) or step.call is None:
        return kind_of_layer(operation)
    return kind_of(lambda z: _run(step, z)) if len(step.inputs) == 1 else "other"


def _run(step, z):
    values = {step.inputs[0]: z}
    step.call.run(values)
    return values[step.outputs[0]]


def keeps_values(operation):
    """Whether a step hands values on as they are, in another order or number."""
    return isinstance(operation, (*_SAME, *MAXIMA))


def has_weights(step):
    """Whether a step has weights of its own, of any kind."""
    return bool(getattr(step.operation, "weights", ()))


def has_kernel(step):
    """Whether a step is a Dense layer, a convolution or the like."""
    operation = step.operation
    inner = operation.layer if isinstance(operation, _layers.TimeDistributed) else operation
    return bool(known_kernels(inner))
