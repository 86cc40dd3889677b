"""RandomAffine and RandomPaddedCrop move masks, boxes and keypoints as they move the image."""

import keras
import numpy as np
import pytest
from layers.entries import SIZE, numpy

from keras_dcnn.layers import RandomAffine, RandomPaddedCrop

MAKES = {
    "affine": lambda **more: RandomAffine(
        rotation=0.1, shear=0.2, flip="horizontal_and_vertical", seed=5, **more
    ),
    "crop": lambda **more: RandomPaddedCrop(20, 24, padding=3, flip=True, seed=5, **more),
}


def spots(count=6):
    """Images with one bright spot each, two pixels wide and high, and where its middle is."""
    rng = np.random.default_rng(0)
    images, points = np.zeros((count, *SIZE, 1), "float32"), []
    for image in images:
        row, column = rng.integers(9, SIZE[0] - 10), rng.integers(8, SIZE[1] - 9)
        image[row : row + 2, column : column + 2] = 100
        points.append([[column + 1.0, row + 1.0]])
    return images, np.array(points, "float32")


def centre_of_mass(images):
    """x and y of each image's mass, where the edges of pixels are whole numbers."""
    mass = images[..., 0].astype("float64")
    rows, columns = np.indices(mass.shape[1:]) + 0.5
    total = mass.sum((1, 2))
    return np.stack([(mass * columns).sum((1, 2)), (mass * rows).sum((1, 2))], -1) / total[:, None]


@pytest.fixture(params=MAKES)
def make(request):
    return MAKES[request.param]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("training", [True, False])
def test_keypoints_boxes_and_masks_follow_the_pixels(make, data_format, training):
    images, points = spots()
    boxes = np.concatenate([points - 1, points + 1], -1)
    data = {
        "images": images if data_format == "channels_last" else np.moveaxis(images, -1, 1),
        "keypoints": points,
        "bounding_boxes": {"boxes": boxes, "labels": np.arange(6).reshape(6, 1)},
        "segmentation_masks": (images[..., 0] > 0).astype("uint8") * 7,
        "labels": np.arange(6) + 3001,
    }
    layer = make(fill_mode="constant", bounding_box_format="xyxy", data_format=data_format)
    out = numpy(layer(data, training=training))
    moved = out["images"] if data_format == "channels_last" else np.moveaxis(out["images"], 1, -1)
    np.testing.assert_allclose(out["keypoints"][:, 0], centre_of_mass(moved), atol=0.3)
    corners = out["bounding_boxes"]["boxes"][:, 0]
    np.testing.assert_allclose(
        (corners[:, :2] + corners[:, 2:]) / 2, out["keypoints"][:, 0], atol=0.01
    )
    assert (corners[:, 2:] - corners[:, :2]).min() >= 1.5
    np.testing.assert_array_equal(out["bounding_boxes"]["labels"][:, 0], np.arange(6))
    np.testing.assert_array_equal(out["labels"], data["labels"])
    assert out["segmentation_masks"].dtype == np.uint8
    assert set(np.unique(out["segmentation_masks"])) == {0, 7}
    mask = out["segmentation_masks"][..., None]
    np.testing.assert_allclose(centre_of_mass(mask), out["keypoints"][:, 0], atol=0.5)
    if training:
        assert np.abs(out["keypoints"] - points).max() > 1


def test_single_images_and_tf_data_do_the_same(make):
    tf = pytest.importorskip("tensorflow")
    images, points = spots(1)
    data = {
        "images": images,
        "segmentation_masks": (images > 0).astype("int32"),
        "keypoints": points,
        "bounding_boxes": {"boxes": np.array([[[4.0, 5, 11, 9]]]), "classes": np.ones((1, 1))},
        "name": np.array(["a"]),
    }
    arguments = {"bounding_box_format": "xywh"}
    expected = make(**arguments)({key: data[key] for key in data if key != "name"}, training=True)
    one = keras.tree.map_structure(lambda x: x[0], {k: v for k, v in data.items() if k != "name"})
    results = {"single": numpy(make(**arguments)(one, training=True))}
    dataset = tf.data.Dataset.from_tensor_slices(data)
    for name, source in (("tf.data", dataset), ("batched", dataset.batch(1))):
        layer = make(**arguments)
        mapped = source.map(lambda d, layer=layer: layer(d, training=True))
        results[name] = next(mapped.as_numpy_iterator())
        name = results[name].pop("name")
        assert np.ravel(name)[0] == b"a"
    for one, other in (
        (results["single"], numpy(expected)),
        (results["tf.data"], results["batched"]),
    ):
        keras.tree.map_structure(
            lambda x, y: np.testing.assert_allclose(np.reshape(x, np.shape(y)), y, atol=1e-2),
            one,
            other,
        )


