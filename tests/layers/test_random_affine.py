"""RandomAffine: the maps in the stated order, with the stated signs, from the stated ranges."""

import keras
import numpy as np
import pytest
from scipy import ndimage

from keras_dcnn.layers import RandomAffine

OFF = {"rotation": None, "zoom": None, "translation": None}


def run(layer, x):
    return keras.ops.convert_to_numpy(layer(x, training=True))


def drawn(layer, images):
    draws = layer.get_random_transformation(keras.ops.convert_to_tensor(images))
    return {name: keras.ops.convert_to_numpy(draw) for name, draw in draws.items()}


def fixed(value):
    return (value, value)


def photo(count=1, height=20, width=30):
    noise = np.random.default_rng(0).uniform(0, 255, (count, height, width, 3))
    return ndimage.gaussian_filter(noise, (0, 2, 2, 0)).astype("float32")


def test_matrix_is_the_inverse_of_flip_zoom_shear_rotate():
    """In the order stated, as 2×2 matrices on (x, y), y down, multiplied by NumPy."""
    layer = RandomAffine(
        rotation=fixed(0.08),
        zoom=fixed(1.3),
        translation={"height": fixed(0.1), "width": fixed(-0.2)},
        shear={"height": fixed(0.15), "width": fixed(0.3)},
        flip="horizontal_and_vertical",
        seed=0,
    )
    draws = drawn(layer, photo(40))
    angle = 0.08 * 2 * np.pi
    rotate = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, 0.3], [0, 1]]) @ np.array([[1, 0], [0.15, 1]])
    centre, shift = np.array([14.5, 9.5]), np.array([-0.2 * 30, 0.1 * 20])
    swap = np.eye(2)[::-1]  # (x, y) ↔ (row, column)
    seen = set()
    for matrix, offset in zip(draws["matrix"], draws["offset"], strict=True):
        flips = [
            np.diag(f)
            for f in [(1, 1), (-1, 1), (1, -1), (-1, -1)]
            if np.allclose(
                swap @ matrix @ swap @ (rotate @ shear @ (1.3 * np.diag(f))), np.eye(2), atol=1e-5
            )
        ]
        assert len(flips) == 1
        seen.add(tuple(np.diag(flips[0])))
        point = np.array([3.0, 4.0])  # of the input: where it goes, and back
        out = rotate @ shear @ (1.3 * flips[0]) @ (point - centre) + centre + shift
        np.testing.assert_allclose((matrix @ out[::-1] + offset)[::-1], point, atol=1e-3)
    assert len(seen) == 4


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_image_agrees_with_scipy_inside_the_border(interpolation):
    x = photo(8)
    layer = RandomAffine(shear=0.2, flip="horizontal", interpolation=interpolation, seed=1)
    draws = drawn(layer, x)
    again = RandomAffine(shear=0.2, flip="horizontal", interpolation=interpolation, seed=1)
    out = run(again, x)
    for i, channel in np.ndindex(8, 3):
        matrix, offset = draws["matrix"][i].astype("float64"), draws["offset"][i].astype("float64")
        order = int(interpolation == "bilinear")
        expected = ndimage.affine_transform(
            x[i, ..., channel].astype("float64"), matrix, offset, order=order, cval=np.nan
        )
        inside = np.isfinite(expected)
        assert inside.mean() > 0.3
        difference = np.abs(out[i, ..., channel] - expected)[inside]
        # A nearest pixel half way between two may go either way.
        assert np.mean(difference > 1e-2) <= (0 if order else 0.01)


