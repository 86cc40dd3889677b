"""A training step of the network in network (Lin, Chen, Yan 2014), https://arxiv.org/abs/1312.4400.

For CIFAR-10, its activation a parameter. Without its two dropout layers, whose draws would be a
part of every figure.
"""

from contestants import contestant
from measure import CIFAR, normals
from rectifiers import relu, rrelu
from steps import on_jax, on_tensorflow, values

CLASSES = 10
BLOCKS = ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192, CLASSES))  # window, widths


def network_in_network(make_activation):
    """Nine convolutions, each with an activation behind it, in three blocks."""
    import keras

    layers = [keras.Input(CIFAR[1:])]
    for number, (window, *widths) in enumerate(BLOCKS):
        if number:
            pool = keras.layers.MaxPooling2D if number == 1 else keras.layers.AveragePooling2D
            layers.append(pool(3, 2, padding="same"))
        for size, width in zip((window, 1, 1), widths, strict=True):
            convolution = keras.layers.Conv2D(
                width, size, padding="same", kernel_initializer="he_normal"
            )
            layers += [convolution, make_activation()]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()])


def training(make_activation):
    """The model with what a step of training needs: the model, its optimizer and its loss."""
    import keras

    model = network_in_network(make_activation)
    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.build(model.trainable_variables)
    return model, optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def batch():
    """Images of noise, on the device, and their classes."""
    import keras
    import numpy as np

    labels = np.arange(CIFAR[0], dtype="int32") % CLASSES
    return normals(CIFAR), keras.ops.convert_to_tensor(labels)


def tensorflow_step(make_activation):
    """Forward, loss, backward and update in one function compiled by XLA."""
    import tensorflow as tf

    model, optimizer, loss_of = training(make_activation)

    def run(x, labels):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_of(labels, logits)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss, logits

    return on_tensorflow(run, batch())


def jax_training(make_activation):
    """The same as a pure function, and the state that it starts from."""
    import jax

    model, optimizer, loss_of = training(make_activation)

    def run(state, x, labels):
        weights, others, optimizer_state = state

        def loss_and_rest(weights):
            logits, new_others = model.stateless_call(weights, others, x, training=True)
            return loss_of(labels, logits), (logits, new_others)

        (loss, rest), gradients = jax.value_and_grad(loss_and_rest, has_aux=True)(weights)
        updated = optimizer.stateless_apply(optimizer_state, gradients, weights)
        return (loss, rest[0]), (updated[0], rest[1], updated[1])

    return run, (*values(model), [variable.value for variable in optimizer.variables])


def jax_step(make_activation):
    """Forward, loss, backward and update in one function compiled by XLA."""
    return on_jax(*jax_training(make_activation), batch())


def _builder(build, make_activation):
    return lambda: build(make_activation)


for name, make_activation in (("RReLU", rrelu), ("ReLU", relu)):
    for worker, build in (("tensorflow", tensorflow_step), ("jax", jax_step)):
        label = f"network in network with {name}, jit, {{backend}}"
        contestant(label, "cnn", worker, images=CIFAR[0])(_builder(build, make_activation))
