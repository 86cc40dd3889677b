"""Segmentation masks keep their dtype and have a fill value of their own."""

import numpy as np
import pytest
from layers.entries import SIZE, numpy

from keras_dcnn.layers import RandomAffine, RandomPaddedCrop


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("fill_mode", ["constant", "reflect"])
def test_masks_keep_their_dtype(make, dtype, fill_mode):
    masks = (np.random.default_rng(0).random((3, *SIZE)) > 0.5).astype(dtype)
    data = {"images": np.zeros((3, *SIZE, 3), "uint8"), "segmentation_masks": masks}
    out = numpy(make(fill_mode=fill_mode)(data, training=True)["segmentation_masks"])
    assert out.dtype == dtype
    assert set(np.unique(out)) == {0, 1}


@pytest.mark.parametrize("fill_mode", ["constant", "reflect"])
@pytest.mark.parametrize(("dtype", "value"), [("uint8", 255), ("int32", -1), ("float32", 0.5)])
def test_masks_have_a_fill_value_of_their_own(fill_mode, dtype, value):
    """A mask of ones shifted by hand, whatever the images are filled with."""
    masks, images = np.ones((1, 6, 8), dtype), np.full((1, 6, 8, 3), 9, "uint8")
    data = {"images": images, "segmentation_masks": masks}
    how = {"fill_mode": fill_mode, "fill_value": 7, "mask_fill_value": value}
    shift = {"height": (0.5, 0.5), "width": (-0.25, -0.25)}
    affine = RandomAffine(rotation=None, zoom=None, translation=shift, **how)
    expected = np.full((1, 6, 8), value, dtype)
    expected[:, 3:, :6] = 1
    out = numpy(affine(data, training=True))
    assert out["segmentation_masks"].dtype == dtype
    np.testing.assert_array_equal(out["segmentation_masks"], expected)
    assert out["images"][0, 0, 0, 0] == (7 if fill_mode == "constant" else 9)
    out = numpy(RandomPaddedCrop(10, 10, padding=2, **how)(data, training=False))
    padding = ((0, 0), (2, 2), (1, 1))
    expected = np.pad(masks, padding, constant_values=np.array(value, dtype))
    np.testing.assert_array_equal(out["segmentation_masks"], expected)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("uint8", -1), ("uint8", 256), ("int32", 0.5), ("bool", 255), ("float16", 1e6)],
)
def test_a_fill_value_that_masks_cannot_hold_is_refused(make, dtype, value):
    data = {"images": np.zeros((1, *SIZE, 3)), "segmentation_masks": np.zeros((1, *SIZE), dtype)}
    with pytest.raises(ValueError, match=f"mask_fill_value={value}, which masks of {dtype}"):
        make(mask_fill_value=value)(data, training=True)


@pytest.mark.parametrize("shape", [(1, 5, 22), (1, 26, 21, 3), (26, 22), (1,)])
def test_masks_of_another_size_are_refused(make, shape):
    data = {"images": np.zeros((1, *SIZE, 3)), "segmentation_masks": np.zeros(shape)}
    with pytest.raises(ValueError, match="masks of the height and width of the images"):
        make()(data, training=True)
