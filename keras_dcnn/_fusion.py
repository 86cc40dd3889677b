"""XLA for the pure functions of layers on TensorFlow, which without it fuses nothing."""

import functools

import keras


def fused(function):
    """`function(*tensors, **constants)`, compiled by XLA on TensorFlow; inside XLA it is inlined.

    `function` must be pure. It runs as it is on other backends; where a size other than the first
    is unknown, since XLA would compile for each that comes; and with a GPU, on which whoever does
    without XLA may not have it whole (Apple's has none).
    """

    @functools.wraps(function)
    def call(*tensors, **constants):
        if keras.backend.backend() != "tensorflow" or not _suits_xla(tensors):
            return function(*tensors, **constants)
        # One per signature: TensorFlow warns of a function that is traced again and again.
        signature = tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)
        return _compiled(function, signature, tuple(constants.items()))(*tensors)

    return call


def _suits_xla(tensors):
    import tensorflow as tf

    known = all(None not in tuple(tensor.shape)[1:] for tensor in tensors)
    return known and not tf.config.get_visible_devices("GPU")


@functools.cache
def _compiled(function, signature, constants):
    import tensorflow as tf

    function = functools.partial(function, **dict(constants))
    return tf.function(function, jit_compile=True, autograph=False)
