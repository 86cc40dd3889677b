"""standard_augmentation and all image layers in front of one model, compiled by XLA."""

import keras
import numpy as np
import pytest

from keras_dcnn import layers
from keras_dcnn.layers import standard_augmentation
from keras_dcnn.statistics import PixelMoments


def images(count=6, size=40):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype="uint8")


def run(layer, x, **kwargs):
    return keras.ops.convert_to_numpy(layer(x, **kwargs))


@pytest.mark.parametrize("span", [(0, 255), (0, 1)])
def test_in_training_every_image_is_another_and_at_inference_the_centre(span):
    x = images().astype("float32") / 255 * span[1]
    layer = standard_augmentation(32, 32, value_range=span, seed=0)
    out = run(layer, np.repeat(x[:1], 6, 0), training=True)
    assert out.shape == (6, 32, 32, 3)
    assert out.min() >= 0
    assert out.max() <= span[1]
    differences = np.abs(out[:, None] - out[None]).mean((2, 3, 4))[np.triu_indices(6, 1)]
    assert differences.min() > 0.02 * span[1]
    np.testing.assert_allclose(run(layer, x, training=False), x[:, 4:36, 4:36], atol=1e-6)


def test_colours_of_the_data_and_padding():
    moments = PixelMoments().update(images())
    layer = standard_augmentation(40, 40, padding=5, flip=False, moments=moments, seed=0)
    expected = layers.FancyPCA()
    expected.adapt(moments)
    assert layer.layers[-1].eigenvalues == expected.eigenvalues
    assert run(layer, images(), training=True).shape == (6, 40, 40, 3)
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_allclose(
        run(again, images(), training=True), run(again.from_config(layer.get_config()), images())
    )


def test_a_model_without_training_takes_the_centre():
    model = keras.Sequential([keras.Input((40, 40, 3)), standard_augmentation(32, 32)])
    x = images()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), x[:, 4:36, 4:36])


def test_boxes_go_through():
    boxes = {"boxes": np.tile([12.0, 12, 28, 28], (6, 1, 1)), "labels": np.ones((6, 1))}
    layer = standard_augmentation(32, 32, bounding_box_format="xyxy", seed=0)
    out = layer({"images": images(), "bounding_boxes": boxes}, training=True)
    assert np.abs(keras.ops.convert_to_numpy(out["bounding_boxes"]["boxes"]) - 12).max() > 1


def test_in_tf_data():
    tf = pytest.importorskip("tensorflow")
    layer = standard_augmentation(32, 32, seed=0)
    dataset = tf.data.Dataset.from_tensor_slices((images(), np.arange(6))).batch(2)
    dataset = dataset.map(lambda x, y: (layer(x, training=True), y), num_parallel_calls=2)
    assert [x.shape for x, _ in dataset] == [(2, 32, 32, 3)] * 3


def test_bad_arguments_name_the_layer():
    with pytest.raises(ValueError, match="`height` must be a whole number"):
        standard_augmentation(0, 32)
    with pytest.raises(ValueError, match="low < high"):
        standard_augmentation(32, 32, value_range=(1, 1))


@pytest.mark.slow
def test_model_with_all_image_layers_in_front_trains_inside_xla(backend):
    """No warning either: warnings are errors here."""
    traces = []

    class CountTraces(keras.layers.Layer):
        def call(self, x):
            traces.append(1)
            return x

    x = images(24, 12)
    front = [
        layers.RandomAffine(shear=0.1, flip="horizontal"),
        layers.RandomPaddedCrop(8, 8, padding=2, flip=True),
        layers.RandomHSV(),
        layers.FancyPCA(),
        layers.ZeroCenter(per="dimension"),
        layers.MinMaxScaling(),
        layers.ZCAWhitening(epsilon=0.1),
    ]
    before = x
    for layer in front:
        if hasattr(layer, "adapt"):
            layer.adapt(before)
        before = run(layer, before, training=False)
    tail = [
        keras.layers.Conv2D(4, 3),
        layers.RReLU(),
        keras.layers.Conv2D(4, 3),
        layers.PReLU(),
        keras.layers.Flatten(),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential([keras.Input((12, 12, 3)), CountTraces(), *front, *tail])
    jit = backend != "torch"  # whose compiler takes minutes
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit)
    traces.clear()
    y, after = np.arange(24) % 3, []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: after.append(len(traces)))
    history = model.fit(x, y, batch_size=8, epochs=3, callbacks=[watch], verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert after[0] == after[-1] or not jit  # later epochs compile nothing
    assert model.jit_compile == jit
