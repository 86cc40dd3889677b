"""A model around that of the user, and an optimizer around a copy of his: they note each step."""

import keras
import numpy as np


class NotingModel(keras.Model):
    """Shares all weights with a model, and is compiled apart from it; keeps its outputs.

    In a variable, as JAX gives nothing else out of a compiled step.
    """

    def __init__(self, model, batch_size):
        super().__init__(name=model.name)
        self.model = model
        shape = model.outputs[0].shape[1:]
        self._kept = None
        if None not in shape:
            self._kept = self.add_weight(
                shape=(batch_size, *shape), dtype="float32", trainable=False, name="outputs"
            )

    def call(self, x, training=None):
        outputs = self.model(x, training=training)
        if self._kept is not None:
            self._kept.assign(keras.ops.cast(keras.tree.flatten(outputs)[0], "float32"))
        return outputs

    def last_outputs(self):
        """Those of the last step as a NumPy array; None where their shape is not known before."""
        return None if self._kept is None else np.array(keras.ops.convert_to_numpy(self._kept))


class NotingOptimizer(keras.optimizers.Optimizer):
    """Hands all on to another optimizer, and keeps the largest |gradient| of each variable.

    Keras's public `apply` and `stateless_apply` get the gradients on every backend.
    """

    def __init__(self, optimizer):
        super().__init__(learning_rate=0.0, name=optimizer.name)
        self.optimizer = optimizer
        self._largest = []

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.optimizer.build(variables)
            self._largest = [self.add_variable((), dtype="float32") for _ in variables]

    @property
    def variables(self):
        return [*self._largest, *self.optimizer.variables] if self.built else []

    def apply(self, grads, trainable_variables=None):
        for largest, gradient in zip(self._largest, grads, strict=True):
            largest.assign(_larger(largest, gradient))
        self.optimizer.apply(grads, trainable_variables)

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        count = len(self._largest)
        noted = [
            _larger(largest, gradient)
            for largest, gradient in zip(optimizer_variables[:count], grads, strict=True)
        ]
        trained, rest = self.optimizer.stateless_apply(
            optimizer_variables[count:], grads, trainable_variables
        )
        return trained, [*noted, *rest]

    def scale_loss(self, loss):
        return self.optimizer.scale_loss(loss)

    def largest(self):
        """The largest |gradient| of each variable over all steps; 0 where none came."""
        return [float(keras.ops.convert_to_numpy(one)) for one in self._largest]


def _larger(largest, gradient):
    if gradient is None:
        return largest
    size = keras.ops.abs(keras.ops.convert_to_tensor(gradient))
    return keras.ops.maximum(largest, keras.ops.cast(keras.ops.max(size), "float32"))