def test_positive_is_counter_clockwise_down_right_and_larger():
    x = np.zeros((1, 21, 21, 1), "float32")
    x[0, 10, 16] = 100  # on the right
    turned = run(RandomAffine(**{**OFF, "rotation": fixed(0.25)}), x)
    assert np.unravel_index(turned.argmax(), turned.shape)[1:3] == (4, 10)  # on top
    shift = {"height": fixed(2 / 21), "width": fixed(3 / 21)}
    moved = run(RandomAffine(**{**OFF, "translation": shift}), x)
    assert np.unravel_index(moved.argmax(), moved.shape)[1:3] == (12, 19)
    x[0, 8:13, 8:13] = 100
    assert run(RandomAffine(**{**OFF, "zoom": fixed(1.5)}), x).sum() > 1.5 * x.sum()
    sheared = run(RandomAffine(**OFF, shear={"height": None, "width": fixed(0.5)}), x)
    columns = sheared[0, ..., 0] @ np.arange(21) / sheared[0, ..., 0].sum(1).clip(1e-9)
    assert columns[12] > columns[8]  # lower rows go right


@pytest.mark.parametrize(("flip", "axes"), [("horizontal", {(2,)}), ("vertical", {(1,)})])
def test_flip_alone_is_exact_and_in_half_of_the_draws(flip, axes):
    x = np.repeat(photo(), 200, 0)
    out = run(RandomAffine(**OFF, flip=flip, seed=0), x)
    ((axis,),) = axes
    flipped = [np.allclose(one, np.flip(x[0], axis - 1), atol=1e-3) for one in out]
    same = [np.allclose(one, x[0], atol=1e-3) for one in out]
    assert np.logical_xor(flipped, same).all()
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.15)  # standard error 0.035


def test_draws_fill_their_ranges():
    layer = RandomAffine(rotation=(-0.1, 0.2), zoom=(0.5, 2.0), translation=(-0.1, 0.3), seed=0)
    draws = drawn(layer, np.zeros((4000, 20, 10, 1), "float32"))
    m = draws["matrix"]
    zoom = np.log(1 / np.sqrt(np.linalg.det(m)))
    angle = np.arctan2(m[:, 0, 1], m[:, 0, 0]) / (2 * np.pi)
    centre = np.array([9.5, 4.5])
    forward = np.linalg.solve(m, (centre - draws["offset"])[..., None])[..., 0] - centre
    shift = forward / [20, 10]
    expected = [(-np.log(2), np.log(2)), (-0.1, 0.2), (-0.1, 0.3), (-0.1, 0.3)]
    rows = [zoom, angle, shift[:, 0], shift[:, 1]]
    for values, (low, high) in zip(rows, expected, strict=True):
        width = high - low
        assert values.min() == pytest.approx(low, abs=0.01 * width)
        assert values.max() == pytest.approx(high, abs=0.01 * width)
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.023 * width)  # 5 errors
    assert np.abs(np.corrcoef(rows)[np.triu_indices(4, 1)]).max() < 0.08


def test_numbers_stand_for_symmetric_ranges():
    layer = RandomAffine(rotation=0.1, zoom=0.25, seed=0)
    pair = RandomAffine(rotation=(-0.1, 0.1), zoom=(0.8, 1.25), seed=0)
    x = photo(4)
    np.testing.assert_allclose(run(layer, x), run(pair, x), atol=1e-2)


def test_height_and_width_zoom_by_draws_of_their_own():
    zoom = {"height": (1.5, 2.0), "width": 0.25}
    draws = drawn(RandomAffine(**{**OFF, "zoom": zoom}, seed=0), np.zeros((2000, 9, 7, 1), "uint8"))
    assert np.abs(draws["matrix"][:, [0, 1], [1, 0]]).max() < 1e-6
    height, width = 1 / draws["matrix"][:, 0, 0], 1 / draws["matrix"][:, 1, 1]
    for values, (low, high) in ((height, (1.5, 2)), (width, (0.8, 1.25))):
        assert values.min() == pytest.approx(low, abs=0.01)
        assert values.max() == pytest.approx(high, abs=0.01)
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.12  # 5 errors
    draws = drawn(RandomAffine(**{**OFF, "zoom": (0.5, 2.0)}, seed=0), np.zeros((9, 9, 7, 1)))
    np.testing.assert_allclose(draws["matrix"][:, 0, 0], draws["matrix"][:, 1, 1])


