"""PCAWhitening and ZCAWhitening: NumPy's five lines, scikit-learn, and what can't be whitened."""

import time

import keras
import numpy as np
import pytest

from keras_dcnn.layers import PCAWhitening, ZCAWhitening
from keras_dcnn.statistics import PixelMoments

pytestmark = pytest.mark.every_backend
BOTH = pytest.mark.parametrize("layer", [PCAWhitening, ZCAWhitening])
D = 60


def correlated(count=400, seed=0, dtype="float32"):
    """Images whose pixels hang together, with variances that differ."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, D)) @ (rng.normal(size=(D, D)) * np.linspace(1, 6, D))
    return (128 + mixed).clip(0, 255).reshape(count, 5, 4, 3).astype(dtype)


def whitened(layer, x, data=None):
    layer.adapt(x if data is None else data)
    return keras.ops.convert_to_numpy(layer(x))


def definition(x, epsilon=1e-5):
    """The tutorial's lines: PCA-whitened, ZCA-whitened."""
    x = x.reshape(len(x), -1).astype("float64")
    x = x - x.mean(0)
    u, s, _ = np.linalg.svd(x.T @ x / len(x))
    white = x @ u / np.sqrt(s + epsilon)
    return white, white @ u.T


@pytest.mark.parametrize("epsilon", [0, 1e-5, 10.0])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_equals_the_definition(epsilon, dtype):
    x = correlated(dtype=dtype)
    pca, zca = definition(x, epsilon)
    out = whitened(PCAWhitening(epsilon=epsilon), x)
    np.testing.assert_allclose(np.abs(out), np.abs(pca), atol=2e-3)
    out = whitened(ZCAWhitening(epsilon=epsilon), x)
    np.testing.assert_allclose(out, zca.reshape(x.shape), atol=2e-3)


@pytest.mark.parametrize("num_components", [None, 1, 17])
def test_agrees_with_scikit_learn_up_to_sign(num_components):
    from sklearn.decomposition import PCA

    x, new = correlated(), correlated(count=20, seed=0)
    oracle = PCA(num_components, whiten=True, svd_solver="full").fit(x.reshape(len(x), D))
    expected = oracle.transform(new.reshape(len(new), D))
    layer = PCAWhitening(num_components, epsilon=0)
    layer.adapt(x)
    out = keras.ops.convert_to_numpy(layer(new))
    # scikit-learn divides the variance by n − 1.
    out = out * np.sqrt((len(x) - 1) / len(x))
    signs = np.sign((out * expected).sum(0))
    np.testing.assert_allclose(out * signs, expected, rtol=2e-3, atol=2e-3)


@BOTH
def test_covariance_becomes_the_identity(layer):
    rows = whitened(layer(), correlated()).reshape(400, -1)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(D), atol=1e-3)


def test_zca_with_some_components_is_pca_turned_back():
    x, count = correlated(), 17
    pca, zca = PCAWhitening(count), ZCAWhitening(count)
    rows = whitened(pca, x)
    projection = keras.ops.convert_to_numpy(pca.projection)
    axes = projection / np.linalg.norm(projection, axis=0)
    np.testing.assert_allclose(whitened(zca, x).reshape(400, D), rows @ axes.T, atol=1e-3)


def test_zca_changes_an_image_least_of_all_whitenings():
    """Kessy, Lewin, Strimmer (2018): any rotation of it is farther from the centred data."""
    x = correlated().reshape(400, D)
    out = whitened(ZCAWhitening(), x)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0]
    centred = x - x.mean(0)
    assert np.square(out - centred).sum() < np.square(out @ rotation - centred).sum()


def test_components_by_falling_variance_and_their_sign():
    layer, x = PCAWhitening(), correlated()
    layer.adapt(x)
    projection = keras.ops.convert_to_numpy(layer.projection)
    assert (np.diff(np.linalg.norm(projection, axis=0)) > 0).all()  # 1/√S
    largest = projection[np.abs(projection).argmax(0), np.arange(D)]
    assert (largest > 0).all()


@BOTH
def test_shapes_of_single_images_batches_and_vectors(layer):
    x = correlated()
    one = layer(num_components=9)
    one.adapt(x)
    pca = layer is PCAWhitening
    for shape in ((5, 4, 3), (2, 5, 4, 3), (0, 5, 4, 3)):
        expected = (*shape[:-3], 9) if pca else shape
        assert tuple(one(np.zeros(shape, "uint8")).shape) == expected
        assert one.compute_output_shape(shape) == expected
    flat = layer(num_components=9)
    flat.adapt(x.reshape(400, D))
    for shape in ((D,), (2, D)):
        assert tuple(flat(np.zeros(shape)).shape) == ((*shape[:-1], 9) if pca else shape)
    symbolic = layer(num_components=9)(keras.Input((5, 4, 3)))
    assert symbolic.shape == ((None, 9) if pca else (None, 5, 4, 3))


@BOTH
def test_without_epsilon_every_component_must_vary(layer):
    few = correlated(count=20)
    with pytest.raises(ValueError, match=r"got 19 that do of 60, from 20 images.*at most 19"):
        layer(epsilon=0).adapt(few)
    with pytest.raises(ValueError, match="set `epsilon` well above"):
        layer(epsilon=1e-60).adapt(few)
    dark = correlated()
    dark[:, 0] = 7
    with pytest.raises(ValueError, match=r"got 48 that do of 60, from 400 images"):
        layer(epsilon=0).adapt(dark)
    rows = whitened(layer(num_components=19, epsilon=0), few).reshape(20, -1)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.square(rows).sum() / 20, 19, rtol=1e-3)
    assert np.isfinite(whitened(layer(), few)).all()


@BOTH
@pytest.mark.parametrize("epsilon", [0, 1e-5])
def test_images_that_are_all_the_same_are_refused(layer, epsilon):
    for data in (np.full((4, 5, 4, 3), 77.7), correlated(count=1), np.zeros((9, 5, 4, 3), "uint8")):
        with pytest.raises(ValueError, match=f"images that differ; all {len(data)} are the same"):
            layer(epsilon=epsilon).adapt(data)


@BOTH
def test_no_more_components_than_dimensions(layer):
    with pytest.raises(ValueError, match=r"num_components=61 for 60 dimensions"):
        layer(num_components=61).adapt(correlated())
    with pytest.raises(ValueError, match=r"num_components=61 for 60 dimensions"):
        layer(num_components=61)(keras.Input((5, 4, 3)))
    with pytest.raises(ValueError, match="the covariance was not kept"):
        layer().adapt(PixelMoments("dimension", covariance=False).update(correlated()))


@BOTH
def test_a_covariance_beyond_the_memory_is_refused_at_once(layer, monkeypatch):
    pages = {"SC_PAGE_SIZE": 2**12, "SC_PHYS_PAGES": 2**24}  # 64 GiB
    monkeypatch.setattr("os.sysconf", pages.__getitem__, raising=False)
    images = np.zeros((2, 224, 224, 3), "uint8")
    message = r"150528 dimensions must fit.* takes 1012\.9 GiB, but this machine has 64\.0 GiB"
    start = time.perf_counter()
    for data in (images, iter([images])):
        one = layer()
        with pytest.raises(ValueError, match=f"adapt of `{one.name}`: .*{message}"):
            one.adapt(data)
    with pytest.raises(ValueError, match=f"{layer.__name__} `.*168.8 GiB, but this machine has 64"):
        layer()(keras.Input((224, 224, 3)))
    assert time.perf_counter() - start < 5  # what would be allocated takes longer