def test_functional_model_of_all_that_moves(make):
    layer = make(bounding_box_format="xyxy")
    inputs = {
        "images": keras.Input((*SIZE, 3), name="images"),
        "segmentation_masks": keras.Input(SIZE, dtype="uint8", name="masks"),
        "bounding_boxes": {
            "boxes": keras.Input((2, 4), name="boxes"),
            "labels": keras.Input((2,), dtype="int32", name="labels"),
        },
        "keypoints": keras.Input((5, 2), name="keypoints"),
    }
    outputs = layer(inputs)
    size = tuple(layer.output_size(*SIZE))
    assert outputs["images"].shape == (None, *size, 3)
    assert outputs["segmentation_masks"].shape == (None, *size)
    model = keras.Model(keras.tree.flatten(inputs), keras.tree.flatten(outputs))
    data = {
        "images": np.zeros((2, *SIZE, 3), "float32"),
        "segmentation_masks": np.ones((2, *SIZE), "uint8"),
        "bounding_boxes": {
            "boxes": np.tile(np.float32([4, 4, 15, 15]), (2, 2, 1)),
            "labels": np.ones((2, 2), "int32"),
        },
        "keypoints": np.full((2, 5, 2), 9, "float32"),
    }
    found = numpy(model(keras.tree.flatten(data)))
    expected = keras.tree.flatten(numpy(layer(data, training=False)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
        assert one.dtype == other.dtype


def test_images_without_boxes(make):
    for count, boxes in ((3, 0), (0, 2)):
        data = {
            "images": np.zeros((count, *SIZE, 3), "uint8"),
            "bounding_boxes": {
                "boxes": np.ones((count, boxes, 4), "float32"),
                "labels": np.ones((count, boxes), "int32"),
            },
            "keypoints": np.ones((count, boxes, 2), "float32"),
        }
        out = make(bounding_box_format="xyxy")(data, training=True)
        assert out["bounding_boxes"]["boxes"].shape == (count, boxes, 4)
        assert out["keypoints"].shape == (count, boxes, 2)


def test_boxes_are_clipped_and_what_is_lost_is_marked():
    layer = RandomAffine(
        rotation=None,
        zoom=None,
        translation={"height": None, "width": (0.5, 0.5)},
        bounding_box_format="xyxy",
    )
    boxes = [[0.0, 0, 4, 4], [8, 0, 14, 4], [12, 0, 16, 4], [2, 2, 2, 5], [1, 1, 2, 2]]
    data = {
        "images": np.zeros((1, 10, 20, 3)),
        "bounding_boxes": {"boxes": np.array([boxes]), "labels": np.array([[5, 6, 7, 8, -1]])},
        "keypoints": np.array([[[1.0, 1.0], [19.0, 2.0], [-1, -1], [np.nan, 2], [0, 10], [10, 0]]]),
    }
    out = numpy(layer(data, training=True))
    lost = [-1.0] * 4
    expected = [[10.0, 0, 14, 4], [18, 0, 20, 4], lost, lost, lost]
    np.testing.assert_allclose(out["bounding_boxes"]["boxes"], [expected], atol=1e-4)
    np.testing.assert_array_equal(out["bounding_boxes"]["labels"], [[5, 6, -1, -1, -1]])
    gone = [-1, -1]
    expected = [[[11, 1], gone, gone, gone, [10, 10], [20, 0]]]  # the border is within
    np.testing.assert_allclose(out["keypoints"], expected, atol=1e-4)


def test_dtypes_are_the_same_in_training_and_outside():
    layer = RandomAffine(bounding_box_format="xyxy")
    boxes = {"boxes": np.ones((2, 1, 4), "int32"), "labels": np.ones((2, 1), "uint8")}
    data = {
        "images": np.zeros((2, *SIZE, 3), "uint8"),
        "bounding_boxes": boxes,
        "keypoints": np.ones((2, 1, 2), "int32"),
    }
    for training in (True, False):
        out = numpy(layer(data, training=training))
        assert out["keypoints"].dtype == out["bounding_boxes"]["boxes"].dtype == np.float32
        assert out["bounding_boxes"]["labels"].dtype == np.int32
    inputs = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), data)
    spec = keras.tree.map_structure(lambda x: x.dtype, layer(inputs))
    assert spec == keras.tree.map_structure(lambda x: x.dtype.name, out)


def test_boxes_stay_float32_and_labels_exact_in_mixed_precision(make):
    images, _ = spots()
    boxes = {"boxes": np.full((6, 1, 4), 8.0), "labels": np.full((6, 1), 3001)}
    boxes["boxes"][..., 2:] = 12
    layer = make(bounding_box_format="xyxy", dtype="mixed_float16")
    out = numpy(layer({"images": images, "bounding_boxes": boxes}, training=True))
    assert out["images"].dtype == np.float16
    assert out["bounding_boxes"]["boxes"].dtype == np.float32
    assert out["bounding_boxes"]["labels"].max() == 3001


def test_complex_numbers_and_texts_are_refused(make):
    images = np.zeros((2, *SIZE, 3))
    for dtype, found in (
        ("complex64", "complex64: give their abs"),
        ("<U1", "give one array of numbers"),
    ):
        with pytest.raises(TypeError, match=f"images must be real numbers; got .*{found}"):
            make()(images.astype(dtype), training=True)
    with pytest.raises(TypeError, match="segmentation masks must be real numbers; got complex64"):
        make()({"images": images, "segmentation_masks": np.zeros((2, *SIZE), "complex64")})
    with pytest.raises(ValueError, match=r"got the keys \[1, 'image'\]"):
        make()({1: images, "image": images})
    with pytest.raises(TypeError, match="keypoints must be real numbers; got complex128"):
        make()({"images": images, "keypoints": np.zeros((2, 1, 2), "complex128")})
    boxes = {"boxes": np.zeros((2, 1, 4)), "labels": np.array([["cat"], ["dog"]])}
    with pytest.raises(TypeError, match="'labels' of boxes must be real numbers"):
        make(bounding_box_format="xyxy")({"images": images, "bounding_boxes": boxes})
    boxes = {"boxes": np.zeros((2, 1, 4), "complex64"), "labels": np.zeros((2, 1))}
    with pytest.raises(TypeError, match="boxes must be real numbers; got complex64"):
        make(bounding_box_format="xyxy")({"images": images, "bounding_boxes": boxes})
