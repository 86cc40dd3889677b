"""FancyPCA: the paper's shift on [0, 1] statistics, and none of the popular mistakes."""

import keras
import numpy as np
import pytest

from keras_dcnn.layers import FancyPCA

IMAGENET_VALUES = np.array([0.2175, 0.0188, 0.0045])
IMAGENET_VECTORS = np.array(  # one eigenvector per column
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)


def shifts(layer, count, value=128):
    """The RGB shift that each of `count` one-colour images got."""
    images = np.full((count, 2, 2, 3), value, "float32")
    out = keras.ops.convert_to_numpy(layer(images, training=True))
    return (out - images)[:, 0, 0]


@pytest.mark.every_backend
@pytest.mark.parametrize("scale", ["eigenvalue", "stddev"])
def test_shift_has_the_stated_mean_and_covariance(scale):
    std, n = 0.1, 40_000
    drawn = shifts(FancyPCA(std, scale, clip=False, seed=1), n) / 255
    s = IMAGENET_VALUES if scale == "eigenvalue" else np.sqrt(IMAGENET_VALUES)
    expected = IMAGENET_VECTORS @ np.diag((std * s) ** 2) @ IMAGENET_VECTORS.T
    # In the eigenbasis the components are independent: standard errors are known for each.
    along = drawn @ IMAGENET_VECTORS / (std * s)
    np.testing.assert_allclose(along.mean(0), 0, atol=5 / np.sqrt(n))
    np.testing.assert_allclose(np.cov(along.T), np.eye(3), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize("scale", ["eigenvalue", "stddev"])
def test_same_effect_whatever_the_value_range(scale):
    x = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3)).astype("float32")
    out = {
        span: keras.ops.convert_to_numpy(
            FancyPCA(0.5, scale, value_range=span, seed=2)(
                span[0] + x / 255 * (span[1] - span[0]), training=True
            )
        )
        for span in ((0, 255), (0, 1), (-1, 1))
    }
    np.testing.assert_allclose(out[0, 1] * 255, out[0, 255], atol=1e-3)
    np.testing.assert_allclose((out[-1, 1] + 1) / 2 * 255, out[0, 255], atol=1e-3)


def test_one_draw_per_image_the_same_for_all_its_pixels():
    x = np.random.default_rng(0).uniform(50, 200, (5, 3, 4, 3)).astype("float32")
    shift = keras.ops.convert_to_numpy(FancyPCA(seed=0)(x, training=True)) - x
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-4)
    assert np.ptp(shift[:, 0, 0], axis=0).min() > 1e-3


def test_eigenvectors_are_columns_not_rows():
    """Regression: chainercv took the rows, in reverse order."""
    values, vectors = (0.2, 0.0, 0.0), np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    layer = FancyPCA(eigenvalues=values, eigenvectors=vectors, clip=False, seed=0)
    directions = shifts(layer, 20)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(directions @ vectors[:, 0]), 1, atol=1e-4)


def test_components_are_drawn_apart():
    """Regression: albumentations ≤ 1.4 drew one α for all components."""
    along = shifts(FancyPCA(scale="stddev", clip=False, seed=0), 2000) @ IMAGENET_VECTORS
    correlations = np.corrcoef(along.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.1  # standard error 0.022


def test_the_mean_colour_moves():
    """Regression: albumentations since 2024 shifts no mean; koshian2 uses the image's own SVD."""
    x = np.random.default_rng(0).uniform(50, 200, (8, 6, 6, 3)).astype("float32")
    out = keras.ops.convert_to_numpy(FancyPCA(seed=0)(x, training=True))
    assert np.abs(out.mean((1, 2)) - x.mean((1, 2))).max(1).min() > 0.05
    # A grey image has no colours of its own, and moves all the same.
    assert np.abs(shifts(FancyPCA(seed=0), 8)).max(1).min() > 0.05


def test_validation_is_not_augmented():
    """Regression: koshian2/PCAColorAugmentation augmented validation images."""
    x = np.random.default_rng(0).uniform(0, 255, (4, 3, 3, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3, 3, 3)), FancyPCA(1.0, "stddev")])
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)


def test_clip():
    assert shifts(FancyPCA(1.0, "stddev", seed=0), 50, value=255).max() == 0
    assert shifts(FancyPCA(1.0, "stddev", clip=False, seed=0), 50, value=255).max() > 1


