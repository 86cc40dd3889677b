"""_resampling: agrees with scipy.ndimage.affine_transform, in the image and beyond its border."""

import keras
import numpy as np
import pytest
from scipy import ndimage

from keras_dcnn.layers._resampling import affine_coordinates, fold, resample

pytestmark = pytest.mark.every_backend
MODES = {
    "reflect": "reflect",
    "wrap": "grid-wrap",
    "nearest": "nearest",
    "constant": "grid-constant",
}


@pytest.mark.parametrize("fill_mode", MODES)
@pytest.mark.parametrize(("interpolation", "order"), [("nearest", 0), ("bilinear", 1)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_agrees_with_scipy(fill_mode, interpolation, order, dtype):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 9, 11, 2)).astype(dtype)
    matrix = np.eye(2) + rng.normal(0, 0.5, (5, 2, 2))
    offset = rng.normal(0, 9, (5, 2))
    coordinates = affine_coordinates(matrix.astype("float32"), offset.astype("float32"), 7, 8)
    tensor = keras.ops.convert_to_tensor(images)
    out = keras.ops.convert_to_numpy(resample(tensor, *coordinates, interpolation, fill_mode, 7))
    for i, channel in np.ndindex(5, 2):
        expected = ndimage.affine_transform(
            images[i, ..., channel].astype("float64"),
            matrix[i],
            offset[i],
            output_shape=(7, 8),
            order=order,
            mode=MODES[fill_mode],
            cval=7,
        )
        np.testing.assert_allclose(out[i, ..., channel], expected, atol=1e-3)


@pytest.mark.parametrize("size", [1, 2, 3, 224])
@pytest.mark.parametrize(
    ("fill_mode", "numpy_mode"), [("reflect", "symmetric"), ("wrap", "wrap"), ("nearest", "edge")]
)
def test_fold_agrees_with_numpy_padding(size, fill_mode, numpy_mode):
    padding = 5 * size + 2
    index = np.arange(-padding, size + padding).astype("float32")
    folded = keras.ops.convert_to_numpy(
        fold(keras.ops.convert_to_tensor(index), float(size), fill_mode)
    )
    np.testing.assert_array_equal(folded, np.pad(np.arange(size), padding, mode=numpy_mode))
