"""Features of all asked layers in one pass: what they are, what they cost, and that they last."""

import json

import keras
import numpy as np
import pytest

from keras_dcnn.fine_tuning._features import extract
from keras_dcnn.models import small_cnn

layers = keras.layers
rng = np.random.default_rng(0)
X, Y = rng.integers(0, 256, (20, 8, 8, 3)).astype("float32"), np.arange(20) % 3


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="one")(inputs)
    x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(5, 3, strides=2, name="two")(x)
    return keras.Model(inputs, layers.BatchNormalization(name="norm")(x))


class Batches(keras.utils.PyDataset):
    """Batches of the data; at one of them the process dies."""

    def __init__(self, *arrays, dies_at=None, size=6):
        super().__init__()
        self.arrays, self.dies_at, self.size = arrays, dies_at, size

    @property
    def num_batches(self):
        return -(-len(self.arrays[0]) // self.size)

    def __getitem__(self, i):
        if i == self.dies_at:
            raise KeyboardInterrupt
        return tuple(one[i * self.size : (i + 1) * self.size] for one in self.arrays)


def rows(network, data, layers=("one", "norm"), **options):
    return extract(network, data, layers, **{"batch_size": 8, "verbose": 0, **options})


def mean_over_places(network, x, name):
    output = network.get_layer(name).output
    maps = keras.Model(network.inputs, output).predict(x, verbose=0)
    return maps.astype("float64").reshape(len(x), -1, maps.shape[-1]).mean(1)


@pytest.mark.every_backend
def test_features_are_the_mean_over_the_places_of_each_layer(network):
    found = rows(network, (X, Y))
    assert found.names == ("one", "norm")
    assert found.num_classes == 3
    for name, one in zip(found.names, found.rows, strict=True):
        assert one.dtype == "float32"
        np.testing.assert_allclose(one, mean_over_places(network, X, name), rtol=1e-4, atol=1e-3)


@pytest.mark.every_backend
def test_channels_first(backend):
    if backend == "tensorflow":
        pytest.skip("TensorFlow has no convolution of channels first on a CPU")
    inputs = keras.Input((3, 8, 6))
    conv = layers.Conv2D(5, 3, data_format="channels_first")
    network = keras.Model(inputs, conv(inputs))
    x = X[:, :6].transpose(0, 3, 2, 1)
    expected = network.predict(x, verbose=0).mean((2, 3))
    np.testing.assert_allclose(rows(network, (x, Y), "last").rows[0], expected, rtol=1e-4)


def test_last_and_all():
    network = small_cnn((16, 16, 3), 4)
    body = keras.Model(network.inputs, network.layers[-1].input)
    x = np.zeros((2, 16, 16, 3), "float32")
    last, every = rows(body, (x, Y[:2]), "last"), rows(body, (x, Y[:2]), "all")
    assert every.names[-1:] == last.names
    assert len(every.names) > 3
    np.testing.assert_array_equal(every.rows[-1], last.rows[0])


@pytest.mark.parametrize("kind", ["arrays", "batches"])
def test_samples_of_weight_0_are_left_out(network, kind):
    weights = np.where(np.arange(20) < 7, 0.0, 2.0)
    x = np.where(weights[:, None, None, None] > 0, X, np.nan)
    data = (x, np.eye(3)[Y], weights)
    found = rows(network, data if kind == "arrays" else Batches(*data))
    np.testing.assert_array_equal(found.y, Y[7:])
    np.testing.assert_array_equal(found.sample_weight, np.full(13, 2.0))
    np.testing.assert_allclose(found.rows[0], rows(network, (X, Y)).rows[0][7:], rtol=1e-5)


@pytest.mark.every_backend
def test_the_network_stays_as_it_is(network):
    variables = [*network.variables, *network.non_trainable_variables]
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    rows(network, (X, Y), "all")
    for old, variable in zip(before, variables, strict=True):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(variable))


def test_data_of_unknown_length(network, backend):
    if backend == "torch":
        import torch

        class Stream(torch.utils.data.IterableDataset):
            def __iter__(self):
                yield from zip(X, Y, strict=True)

        data = torch.utils.data.DataLoader(Stream(), batch_size=7)
    else:
        import tensorflow as tf

        kinds = (tf.TensorSpec((None, 8, 8, 3)), tf.TensorSpec((None,), "int64"))
        parts = [(X[i : i + 7], Y[i : i + 7]) for i in (0, 7, 14)]
        data = tf.data.Dataset.from_generator(lambda: iter(parts), output_signature=kinds)
    found = rows(network, data)
    np.testing.assert_allclose(found.rows[1], rows(network, (X, Y)).rows[1], rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="more than max_bytes=300"):
        rows(network, data, max_bytes=300)