@pytest.mark.every_backend
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_adapt_equals_numpy(dtype):
    rng = np.random.default_rng(0)
    base = rng.normal(128, 30, (20, 8, 8, 1)) + rng.normal(0, 8, (20, 8, 8, 3))
    x = np.clip(base, 0, 255).astype(dtype)
    layer = FancyPCA()
    layer.adapt(x, batch_size=7)
    covariance = np.cov(x.reshape(-1, 3).astype("float64").T / 255, bias=True)
    values, vectors = np.array(layer.eigenvalues), np.array(layer.eigenvectors)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, covariance, rtol=1e-8)
    assert (np.diff(values) < 0).all()
    first = FancyPCA(data_format="channels_first")
    first.adapt(np.moveaxis(x, -1, 1))
    np.testing.assert_allclose(first.eigenvalues, values)
    unit = FancyPCA(value_range=(0, 1))
    unit.adapt(x.astype("float32") / 255)
    np.testing.assert_allclose(unit.eigenvalues, values, rtol=1e-5)


def test_adapt_is_kept_in_configuration_and_file_and_changes_the_draws(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype="uint8")
    layer = FancyPCA(seed=0, clip=False)
    before = shifts(FancyPCA(seed=0, clip=False), 4)
    layer.adapt(x)
    again = FancyPCA.from_config(layer.get_config())
    after = shifts(layer, 4)
    np.testing.assert_array_equal(shifts(again, 4), after)
    assert np.abs(after - before).max() > 1e-3
    model = keras.Sequential([keras.Input((2, 2, 3)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    assert loaded.eigenvalues == layer.eigenvalues
    np.testing.assert_array_equal(shifts(loaded, 4), after)


@pytest.mark.every_backend
def test_eigenpairs_travel_with_the_weights(tmp_path):
    def model(layer):
        return keras.Sequential([keras.Input((2, 2, 3)), layer, keras.layers.Dense(2)])

    layer, other = FancyPCA(), FancyPCA()
    layer.adapt(np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype="uint8"))
    model(layer).save_weights(tmp_path / "w.weights.h5")
    model(other).load_weights(tmp_path / "w.weights.h5")
    assert other.eigenvalues == layer.eigenvalues
    assert other.eigenvectors == layer.eigenvectors
    model(FancyPCA()).save_weights(tmp_path / "imagenet.weights.h5")
    model(other).load_weights(tmp_path / "imagenet.weights.h5")
    assert other.eigenvalues == layer.eigenvalues


def test_adapt_lets_rounding_pass():
    x = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    x[0, 0, 0, 0] = np.nextafter(np.float32(255), np.float32(256))
    beyond, within = FancyPCA(), FancyPCA()
    beyond.adapt(x)
    within.adapt(x.clip(0, 255))
    np.testing.assert_allclose(beyond.eigenvalues, within.eigenvalues, rtol=1e-5)


def test_no_spread_warns():
    with pytest.warns(UserWarning, match="std=0 changes nothing"):
        FancyPCA(std=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one image; got none"),
        (np.zeros((0, 4, 4, 3), "uint8"), "at least one image; got none"),
        (np.full((2, 4, 4, 3), 77, "uint8"), "more than one colour"),
        (np.zeros((2, 4, 4, 3), "uint8"), "more than one colour"),
        (np.full((2, 4, 4, 3), 77.7, "float32"), "more than one colour"),
        (np.full((1, 2, 2, 3), np.nan, "float32"), "finite; got NaN"),
        (np.random.default_rng(0).uniform(0, 1, (2, 4, 4, 3)), "set `value_range`"),
        (np.random.default_rng(0).uniform(-9, 255, (2, 4, 4, 3)), "set `value_range`"),
        (np.zeros((2, 4, 4, 1), "uint8"), r"3 channels on axis -1.*got shape \(2, 4, 4, 1\)"),
    ],
)
def test_adapt_refuses(data, message):
    with pytest.raises(ValueError, match=message):
        FancyPCA().adapt(data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"std": -1}, "`std` must be a finite number of at least 0; got -1"),
        ({"scale": "sqrt"}, "`scale` must be one of"),
        ({"value_range": (255, 0)}, "low ≤ high"),
        ({"eigenvalues": (1, 1, 1)}, "given together; got only `eigenvalues`"),
        ({"eigenvectors": np.eye(3)}, "given together; got only `eigenvectors`"),
        ({"eigenvalues": (1, -1, 1), "eigenvectors": np.eye(3)}, "three finite numbers ≥ 0"),
        ({"eigenvalues": (np.inf, 0, 0), "eigenvectors": np.eye(3)}, "three finite numbers ≥ 0"),
        ({"eigenvalues": "abc", "eigenvectors": np.eye(3)}, "three finite numbers ≥ 0"),
        ({"clip": "no"}, "`clip` must be True or False; got 'no'"),
        ({"eigenvalues": (1, 1, 1), "eigenvectors": np.ones((3, 3))}, "orthonormal"),
        ({"eigenvalues": (1, 1, 1), "eigenvectors": np.eye(2)}, "orthonormal"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        FancyPCA(**arguments)
