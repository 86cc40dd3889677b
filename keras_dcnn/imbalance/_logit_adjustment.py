"""LogitAdjustment: the layer that `adjust_logits` puts after a model."""

import keras
import numpy as np

from keras_dcnn._checks import arguments_of, check_flag, check_keywords
from keras_dcnn.losses._priors import shift_of

ops = keras.ops
TINY = float(np.finfo("float32").tiny)  # whose logarithm is finite: −87


def adjust(outputs, shift, from_logits):
    """Outputs, (…, classes) or of one unit (…, 1), after f → f − shift of their logits f."""
    if outputs.shape[-1] == 1:
        difference = shift[1] - shift[0]
        if from_logits:
            return outputs - difference
        return ops.sigmoid(_log(outputs) - _log(1 - outputs) - difference)
    if from_logits:
        return outputs - shift
    return ops.softmax(_log(outputs) - shift)


def _log(p):
    return ops.log(ops.maximum(p, TINY))


@keras.saving.register_keras_serializable(package="keras_dcnn")
class LogitAdjustment(keras.layers.Layer):
    """f − τ·log π of the logits f; of probabilities for p = softmax(f), as probabilities again.

    In float32 at least, so that small probabilities stay apart, and the output is of the input's
    dtype. One unit is a sigmoid, or its logit, with the priors of 0 and 1.

    Args:
        priors: Counts or shares, above 0, one for each class.
        tau: τ, ≥ 0.
        from_logits: Whether the input is logits, of which the output is logits.
    """

    def __init__(self, priors, tau=1.0, from_logits=False, **kwargs):
        check_keywords(self, kwargs)
        shift = shift_of(priors, tau)
        check_flag("from_logits", from_logits)
        super().__init__(**kwargs)
        self.autocast = False
        self.supports_masking = True
        self.priors = np.asarray(priors).tolist()
        self.tau = tau
        self.from_logits = from_logits
        self._shift = shift

    def call(self, inputs):
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        outputs = ops.cast(inputs, dtype)
        shift = ops.convert_to_tensor(self._shift, dtype)
        return ops.cast(adjust(outputs, shift, self.from_logits), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **arguments_of(self)}
