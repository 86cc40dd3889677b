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


def keys(distance):
    """Keys (1981), equation 15: the kernel with a = −1/2."""
    x = np.abs(distance)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


@pytest.mark.parametrize("fill_mode", MODES)
def test_bicubic_is_the_sum_over_keys_kernel(fill_mode):
    """Over the image padded by NumPy, clipped to what each channel holds."""
    rng, pad = np.random.default_rng(0), 30
    images = rng.integers(0, 256, (3, 9, 11, 2), dtype="uint8")
    matrix = np.eye(2) + rng.normal(0, 0.3, (3, 2, 2))
    offset = rng.normal(0, 5, (3, 2))
    modes = {"reflect": "symmetric", "nearest": "edge"}
    more = {"constant_values": 7} if fill_mode == "constant" else {}
    coordinates = affine_coordinates(matrix.astype("float32"), offset.astype("float32"), 7, 8)
    tensor = keras.ops.convert_to_tensor(images)
    out = keras.ops.convert_to_numpy(resample(tensor, *coordinates, "bicubic", fill_mode, 7))
    rows, columns = np.indices((7, 8))
    for i, channel in np.ndindex(3, 2):
        one = images[i, ..., channel].astype("float64")
        padded = np.pad(one, pad, mode=modes.get(fill_mode, fill_mode), **more)
        y, x = (m[0] * rows + m[1] * columns + b for m, b in zip(matrix[i], offset[i], strict=True))
        down = keys(y[..., None] - (np.arange(padded.shape[0]) - pad))
        right = keys(x[..., None] - (np.arange(padded.shape[1]) - pad))
        expected = np.einsum("hwr,rc,hwc->hw", down, padded, right)
        held = [*one.ravel(), *more.values()]
        expected = np.clip(expected, min(held), max(held))
        np.testing.assert_allclose(out[i, ..., channel], expected, atol=0.01)


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
