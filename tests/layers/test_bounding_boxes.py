"""Bounding boxes: Keras's formats, ragged ones, labels of any kind, and what is refused."""

import keras
import numpy as np
import pytest
from layers.entries import SIZE, numpy

from keras_dcnn.layers import RandomPaddedCrop
from keras_dcnn.layers._bounding_boxes import FORMATS, from_corners, to_corners


@pytest.mark.parametrize("box_format", FORMATS)
def test_box_formats_agree_with_keras(box_format):
    corners = np.array([[[2.0, 3, 7, 9], [0, 0, 10, 20]]], "float32")
    given = keras.utils.bounding_boxes.convert_format(
        corners, "xyxy", box_format, height=20, width=10
    )
    found = to_corners(given, box_format, 20.0, 10.0, keras.ops)
    np.testing.assert_allclose(np.stack([numpy(x) for x in found], -1), corners, atol=1e-5)
    back = from_corners(*found, box_format, 20.0, 10.0, keras.ops)
    np.testing.assert_allclose(numpy(back), numpy(given), atol=1e-5)


def test_ragged_boxes_are_filled_up():
    tf = pytest.importorskip("tensorflow")
    layer = RandomPaddedCrop(10, 10, bounding_box_format="xyxy")
    boxes = tf.ragged.constant([[[5.0, 5, 9, 9]], [[5.0, 5, 9, 9], [6, 6, 8, 8]]], inner_shape=(4,))
    classes = tf.ragged.constant([[1], [2, 3]], dtype="uint8")
    data = {
        "images": np.zeros((2, 12, 12, 3)),
        "bounding_boxes": {"boxes": boxes, "classes": classes},
    }
    dataset = tf.data.Dataset.from_tensors(data).map(lambda d: layer(d, training=False))
    ((out),) = (d["bounding_boxes"] for d in dataset.as_numpy_iterator())
    lost = [-1] * 4
    np.testing.assert_array_equal(
        out["boxes"], [[[4, 4, 8, 8], lost], [[4, 4, 8, 8], [5, 5, 7, 7]]]
    )
    np.testing.assert_array_equal(out["classes"], [[1, -1], [2, 3]])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"boxes": np.zeros((1, 1, 4)), "labels": np.zeros((1, 1))}, "bounding_box_format=None"),
        ({"boxes": np.zeros((1, 1, 4))}, "'boxes' and 'labels'"),
        (np.zeros((1, 1, 4)), "'boxes' and 'labels'"),
    ],
)
def test_bad_boxes(make, entry, message):
    given = {} if "format=None" in message else {"bounding_box_format": "xyxy"}
    with pytest.raises(ValueError, match=message):
        make(**given)({"images": np.zeros((1, *SIZE, 3)), "bounding_boxes": entry})


def test_one_hot_and_unsigned_box_labels(make):
    boxes = np.tile([[[8.0, 8, 14, 14], [3, 3, 3, 3]]], (2, 1, 1))
    for labels, lost in (
        (np.array([[255, 7]] * 2, "uint8"), [255, -1]),
        (np.tile(np.eye(2), (2, 1, 1)), [[1, 0], [-1, -1]]),
    ):
        data = {
            "images": np.zeros((2, *SIZE, 3)),
            "bounding_boxes": {"boxes": boxes, "labels": labels},
        }
        out = numpy(make(bounding_box_format="xyxy")(data, training=True))["bounding_boxes"]
        np.testing.assert_array_equal(out["labels"], [lost] * 2)