def test_mixed_precision():
    with _policy("mixed_float16"):
        inputs = keras.Input((8, 8, 3))
        network = keras.Model(inputs, layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(inputs)))
    (found,) = rows(network, (X, Y), "last").rows
    assert found.dtype == "float32"
    expected = network.predict(X, verbose=0).astype("float64").mean((1, 2))
    np.testing.assert_allclose(found, expected, atol=2e-3)


class _policy:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.old = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_):
        keras.config.set_dtype_policy(self.old)


def spoil(directory):
    """Change the first number of the first layer, by which one sees whether it is read again."""
    first = np.load(directory / "features-000.npy", mmap_mode="r+")
    first[0, 0] = 12345
    first.flush()


def test_features_on_disk_are_found_again(network, tmp_path, capsys):
    expected = rows(network, (X, Y))
    found = rows(network, (X, Y), directory=tmp_path / "a")
    for one, other in zip(found.rows, expected.rows, strict=True):
        assert isinstance(one, np.memmap)
        np.testing.assert_array_equal(one, other)
    del found, one
    spoil(tmp_path / "a")
    again = rows(network, Batches(X, Y), directory=tmp_path / "a", verbose=1)
    assert "20 × 9 numbers, 720 bytes, in" not in capsys.readouterr().out  # at most 24
    assert again.rows[0][0, 0] == 12345
    np.testing.assert_array_equal(again.y, Y)


@pytest.mark.parametrize("other", ["images", "order", "weights", "layers", "fewer"])
def test_features_of_others_are_never_taken(network, tmp_path, other):
    rows(network, (X, Y), directory=tmp_path)
    spoil(tmp_path)
    x, asked = X, ("one", "norm")
    if other == "images":
        x = X.copy()
        x[13, 4, 4, 1] += 1
    x = X[::-1] if other == "order" else X[:11] if other == "fewer" else x
    asked = ("two", "norm") if other == "layers" else asked
    kernel = network.get_layer("one").kernel
    if other == "weights":
        kernel.assign(kernel + 1e-3)
    found = rows(network, (x, Y[: len(x)]), asked, directory=tmp_path).rows
    for one, fresh in zip(found, rows(network, (x, Y[: len(x)]), asked).rows, strict=True):
        np.testing.assert_array_equal(one, fresh)


def test_a_run_that_was_killed_goes_on(network, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        rows(network, Batches(X, Y, dies_at=2), directory=tmp_path)
    assert json.loads((tmp_path / "features.json").read_text())["rows"] == 12
    spoil(tmp_path)
    for path in tmp_path.glob("*.npy"):  # as a kill leaves it, behind the last state
        path.write_bytes(path.read_bytes() + b"half a row")
    found = rows(network, Batches(X, Y, size=4), directory=tmp_path).rows
    expected = [np.array(one) for one in rows(network, (X, Y)).rows]
    assert found[0][0, 0] == 12345  # nothing is computed twice
    expected[0][0, 0] = 12345
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


def test_more_than_the_disk_has(network, tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(ValueError, match=r"take 720 bytes; .*/new has room for 100: choose"):
        rows(network, (X, Y), directory=tmp_path / "new")
    assert not (tmp_path / "new").exists()


NAN = np.where(np.arange(20)[:, None, None, None] == 3, np.nan, X)


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        ((X[:, :4], Y), {}, r"the size that `\w+` takes, \(8, 8, 3\); got \(4, 8, 3\): resize"),
        ((NAN, Y), {}, "images must be finite; got NaN"),
        ((X, Y + 0.5), {}, "`y` must be classes, whole numbers from 0; got 0.5"),
        ((X, Y - 1), {}, "got -1: number the classes"),
        ((X, np.full((20, 3), 1 / 3)), {}, "not 0 but for one 1"),
        ((X, Y, np.zeros(20)), {}, "at least one sample that counts"),
        ((X, Y, np.full(20, -1.0)), {}, "`sample_weight` must be a finite number ≥ 0"),
        ((X, Y[:19]), {}, "as many samples"),
        ((X,), {}, r"must be \(x, y\) or \(x, y, sample_weight\), .*; got 1 in it"),
        ((X, Y), {"layers": ["three"]}, "a list of names of layers; got .'three'., and .* 'one'"),
        ((X, Y), {"layers": "first"}, "must be 'last', 'all', or a list of names"),
        ((X, Y), {"max_bytes": 719}, "20 rows of 9 numbers take 720: name fewer"),
        ((X, Y), {"batch_size": 0}, "`batch_size` must be a whole number of at least 1"),
        ((X, Y), {"directory": ""}, "`directory` must be a path"),
    ],
)
def test_what_can_not_be_read(network, data, options, match):
    with pytest.raises(ValueError, match=match):
        rows(network, data, **options)


def test_features_that_are_not_finite():
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="conv")])
    network.layers[0].bias.assign([0.0, np.inf])
    with pytest.raises(ValueError, match="layer `conv` gives NaN or infinity for sample 0"):
        rows(network, (X, Y), "last")
