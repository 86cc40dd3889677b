"""The blocks of a network: where it is cut, what belongs together, and what comes out there."""

import keras
import numpy as np
import pytest

from keras_dcnn._structure.blocks import blocks_of, tensors_at

layers = keras.layers


def residual(x, filters):
    """A block that is left only at its end: two convolutions beside a shortcut."""
    branch = layers.Conv2D(filters, 3, padding="same", name=f"one_{filters}")(x)
    branch = layers.Conv2D(filters, 3, padding="same", name=f"two_{filters}")(layers.ReLU()(branch))
    return layers.Add(name=f"sum_{filters}")([layers.Conv2D(filters, 1)(x), branch])


@pytest.fixture
def network():
    x = images = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(4, 3, name="stem")(x)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization()(x))
    x = residual(residual(x, 4), 5)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(6, 1, name="pointwise")(x)
    x = layers.Flatten()(layers.MaxPooling2D(name="pool")(x))
    return keras.Model(images, layers.Dense(2, name="head")(x))


def names(blocks):
    return [block.name for block in blocks]


def test_a_block_ends_where_all_passes_through_before_the_next_kernel(network):
    assert names(blocks_of(network)) == ["stem_relu", "sum_4", "sum_5", "pool", "head"]
    assert [block.num_kernels for block in blocks_of(network)] == [1, 3, 3, 2, 1]


def test_every_layer_is_in_one_block(network):
    found = [layer for block in blocks_of(network) for layer in block.layers]
    assert sorted(map(id, found)) == sorted(map(id, network.layers[1:]))


def test_a_limit_joins_those_with_the_fewest_kernels_and_spares_the_last(network):
    assert names(blocks_of(network, 4)) == ["sum_4", "sum_5", "pool", "head"]
    assert names(blocks_of(network, 3)) == ["sum_4", "pool", "head"]
    assert names(blocks_of(network, 1)) == ["pool", "head"]


def test_models_inside_are_seen_through_and_their_values_come_out(network):
    body = keras.Model(network.input, network.get_layer("pool").output)
    inside = keras.Sequential([keras.Input((8, 8, 3)), body, layers.Flatten(), layers.Dense(2)])
    assert names(blocks_of(inside))[:4] == ["stem_relu", "sum_4", "sum_5", "pool"]
    x = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    ours = tensors_at(inside, blocks_of(inside)[1:3])(x)
    ends = [network.get_layer(name).output for name in ("sum_4", "sum_5")]
    for one, other in zip(ours, keras.Model(network.input, ends)(x), strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))


def test_a_layer_that_is_called_twice_is_in_its_first_block():
    shared = layers.Dense(3, name="shared")
    x = images = keras.Input((3,))
    for name in ("a", "b"):
        x = layers.Dense(3, name=name)(shared(x))
    blocks = blocks_of(keras.Model(images, x))
    assert [[one.name for one in block.layers] for block in blocks] == [
        *(["shared"], ["a"], [], ["b"])
    ]
    assert names(blocks) == ["shared", "a", "shared (2)", "b"]


def test_a_model_with_a_call_of_its_own_has_none():
    class Own(keras.Model):
        def call(self, x):
            return x

    assert blocks_of(Own()) is None
