"""RandomPaddedCrop: every window of the padded image, per image, equally often."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import RandomPaddedCrop


def run(layer, x, training=True):
    return keras.ops.convert_to_numpy(layer(x, training=training))


def image(height=6, width=5):
    """Every pixel is another, above 0."""
    return 1 + np.arange(height * width * 2).reshape(1, height, width, 2).astype("uint8")


def windows(padded, height, width):
    rows, columns = padded.shape[0] - height + 1, padded.shape[1] - width + 1
    return {
        (i, j): padded[i : i + height, j : j + width] for i in range(rows) for j in range(columns)
    }


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("fill_mode", "numpy_mode"),
    [("constant", "constant"), ("reflect", "symmetric"), ("nearest", "edge"), ("wrap", "wrap")],
)
def test_every_window_of_the_padded_image_equally_often(flip, fill_mode, numpy_mode):
    x, n = image(), 3000
    more = {"constant_values": 9} if fill_mode == "constant" else {}
    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)), mode=numpy_mode, **more)
    expected = windows(padded, 6, 5)
    layer = RandomPaddedCrop(6, 5, 1, flip, fill_mode=fill_mode, fill_value=9, seed=0)
    kinds, counts = np.unique(run(layer, np.repeat(x, n, 0)), axis=0, return_counts=True)
    possible = [w for w in expected.values()]
    possible += [w[:, ::-1] for w in expected.values()] if flip else []
    assert len(kinds) == len(possible) == 9 * (1 + flip)
    for kind in kinds:
        assert any(np.array_equal(kind, window) for window in possible)
    mean = n / len(possible)
    assert np.abs(counts - mean).max() < 5 * np.sqrt(mean)


def test_from_a_larger_image_and_the_centre_at_inference():
    x = np.random.default_rng(0).integers(0, 256, (4, 9, 12, 3), dtype="uint8")
    layer = RandomPaddedCrop(5, 6, seed=0)
    for one, whole in zip(run(layer, x), x, strict=True):
        assert any(np.array_equal(one, window) for window in windows(whole, 5, 6).values())
    np.testing.assert_array_equal(run(layer, x, training=False), x[:, 2:7, 3:9])
    odd = RandomPaddedCrop(4, 5)
    np.testing.assert_array_equal(run(odd, x, training=False), x[:, 2:6, 3:8])


def test_larger_than_the_image_but_not_than_the_padded_one():
    x = image()
    out = run(RandomPaddedCrop(8, 7, padding=1), x)
    np.testing.assert_array_equal(out[0], np.pad(x[0], ((1, 1), (1, 1), (0, 0))))
    np.testing.assert_array_equal(run(RandomPaddedCrop(8, 7, padding=1), x, False), out)


@pytest.mark.parametrize("training", [True, False])
def test_too_small_images_are_refused(training):
    layer = RandomPaddedCrop(10, 5, padding=1)
    with pytest.raises(ValueError, match=r"at least height=10.*got images of height 6: resize"):
        layer(image(), training=training)
    with pytest.raises(ValueError, match="got images of height 6"):
        layer(keras.Input((6, 5, 2)))
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_generator(
        lambda: iter([image()[0]]), output_signature=tf.TensorSpec((None, None, 2), "uint8")
    ).map(lambda x: layer(x, training=training))
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least height=10"):
        next(iter(dataset))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 0, "width": 4}, "`height` must be a whole number of at least 1; got 0"),
        ({"height": 4, "width": 4.5}, "`width` must be a whole number"),
        ({"height": 4, "width": 4, "padding": -1}, "`padding` must be a whole number"),
        ({"height": 4, "width": 4, "flip": "horizontal"}, "`flip` must be True or False"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomPaddedCrop(**arguments)
