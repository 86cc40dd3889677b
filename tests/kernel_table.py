"""Every kernel of every layer of Keras, and which of its entries feed each unit, by hand.

A row is a layer, and for each of its kernels: the argument's prefix, what MaxNorm needs to be told,
what the initializers need to be told (None: they are not for it), and the units. `units(w)` has a
row for each unit (or embedding), of the entries that are summed into it.
"""

import keras
import numpy as np

L = keras.layers


def last(w):
    """(…, in, out): each output has a column."""
    return w.reshape(-1, w.shape[-1]).T


def depthwise(w):
    """(…, channels, multiplier): each output has the window of one channel."""
    return w.reshape(-1, w.shape[-2] * w.shape[-1]).T


def transpose(w):
    """(…, out, in)."""
    return np.moveaxis(w, -2, 0).reshape(w.shape[-2], -1)


def first(w):
    """(in, heads, out), as in attention's query: the first axis is summed over."""
    return w.reshape(w.shape[0], -1).T


def shared(w):
    """(group, in, out) of "abc,bcd->abd"."""
    return w.transpose(0, 2, 1).reshape(-1, w.shape[1])


def alone(w):
    """Each entry makes an output of its own."""
    return w.reshape(-1, 1)


STANDARD = ({}, {}, last)
DEPTHWISE = ({"kernel": "depthwise"}, {"kernel": "depthwise"}, depthwise)
TRANSPOSE = ({"kernel": "transpose"}, {"kernel": "transpose"}, transpose)
RECURRENT = {"kernel": STANDARD, "recurrent": STANDARD}
EMBEDDING = {"embeddings": ({"axis": -1}, None, lambda w: w)}
# Of attention one constraint is given to all: `regularize` tells them apart.
QUERY, OUTPUT = (None, {}, first), (None, {}, last)
IMAGE, SERIES, FILM = (5, 5, 32), (9, 32), (3, 4, 4, 32)


def rnn(*cells):
    return lambda **given: L.RNN(L.StackedRNNCells([cell(20, **given) for cell in cells]))


