"""Keypoints: missing and lost ones are marked, a third number is their visibility."""

import keras
import numpy as np
import pytest
from layers.entries import SIZE, numpy

from keras_dcnn.layers import RandomAffine, RandomPaddedCrop


def test_visibility_of_keypoints_as_coco_has_it():
    """0 not labelled, 1 hidden, 2 visible: 0 for those that are lost too; in any dtype."""
    points = np.array([[[12, 6, 2], [13, 7, 1], [14, 8, 0], [1, 1, 2], [0, 0, 0]]])
    gone = [-1, -1, 0]
    expected = [[[7, 3, 2], [8, 4, 1], gone, gone, gone]]
    for dtype in ("int32", "float64"):
        data = {"images": np.zeros((1, 16, 20, 3)), "keypoints": points.astype(dtype)}
        out = numpy(RandomPaddedCrop(10, 10)(data, training=False))["keypoints"]
        np.testing.assert_array_equal(out, expected)
        single = keras.tree.map_structure(lambda x: x[0], data)
        out = numpy(RandomPaddedCrop(10, 10)(single, training=False))["keypoints"]
        np.testing.assert_array_equal(out, expected[0])


def test_keypoints_in_tf_data_and_lost_ones_stay_lost_under_flips():
    tf = pytest.importorskip("tensorflow")
    flip = RandomAffine(rotation=None, zoom=None, translation=None, flip="horizontal", seed=0)
    points = np.tile(np.array([[4.0, 3, 2], [-1, -1, 0]]), (8, 1, 1))
    data = {"images": np.zeros((8, 10, 20, 3), "uint8"), "keypoints": points}
    dataset = tf.data.Dataset.from_tensor_slices(data).map(lambda d: flip(d, training=True))
    out = np.array([d["keypoints"] for d in dataset.as_numpy_iterator()])
    np.testing.assert_array_equal(out[:, 1], [[-1, -1, 0]] * 8)
    assert set(map(tuple, out[:, 0].round(3))) == {(4, 3, 2), (16, 3, 2)}


@pytest.mark.parametrize(
    "points", [np.zeros((2, 3, 4)), np.zeros((1, 3, 2)), np.zeros((3, 2)), [[1.0, 2.0]]]
)
def test_keypoints_of_another_shape_are_refused(make, points):
    data = {"images": np.zeros((2, *SIZE, 3)), "keypoints": points}
    with pytest.raises(ValueError, match=r"keypoints of shape \(2, 'count', 2\)"):
        make()(data, training=True)


def test_messages_about_keypoints_speak_of_keypoints(make):
    images = np.zeros((2, *SIZE, 3))
    with pytest.raises(ValueError, match=r"keypoints.*\(-1, -1\) where missing") as error:
        make()({"images": images, "keypoints": np.zeros((2, 3, 4))})
    assert "label" not in str(error.value)
    with pytest.raises(ValueError, match=r"reshape the flat list of COCO to \(…, count, 3\)"):
        make()({"images": images, "keypoints": np.zeros((2, 51))})
    with pytest.raises(ValueError, match="give every image as many"):  # of one image, no flat list
        make()({"images": images, "keypoints": np.zeros((5, 3))})
