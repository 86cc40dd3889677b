"""A model that its own optimizer trains, as a GAN's are; on every backend."""

import keras
import numpy as np

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


class Trained(keras.Model):
    """Two layers; `own` trains the first, and `others["last"]` the second."""

    def compile(self, own, last=None, **arguments):
        super().compile(loss="mse", **{"run_eagerly": True, **arguments})
        self.own, self.others = own, {"last": last or own}

    def train_step(self, *given):
        loss, gradients = getattr(self, f"_{keras.backend.backend()}")(*given)
        if keras.backend.backend() == "jax":
            return {"loss": loss}, gradients
        return {"loss": loss}

    def _apply(self, gradients):
        variables = self.trainable_variables
        if self.own is self.others["last"]:
            self.own.apply(gradients, variables)
        else:
            self.own.apply(gradients[:2], variables[:2])
            self.others["last"].apply(gradients[2:], variables[2:])

    def _loss(self, data):
        x, y = data[:2]
        return self.compute_loss(x, y, self(x, training=True))

    def _tensorflow(self, data):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self._loss(data)
        self._apply(tape.gradient(loss, self.trainable_variables))
        return loss, None

    def _torch(self, data):
        self.zero_grad()
        loss = self._loss(data)
        loss.backward()
        self._apply([variable.value.grad for variable in self.trainable_variables])
        return loss, None

    def _jax(self, state, data):
        import jax

        values, fixed, slots, metrics = state
        given = (values, fixed, metrics, *data[:2], None, True, slots)
        (loss, _), gradients = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)(
            *given
        )
        for variable, value in zip(self.trainable_variables, values, strict=True):
            variable.assign(value)
        self._apply(gradients)
        return loss, ([variable.value for variable in self.trainable_variables], *state[1:])


def trained(own, last=None, **arguments):
    """The model, compiled with its own optimizers, the same at each call."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    model = Trained(inputs, keras.layers.Dense(1)(keras.layers.Dense(2)(inputs)))
    model.compile(own, last, **arguments)
    return model


def fit(model, *callbacks, epochs=4):
    arguments = {"batch_size": 8, "epochs": epochs, "shuffle": False, "verbose": 0}
    return model.fit(X, Y, callbacks=list(callbacks), **arguments).history
