"""Class activation maps: the definition, on every head that has one; others in a sentence."""

import keras
import numpy as np
import pytest

from keras_dcnn.imbalance._activation_maps import class_activation_map, pooled_head

layers = keras.layers
GAP = layers.GlobalAveragePooling2D


def network(*more, shape=(6, 5, 2), **convolution):
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(3, 2, activation="relu", name="conv", **convolution),
            *more,
        ]
    )


def reference(model, images, classes, weights):
    """Σ_k w_k^c f_k(x, y), the convolution and all by loops."""
    kernel, bias = model.get_layer("conv").get_weights()
    n, height, width, _ = images.shape
    features = np.zeros((n, height - 1, width - 1, 3))
    for y in range(height - 1):
        for x in range(width - 1):
            patch = images[:, y : y + 2, x : x + 2]
            features[:, y, x] = np.maximum(np.tensordot(patch, kernel, 3) + bias, 0)
    return np.stack([f @ weights[:, c] for f, c in zip(features, classes, strict=True)])


@pytest.mark.every_backend
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_map_is_the_channels_weighed_as_the_class_weighs_them(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = network(GAP(), layers.Dropout(0.5), layers.Dense(4, "softmax"))
    finally:
        keras.config.set_dtype_policy("float32")
    images = np.random.default_rng(0).normal(size=(5, 6, 5, 2)).astype("float32")
    classes = np.array([3, 0, 1, 2, 3])
    maps = class_activation_map(model, images, classes, batch_size=3)
    expected = reference(model, images, classes, model.layers[-1].get_weights()[0])
    assert maps.dtype == "float32"
    np.testing.assert_allclose(maps, expected, atol=1e-5 if policy == "float32" else 0.05)


def single(kernel):
    return np.concatenate([-kernel, kernel], axis=1)


HEADS = {
    "a layer of Softmax": ([GAP(), layers.Dense(4), layers.Softmax()], np.asarray),
    "one output": ([GAP(), layers.Dense(1, "sigmoid")], single),
    "as in MobileNet": (
        [
            GAP(keepdims=True),
            layers.Conv2D(4, 1),
            layers.Reshape((4,)),
            layers.Activation("softmax"),
        ],
        lambda kernel: kernel[0, 0],
    ),
    "channels that are classes": ([GAP(), layers.Softmax()], lambda _: np.eye(3)),
}


@pytest.mark.parametrize("kind", HEADS)
def test_heads(kind):
    head, weights_of = HEADS[kind]
    inner = network()  # a model inside another is seen through
    model = keras.Sequential([keras.Input((6, 5, 2)), inner, *head])
    kernel = next((layer.kernel for layer in head if getattr(layer, "kernel", None) is not None), 0)
    images = np.random.default_rng(0).normal(size=(4, 6, 5, 2)).astype("float32")
    classes = np.array([1, 0, 1, 0])
    weights = weights_of(keras.ops.convert_to_numpy(kernel))
    expected = reference(inner, images, classes, weights)
    np.testing.assert_allclose(class_activation_map(model, images, classes), expected, atol=1e-5)


@pytest.mark.every_backend
def test_channels_may_come_first():
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no such convolution on a CPU")
    kind = {"data_format": "channels_first"}
    model = network(GAP(**kind), layers.Dense(4), shape=(2, 6, 5), **kind)
    images = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype("float32")
    expected = reference(model, images, [1, 2], model.layers[-1].get_weights()[0])
    maps = class_activation_map(model, np.moveaxis(images, -1, 1), [1, 2])
    np.testing.assert_allclose(maps, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ([layers.Flatten(), layers.Dense(2)], "`conv`, Conv2D"),
        ([GAP(), layers.Dense(4, "relu"), layers.Dense(2)], "Dense"),
        ([GAP(), layers.Activation("relu"), layers.Dense(2)], "Activation"),
        ([layers.GlobalMaxPooling2D(), layers.Dense(2)], "GlobalMaxPooling2D"),
        ([GAP(), layers.BatchNormalization(), layers.Dense(2)], "BatchNormalization"),
        ([], "`conv`, Conv2D"),
    ],
)
def test_other_heads_are_refused(head, found):
    with pytest.raises(ValueError, match=f"GlobalAveragePooling2D and at most.*{found}.*None"):
        pooled_head(network(*head), "`guide`")


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = network(GAP(), layers.Dense(2))

    def call(self, x):
        return self.inner(x)


def test_what_the_model_does_not_take_is_refused():
    own = Own()
    own(np.zeros((1, 6, 5, 2), "float32"))
    with pytest.raises(ValueError, match="a `call` of its own, as Own"):
        pooled_head(own, "`guide`")
    model = network(GAP(), layers.Dense(2))
    with pytest.raises(ValueError, match=r"of the size.*\(6, 5, 2\); got \(6, 6, 2\)"):
        class_activation_map(model, np.zeros((1, 6, 6, 2)), [0])
    with pytest.raises(ValueError, match=r"from 0 to 1.*got 2"):
        class_activation_map(model, np.zeros((1, 6, 5, 2)), [2])
    model.layers[-1].kernel.assign(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="must be finite"):
        class_activation_map(model, np.zeros((1, 6, 5, 2)), [1])
