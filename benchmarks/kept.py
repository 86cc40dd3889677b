"""Bytes that RReLU and LeakyReLU take, by XLA's own analysis of its memory on JAX, as JSON.

Usage: KERAS_BACKEND=jax python benchmarks/kept.py rrelu cnn

For `rrelu` what a layer keeps for its backward pass, for `cnn` what a step of training takes beside
its arguments and its results.
"""

import json
import sys

import jax
import keras
from measure import CIFAR, MAPS
from network import jax_training
from rectifiers import leaky_relu, rrelu
from steps import values

LAYERS = {"RReLU": rrelu, "LeakyReLU": leaky_relu}


def analysis(function, *arguments):
    """XLA's analysis of the memory of a function, compiled for these arguments."""
    return jax.jit(function).lower(*arguments).compile().memory_analysis()


def kept(make_layer):
    """Bytes of what goes from the forward pass to the backward pass."""
    x = jax.ShapeDtypeStruct(MAPS, "float32")
    layer = keras.Sequential([keras.Input(MAPS[1:]), make_layer()])
    weights, others = values(layer)

    def forward(x):
        return layer.stateless_call(weights, others, x, training=True)[0]

    with_backward = analysis(lambda x: jax.vjp(forward, x), x)
    return with_backward.output_size_in_bytes - analysis(forward, x).output_size_in_bytes


def temporary(make_layer):
    """Bytes that a step of training takes beside its arguments and its results."""
    run, state = jax_training(make_layer)
    batch = (jax.ShapeDtypeStruct(CIFAR, "float32"), jax.ShapeDtypeStruct(CIFAR[:1], "int32"))
    return analysis(run, state, *batch).temp_size_in_bytes


FUNCTIONS = {"rrelu": kept, "cnn": temporary}


def main(works):
    taken = {
        work: {name: FUNCTIONS[work](make_layer) for name, make_layer in LAYERS.items()}
        for work in works
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1:])
