"""RandomHSV: agrees with colorsys pixel by pixel, and draws from the stated ranges."""

import colorsys

import keras
import numpy as np
import pytest

from keras_dcnn.layers import RandomHSV

OFF = {"hue": None, "power": None, "scale": None, "shift": None}


def run(layer, x, **kwargs):
    return keras.ops.convert_to_numpy(layer(x, **kwargs))


def reference(pixel, hue, power, scale, shift):
    """Exemplar-CNN's jitter of one RGB pixel in [0, 1]; of the pairs the first is saturation's."""
    h, s, v = colorsys.rgb_to_hsv(*pixel)
    s = min(max(s ** power[0] * scale[0] + shift[0], 0), 1)
    v = min(max(v ** power[1] * scale[1] + shift[1], 0), 1)
    return colorsys.hsv_to_rgb((h + hue) % 1, s, v)


@pytest.mark.parametrize("power_sampling", ["uniform", "log_uniform"])
@pytest.mark.parametrize("span", [(0, 255), (0, 1), (-1, 1)])
def test_agrees_with_colorsys(power_sampling, span):
    rng = np.random.default_rng(0)
    unit = rng.uniform(size=(6, 5, 5, 3))
    unit[0, 0] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 0, 1]]
    unit[0, 1] = [[1, 1, 0], [0, 1, 1], [1, 0, 1], [0.2, 0.2, 0.1], [0, 1, 0]]
    layer = RandomHSV(power_sampling=power_sampling, value_range=span, seed=4)
    images = (span[0] + unit * (span[1] - span[0])).astype("float32")
    draws = layer.get_random_transformation(images)
    out = keras.ops.convert_to_numpy(layer.transform_images(images, draws))
    drawn = {
        stage: np.array([np.ravel(keras.ops.convert_to_numpy(d)) for d in values])
        for stage, values in draws.items()
    }
    for i in range(len(unit)):
        arguments = [drawn[stage][:, i] for stage in ("power", "scale", "shift")]
        expected = [reference(p, drawn["hue"][0, i], *arguments) for p in unit[i].reshape(-1, 3)]
        result = (out[i].reshape(-1, 3) - span[0]) / (span[1] - span[0])
        np.testing.assert_allclose(result, expected, atol=1e-4)


def test_draws_fill_their_ranges_and_saturation_and_value_are_apart():
    layer = RandomHSV(hue=(-0.05, 0.2), power=(0.5, 3.0), scale=(0.8, 1.1), shift=(0, 0.2), seed=0)
    draws = layer.get_random_transformation(np.zeros((5000, 2, 2, 3)))
    ranges = {"hue": (-0.05, 0.2), "power": (0.5, 3), "scale": (0.8, 1.1), "shift": (0, 0.2)}
    rows = []
    for stage, (low, high) in ranges.items():
        for values in draws[stage]:
            values = np.ravel(keras.ops.convert_to_numpy(values))
            assert values.min() >= low
            assert values.max() <= high
            # standard error of the mean of a uniform: width / √12 / √5000
            assert values.mean() == pytest.approx((low + high) / 2, abs=0.0205 * (high - low))
            rows.append(values)
    correlations = np.corrcoef(rows)[np.triu_indices(7, 1)]
    assert np.abs(correlations).max() < 0.06  # standard error 0.014


def test_log_uniform_power_is_symmetric_and_uniform_is_not():
    above = {}
    for sampling in ("uniform", "log_uniform"):
        layer = RandomHSV(power_sampling=sampling, seed=0)
        draws = layer.get_random_transformation(np.zeros((5000, 2, 2, 3)))["power"]
        above[sampling] = np.mean([keras.ops.convert_to_numpy(d) > 1 for d in draws])
    assert above["uniform"] == pytest.approx(0.8, abs=0.02)
    assert above["log_uniform"] == pytest.approx(0.5, abs=0.02)


def test_a_stage_of_none_is_off():
    x = np.random.default_rng(0).uniform(0, 255, (4, 5, 5, 3)).astype("float32")
    out = run(RandomHSV(**{**OFF, "hue": 0.5}, seed=0), x, training=True)
    np.testing.assert_allclose(out.max(-1), x.max(-1), atol=1e-3)  # the value of HSV
    np.testing.assert_allclose(out.min(-1), x.min(-1), atol=1e-3)  # and with it the saturation
    assert np.abs(out - x).max() > 10


def test_a_dict_gives_saturation_and_value_their_own_ranges():
    x = np.random.default_rng(0).uniform(0, 255, (4, 5, 5, 3)).astype("float32")
    layer = RandomHSV(**{**OFF, "scale": {"saturation": (0.0, 0.0), "value": None}})
    out = run(layer, x, training=True)
    np.testing.assert_allclose(out, np.repeat(x.max(-1, keepdims=True), 3, -1), atol=1e-3)


def test_rounding_outside_the_range_is_clipped():
    x = np.array([[[[-0.2, 255.2, 128.0]]]], "float32")
    out = run(RandomHSV(**{**OFF, "hue": (1.0, 1.0)}), x, training=True)  # a full turn
    np.testing.assert_allclose(out, [[[[0, 255, 128]]]], atol=0.1)


def test_all_stages_off_warns():
    with pytest.warns(UserWarning, match="changes nothing"):
        RandomHSV(**OFF)
    with pytest.warns(UserWarning, match="every stage None or neutral changes nothing"):
        RandomHSV(hue=0, power=(1, 1), scale=None, shift={"saturation": (0, 0), "value": None})


def test_unknown_channels_must_be_said():
    with pytest.raises(ValueError, match=r"None\): say it with `images.set_shape`"):
        RandomHSV()(keras.Input((8, 8, None)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hue": -0.1}, "`hue` must be a finite number of at least 0"),
        ({"power": (0, 2)}, "`power` must be a finite number above 0; got 0"),
        ({"hue": 30}, r"in turns \(divide degrees by 360\); got \(-30, 30\)"),
        ({"power": (1e-9, 1)}, "`power` must lie between 0.01 and 100"),
        ({"power": 2.0}, r"`power` must be a pair \(low, high\); got 2.0"),
        ({"scale": (1.4, 0.7)}, "swap the two"),
        ({"scale": (-1, 1)}, "at least 0"),
        ({"shift": {"saturation": (0, 1)}}, "keys 'saturation' and 'value'"),
        ({"shift": {"saturation": (0, 1), "value": 3}}, "must be a pair"),
        ({"power_sampling": "log"}, "`power_sampling` must be one of"),
        ({"value_range": (1, 0)}, "low ≤ high"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomHSV(**arguments)