def test_zoom_of_one_axis_leaves_the_other():
    """Twice as wide about the centre: each column of the middle half twice, by hand."""
    x = np.arange(24, dtype="float32").reshape(1, 3, 8, 1)
    zoom = {"height": None, "width": fixed(2.0)}
    out = run(RandomAffine(**{**OFF, "zoom": zoom}, interpolation="nearest"), x)
    np.testing.assert_array_equal(out, np.repeat(x[:, :, 2:6], 2, axis=2))


def test_bicubic_of_whole_and_half_pixels():
    x = photo(2, 6, 16)
    shift = {"height": None, "width": fixed(3 / 16)}
    how = {"fill_mode": "constant", "interpolation": "bicubic"}
    out = run(RandomAffine(**{**OFF, "translation": shift}, **how), x)
    np.testing.assert_allclose(out[:, :, 3:], x[:, :, :-3], atol=1e-2)
    shift = {"height": None, "width": fixed(0.5 / 16)}
    out = run(RandomAffine(**{**OFF, "translation": shift}, **how), x)
    taps = [x[:, :, i : 13 + i] for i in range(4)]
    expected = sum(w * tap for w, tap in zip((-1, 9, 9, -1), taps, strict=True)) / 16
    held = np.minimum(x.min((1, 2), keepdims=True), 0), x.max((1, 2), keepdims=True)  # 0: the fill
    expected = np.clip(expected, *held)
    np.testing.assert_allclose(out[:, :, 2:15], expected, atol=1e-2)


def test_uint8_and_float_images_give_the_same():
    x = np.random.default_rng(0).integers(0, 256, (3, 9, 8, 3), dtype="uint8")
    floats = run(RandomAffine(seed=0), x.astype("float32"))
    np.testing.assert_allclose(run(RandomAffine(seed=0), x), floats, atol=1e-3)


def test_nothing_to_do_warns():
    with pytest.warns(UserWarning, match="changes nothing"):
        RandomAffine(rotation=0, zoom=None, translation=0.0)
    with pytest.warns(UserWarning, match=r"all ranges None or 0 \(zoom: 1\) changes nothing"):
        RandomAffine(rotation=None, zoom=(1, 1), translation=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rotation": 15}, r"in turns \(divide degrees by 360\); got \(-15, 15\)"),
        ({"translation": 4}, "divide pixels by them"),
        ({"shear": 10}, "tangent of the angle"),
        ({"zoom": (0.5, 1e9)}, "`zoom` must lie between 0.01 and 100"),
        ({"rotation": -0.1}, "`rotation` must be a finite number of at least 0"),
        ({"zoom": (0, 2)}, "`zoom` must be a finite number above 0"),
        ({"zoom": "big"}, "`zoom` must be a finite number"),
        ({"translation": (0.2, 0.1)}, "swap the two numbers"),
        ({"shear": {"height": 0.1}}, "keys 'height' and 'width'; got"),
        ({"flip": True}, "`flip` must be one of 'horizontal', 'vertical'"),
        ({"fill_mode": "edge"}, "`fill_mode` must be one of"),
        ({"fill_value": np.nan}, "`fill_value` must be a finite number"),
        ({"interpolation": "cubic"}, "`interpolation` must be one of"),
        ({"zoom": {"height": (0.5, 2)}}, "`zoom` as a dict must have the keys 'height' and"),
        ({"zoom": {"height": None, "width": (0, 2)}}, "`zoom` must be a finite number above 0"),
        ({"mask_fill_value": "ignore"}, "`mask_fill_value` must be a finite number"),
        ({"bounding_box_format": "coco"}, "`bounding_box_format` must be one of"),
        ({"data_format": "NHWC"}, "`data_format` must be one of"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomAffine(**arguments)