# name: (the shape of the input, the layer with the arguments of its kernels, those by prefix)
LAYERS = {
    "Dense": (SERIES, lambda **k: L.Dense(4, **k), {"kernel": STANDARD}),
    "Conv1D": (SERIES, lambda **k: L.Conv1D(4, 3, **k), {"kernel": STANDARD}),
    "Conv2D": (IMAGE, lambda **k: L.Conv2D(4, 3, **k), {"kernel": STANDARD}),
    "Conv2D grouped": (IMAGE, lambda **k: L.Conv2D(4, 3, groups=4, **k), {"kernel": STANDARD}),
    "Conv3D": (FILM, lambda **k: L.Conv3D(4, 2, **k), {"kernel": STANDARD}),
    "Conv1DTranspose": (SERIES, lambda **k: L.Conv1DTranspose(4, 3, **k), {"kernel": TRANSPOSE}),
    "Conv2DTranspose": (IMAGE, lambda **k: L.Conv2DTranspose(4, 3, **k), {"kernel": TRANSPOSE}),
    "Conv3DTranspose": (FILM, lambda **k: L.Conv3DTranspose(4, 2, **k), {"kernel": TRANSPOSE}),
    "DepthwiseConv1D": (
        SERIES,
        lambda **k: L.DepthwiseConv1D(3, depth_multiplier=2, **k),
        {"depthwise": DEPTHWISE},
    ),
    "DepthwiseConv2D": (
        IMAGE,
        lambda **k: L.DepthwiseConv2D(3, depth_multiplier=2, **k),
        {"depthwise": DEPTHWISE},
    ),
    "SeparableConv1D": (
        SERIES,
        lambda **k: L.SeparableConv1D(4, 3, depth_multiplier=2, **k),
        {"depthwise": DEPTHWISE, "pointwise": STANDARD},
    ),
    "SeparableConv2D": (
        IMAGE,
        lambda **k: L.SeparableConv2D(4, 3, depth_multiplier=2, **k),
        {"depthwise": DEPTHWISE, "pointwise": STANDARD},
    ),
    "EinsumDense": (
        SERIES,
        lambda **k: L.EinsumDense("abc,cde->abde", (9, 4, 3), **k),
        {"kernel": ({"axis": [0]}, {}, first)},
    ),
    "EinsumDense of two inputs": (
        IMAGE,
        lambda **k: L.EinsumDense("...cd,cde->...e", 4, **k),
        {"kernel": ({"axis": (0, 1)}, {}, last)},
    ),
    "EinsumDense of the first": (
        SERIES,
        lambda **k: L.EinsumDense("ab...,bcd->acd...", (4, 8), **k),
        {"kernel": ({"axis": 0}, {}, first)},
    ),
    "EinsumDense shared": (
        SERIES,
        lambda **k: L.EinsumDense("abc,bcd->abd", (9, 8), **k),
        {"kernel": ({"axis": -2}, {}, shared)},
    ),
    "EinsumDense without a sum": (
        SERIES,
        lambda **k: L.EinsumDense("abc,cd->abcd", (9, 32, 8), **k),
        {"kernel": ({"axis": []}, {}, alone)},
    ),
    "MultiHeadAttention": (
        SERIES,
        lambda **k: L.MultiHeadAttention(4, 3, use_gate=True, output_shape=8, **k),
        {"kernel": {"attention_output": OUTPUT, "": QUERY}},
    ),
    "GroupQueryAttention": (
        SERIES,
        lambda **k: L.GroupQueryAttention(6, 4, 2, use_gate=True, **k),
        {"kernel": {"attention_output": OUTPUT, "": QUERY}},
    ),
    "SimpleRNN": (SERIES, lambda **k: L.SimpleRNN(20, **k), RECURRENT),
    "GRU": (SERIES, lambda **k: L.GRU(20, **k), RECURRENT),
    "LSTM": (SERIES, lambda **k: L.LSTM(20, **k), RECURRENT),
    "ConvLSTM1D": ((3, 5, 32), lambda **k: L.ConvLSTM1D(8, 2, **k), RECURRENT),
    "ConvLSTM2D": (FILM, lambda **k: L.ConvLSTM2D(8, 2, **k), RECURRENT),
    "ConvLSTM3D": ((2, 4, 4, 4, 3), lambda **k: L.ConvLSTM3D(4, 2, **k), RECURRENT),
    "cells": (SERIES, rnn(L.SimpleRNNCell, L.GRUCell, L.LSTMCell), RECURRENT),
    "Embedding": ((9,), lambda **k: L.Embedding(60, 8, **k), EMBEDDING),
    "ReversibleEmbedding": ((9,), lambda **k: L.ReversibleEmbedding(60, 8, **k), EMBEDDING),
    "Bidirectional": (SERIES, lambda **k: L.Bidirectional(L.LSTM(20, **k)), RECURRENT),
    "TimeDistributed": (
        FILM,
        lambda **k: L.TimeDistributed(L.DepthwiseConv2D(3, depth_multiplier=2, **k)),
        {"depthwise": DEPTHWISE},
    ),
    "SpectralNormalization": (
        IMAGE,
        lambda **k: L.SpectralNormalization(L.Conv2DTranspose(4, 3, **k)),
        {"kernel": TRANSPOSE},
    ),
}
# The classes in the rows above that are not named by them, and those of the wrappers.
CELLS = (L.SimpleRNNCell, L.GRUCell, L.LSTMCell)


def model_of(name, **arguments):
    """A model of the layer, and a Dense after it; attention looks at its own input."""
    shape, make, _ = LAYERS[name]
    inputs = keras.Input(shape, dtype="int32" if name.endswith("Embedding") else None)
    layer = make(**arguments)
    attends = isinstance(layer, (L.MultiHeadAttention, L.GroupQueryAttention))
    outputs = layer(inputs, inputs) if attends else layer(inputs)
    return keras.Model(inputs, L.Dense(2, name="last")(outputs))


def kernels_of(name, model):
    """(variable, what MaxNorm needs, what the initializers need, units) of the layer's kernels."""
    found = []
    for variable in model.weights:
        holder, _, leaf = variable.path.rpartition("/")
        for prefix, row in LAYERS[name][2].items():
            leaves = {prefix, f"{prefix}_kernel", "kernel" if prefix == "depthwise" else prefix}
            if leaf not in leaves or holder.endswith("last"):
                continue
            if isinstance(row, dict):
                row = row.get(holder.rpartition("/")[2], row[""])
            found.append((variable, *row))
    return found
