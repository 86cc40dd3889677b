"""Derivatives on the backend that runs."""

import keras


def pull_back(function, x, upstream):
    """y = function(x), and the gradient of sum(upstream · y) by x; differentiable itself."""
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()](
        function, keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(upstream)
    )


def _tensorflow(function, x, upstream):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x, output_gradients=upstream)


def _jax(function, x, upstream):
    import jax

    y, pull = jax.vjp(function, x)
    return y, pull(upstream)[0]


def _torch(function, x, upstream):
    import torch

    x = x if x.requires_grad else x.detach().requires_grad_()
    y = function(x)
    return y, torch.autograd.grad(y, x, upstream, create_graph=True)[0]
