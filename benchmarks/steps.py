"""A layer as a step of a backend: what is computed, and when it is done."""

from measure import images


def compiled(layer, batch=None, upstream=None, calls=1, jit=True):
    """A step: `layer` on a batch that is on the device, compiled; PyTorch runs as it is, eager.

    With an `upstream` gradient also backward: the output, and the gradients by the batch and by
    the layer's weights. Done when the step returns.
    """
    import keras

    batch = keras.ops.convert_to_tensor(images("float32") if batch is None else batch)
    tensors = (batch,) if upstream is None else (batch, keras.ops.convert_to_tensor(upstream))
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return on_tensorflow(_tensorflow_pass(layer), tensors, calls, jit)
    if backend == "jax":
        layer(batch[:1], training=True)  # builds it
        return on_jax(_jax_pass(layer), values(layer), tensors, calls)
    return _repeated(_torch_pass(layer, *tensors), lambda out: None, calls)


def _repeated(call, wait, calls):
    def step():
        for _ in range(calls):
            out = call()
        wait(out)
        return out

    return step


def on_tensorflow(function, tensors, calls=1, jit=True):
    """A step: `function(*tensors)` in a `tf.function`."""
    import tensorflow as tf

    function = tf.function(function, jit_compile=jit)

    def wait(out):
        tf.reshape(tf.nest.flatten(out)[0], [-1])[0].numpy()

    return _repeated(lambda: function(*tensors), wait, calls)


def on_jax(function, state, tensors, calls=1):
    """A step: `out, state = function(state, *tensors)` in `jax.jit`, the state handed on."""
    import jax

    function = jax.jit(function)

    def call():
        nonlocal state
        out, state = function(state, *tensors)
        return out

    return _repeated(call, jax.block_until_ready, calls)


def _tensorflow_pass(layer):
    import tensorflow as tf

    def run(x, upstream=None):
        if upstream is None:
            return layer(x, training=True)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        weights = [variable.value for variable in layer.trainable_variables]
        return y, tape.gradient(y, [x, *weights], upstream)

    return run


def _jax_pass(layer):
    import jax

    def run(state, x, upstream=None):
        weights, others = state  # the others number the draws

        def forward(x, weights):
            return layer.stateless_call(weights, others, x, training=True)

        if upstream is None:
            y, others = forward(x, weights)
            return y, (weights, others)
        y, backward, others = jax.vjp(forward, x, weights, has_aux=True)
        return (y, backward(upstream)), (weights, others)

    return run


def values(layer):
    """The values of the weights that are trained, and of the others, on which JAX computes."""
    return tuple(
        [variable.value for variable in variables]
        for variables in (layer.trainable_variables, layer.non_trainable_variables)
    )


def _torch_pass(layer, x, upstream=None):
    import torch

    layer(x[:1], training=True)  # builds it
    if upstream is None:
        return torch.no_grad()(lambda: layer(x, training=True))
    given = [x.detach().requires_grad_(), *(v.value for v in layer.trainable_variables)]

    def run():
        y = layer(given[0], training=True)
        return y.detach(), *torch.autograd.grad(y, given, upstream)

    return run
