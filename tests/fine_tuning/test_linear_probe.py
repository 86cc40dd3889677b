"""linear_probe: a model from images to classes by the features of a network that stays as it is."""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_dcnn.fine_tuning import Probe, linear_probe

layers = keras.layers


def task(samples=45, classes=3, seed=0):
    """Images whose class is their colour."""
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    x = rng.uniform(0, 200, (samples, 8, 8, 3))
    x[..., :] += 55 * np.eye(3)[y][:, None, None]
    return x.astype("float32"), y


X, Y = task()


@pytest.fixture(scope="module")
def network():
    """The first layer knows the colours; the last says nothing."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="one")(layers.Rescaling(1 / 255)(inputs))
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(60, 3, kernel_initializer="zeros", name="two")(layers.Dropout(0.5)(x))
    return keras.Model(inputs, layers.Dense(7, "softmax")(layers.Flatten()(x)))


def values(model):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]


@pytest.mark.every_backend
@pytest.mark.parametrize("head", ["logistic", "svm"])
def test_the_model_answers_as_the_head_on_held_out_images(network, head):
    before = values(network)
    held_out = task(30, seed=1)
    probe = linear_probe(network, (X, Y), held_out, "all", head, verbose=0)
    p = probe.model.predict(held_out[0], verbose=0)
    assert p.dtype == "float32"
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert (p.argmax(1) == held_out[1]).mean() == pytest.approx(probe.accuracy)
    assert probe.accuracy > 0.9
    assert probe.model.evaluate(*held_out, verbose=0)[1] == pytest.approx(probe.accuracy)
    for old, new in zip(before, values(network), strict=True):  # bit by bit
        np.testing.assert_array_equal(old, new)


def test_one_depth_and_several_by_their_names(network):
    one = linear_probe(network, (X, np.eye(3)[Y]), layers=["one"], verbose=0)
    assert (one.names, one.layer, one.num_held_out) == (("one",), "one", 45)
    both = linear_probe(network, (X, Y), layers=["two", "one"], verbose=0)
    assert both.names[:3] == ("one", "two", "all 2")
    assert both.accuracies[0] == one.accuracy
    assert len(both.names) == len(both.accuracies)
    assert both.model.predict(X, verbose=0).shape == (45, 3)


def test_features_on_disk_are_read_and_not_computed_again(network, tmp_path):
    data = (X, Y), task(30, seed=1)
    first = linear_probe(network, *data, directory=tmp_path, verbose=0)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npy"))
    assert files == ["training/features-000.npy", "validation/features-000.npy"]
    times = [(tmp_path / name).stat().st_mtime_ns for name in files]
    again = linear_probe(network, *data, directory=tmp_path, verbose=0)
    assert times == [(tmp_path / name).stat().st_mtime_ns for name in files]
    np.testing.assert_array_equal(values(first.model)[-1], values(again.model)[-1])


def test_it_prints_its_depths_and_is_saved_and_copied(network, tmp_path, capsys):
    probe = linear_probe(network, (X, Y), layers="all")
    assert "bytes, in memory." in capsys.readouterr().out
    lines = str(probe).splitlines()
    assert lines[0].startswith("logistic on 45 samples, C=")
    assert [line[2:].split("  ")[0] for line in lines[1:]] == list(probe.names)
    (arrow,) = (line for line in lines if line.startswith("→"))
    assert f"{probe.accuracy:.3f}" in arrow
    expected = probe.model.predict(X, verbose=0)
    probe.model.save(tmp_path / "probe.keras")
    loaded = keras.saving.load_model(tmp_path / "probe.keras")
    for model in (loaded, copy.deepcopy(probe).model, pickle.loads(pickle.dumps(probe)).model):
        np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-5)
    assert isinstance(probe, Probe)


class NeverRun(keras.layers.Layer):
    def call(self, x):
        if not isinstance(x, keras.KerasTensor):
            raise AssertionError("the network ran before the data were checked")
        return x

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        ((X, Y * 0), {}, "at least two classes; got samples of class 0"),
        ((X, Y * 2), {}, "each of the 5 classes must have samples in `data`; class 1 has none"),
        (
            (X, np.eye(4)[Y]),
            {},
            "each of the 4 classes must have samples in `data`; class 3 has none",
        ),
        ((X, Y, Y != 1), {}, "class 1 has none"),
        ((X, Y - 1), {}, "whole numbers from 0; got -1"),
        ((X, Y), {"validation_data": (X, Y + 1)}, "from 0 to 2.*; got 3 for sample 2"),
        ((X[:, :5], Y), {}, r"takes, \(8, 8, 3\); got \(5, 8, 3\)"),
        ((X, Y), {"head": "forest"}, "`head` must be one of 'logistic', 'svm'"),
        ((X, Y), {"layers": ["none"]}, "a list of names of layers; got .'none'."),
        ((X, Y), {"max_bytes": 10}, "must not take more than max_bytes=10"),
    ],
)
def test_what_can_not_be_probed(data, options, match):
    body = [NeverRun(), layers.Conv2D(2, 3), layers.ReLU()]
    network = keras.Sequential([keras.Input((8, 8, 3)), *body])
    with pytest.raises(ValueError, match=match):
        linear_probe(network, data, verbose=0, **options)
