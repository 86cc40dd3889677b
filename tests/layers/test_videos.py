"""Videos (batch, frames, height, width, channels): one draw for all frames of one."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import (
    FancyPCA,
    RandomAffine,
    RandomHSV,
    RandomPaddedCrop,
    standard_augmentation,
)

MAKES = {
    "affine": lambda **more: RandomAffine(flip="horizontal", seed=3, **more),
    "crop": lambda **more: RandomPaddedCrop(9, 8, padding=2, flip=True, seed=3, **more),
    "hsv": lambda **more: RandomHSV(seed=3, **more),
    "pca": lambda **more: FancyPCA(1.0, "stddev", seed=3, **more),
}
make = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)


def numpy(data):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, data)


def videos(batch=2, frames=3):
    return np.random.default_rng(0).integers(0, 256, (batch, frames, 10, 9, 3), dtype="uint8")


@make
@pytest.mark.parametrize("training", [True, False])
def test_each_frame_is_moved_as_an_image_of_that_draw(make, training):
    x = videos()
    out = numpy(make()(x, training=training))
    assert out.shape == tuple(make().compute_output_shape(x.shape))
    for i in (0, 2):
        np.testing.assert_allclose(out[:, i], numpy(make()(x[:, i], training=training)), atol=1e-3)
    first = make(data_format="channels_first")(np.moveaxis(x, -1, 2), training=training)
    np.testing.assert_allclose(np.moveaxis(numpy(first), 2, -1), out, atol=1e-3)
    if training:
        assert np.abs(out - numpy(make()(x, training=False))).mean((1, 2, 3, 4)).min() > 1


@pytest.mark.parametrize("name", ["affine", "crop"])
@pytest.mark.parametrize("training", [True, False])
def test_masks_boxes_and_keypoints_move_frame_by_frame(name, training):
    rng, more = np.random.default_rng(1), {"bounding_box_format": "xyxy"}
    corners = rng.integers(1, 5, (2, 3, 4, 2))
    data = {
        "images": videos(),
        "segmentation_masks": rng.integers(0, 3, (2, 3, 10, 9), dtype="uint8"),
        "bounding_boxes": {
            "boxes": np.concatenate([corners, corners + 3], -1).astype("float32"),
            "labels": rng.integers(0, 9, (2, 3, 4)),
        },
        "keypoints": rng.uniform(0, 9, (2, 3, 5, 2)).astype("float32"),
        "label": np.arange(2),
    }
    out = numpy(MAKES[name](**more)(data, training=training))
    assert out.pop("label").tolist() == [0, 1]
    del data["label"]
    for i in (0, 2):
        frame = keras.tree.map_structure(lambda x, i=i: x[:, i], data)
        expected = numpy(MAKES[name](**more)(frame, training=training))
        keras.tree.map_structure(
            lambda x, y, i=i: np.testing.assert_allclose(x[:, i], y, atol=1e-3), out, expected
        )


@make
def test_in_a_functional_model_of_any_number_of_frames(make):
    inputs = keras.Input((None, 10, 9, 3))
    layer = make(dtype="mixed_float16")
    outputs = layer(inputs, training=True)
    assert outputs.shape == make().compute_output_shape(inputs.shape)
    out = numpy(keras.Model(inputs, outputs)(videos()))
    assert out.dtype == np.float16
    expected = numpy(make()(videos(), training=True))
    np.testing.assert_allclose(out, expected, atol=0.2)


@make
def test_in_tf_data_with_frames_known_or_not(make):
    tf = pytest.importorskip("tensorflow")
    for frames in (3, None):
        layer = make()
        dataset = tf.data.Dataset.from_generator(
            lambda: iter([videos()]),
            output_signature=tf.TensorSpec((None, frames, 10, 9, 3), "uint8"),
        ).map(lambda x, layer=layer: layer(x, training=True))
        shape = tuple(layer.compute_output_shape((None, frames, 10, 9, 3)))
        assert tuple(dataset.element_spec.shape) == shape
        (out,) = dataset.as_numpy_iterator()
        if keras.backend.backend() == "tensorflow":
            np.testing.assert_allclose(out, numpy(make()(videos(), training=True)), atol=1e-3)
        still = np.repeat(videos()[:, :1], 3, 1)  # all frames of one picture
        tf_still = tf.data.Dataset.from_tensors(still).map(lambda x, m=layer: m(x, training=True))
        (out,) = tf_still.as_numpy_iterator()
        np.testing.assert_allclose(out, np.repeat(out[:, :1], 3, 1))
        assert np.abs(out - numpy(make()(still, training=False))).mean() > 1


def test_standard_augmentation_takes_them():
    layer = standard_augmentation(8, 8, seed=0)
    out = numpy(layer(np.repeat(videos()[:, :1], 3, 1), training=True))
    assert out.shape == (2, 3, 8, 8, 3)
    np.testing.assert_allclose(out, np.repeat(out[:, :1], 3, 1))
    assert np.abs(out[0] - out[1]).mean() > 5


def test_what_is_no_video_is_refused():
    with pytest.raises(ValueError, match=r"or of videos \(batch, frames, …\)"):
        RandomHSV()(np.zeros((1, 2, 3, 8, 7, 3)))
    data = {"images": videos(), "keypoints": np.ones((2, 5, 2))}
    with pytest.raises(ValueError, match=r"keypoints of shape \(2, 3, 'count', 2\)"):
        RandomAffine()(data, training=True)
    boxes = {"boxes": np.ones((2, 3, 1, 4)), "labels": np.ones((2, 1))}
    with pytest.raises(ValueError, match=r"a label for each box, \(2, 3, 'count'\)"):
        RandomAffine(bounding_box_format="xyxy")({"images": videos(), "bounding_boxes": boxes})
