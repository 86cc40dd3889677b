"""EarlyFusion: features as the formulas say, a head that alone is trained, and plain errors."""

import copy
import functools
import pickle

import keras
import numpy as np
import pytest
from ensemble.averaged import compile_for_tests

from keras_dcnn.ensemble.fusing.early_fusion import EarlyFusion

rng = np.random.default_rng(0)
X = rng.normal(size=(12, 6, 6, 3)).astype("float32")
Y = np.arange(12) % 3


def network(filters=4, inputs=(6, 6, 3)):
    return keras.Sequential(
        [
            keras.Input(inputs),
            keras.layers.Conv2D(filters, 3, activation="relu", name="maps"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.GlobalAveragePooling2D(name="pooled"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, "softmax"),
        ]
    )


def compiled(fusion, metrics=()):
    return compile_for_tests(fusion, keras.optimizers.Adam(0.05), metrics=[*metrics])


def predict(model, x=X):
    """By Keras's `call`, as `predict` compiles every model anew."""
    return keras.ops.convert_to_numpy(model(x))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("layer", [None, "maps", "pooled", "penultimate"])
def test_against_numpy(layer):
    networks = [network(4), network(5)]
    outputs = {
        None: lambda n: predict(n),
        "maps": lambda n: predict(keras.Model(n.inputs[0], n.get_layer("maps").output)).mean(
            (1, 2)
        ),
        "pooled": lambda n: predict(keras.Model(n.inputs[0], n.get_layer("pooled").output)),
        "penultimate": lambda n: predict(keras.Model(n.inputs[0], n.layers[-2].output)),
    }
    features = np.concatenate([outputs[layer](n) for n in networks], axis=1)
    fusion = EarlyFusion(networks, 3, layer=layer)
    kernel, bias = fusion.head.get_weights()
    np.testing.assert_allclose(fusion.features(X, batch_size=5), features, rtol=1e-4, atol=1e-6)
    expected = softmax(features @ kernel + bias)
    np.testing.assert_allclose(predict(fusion), expected, rtol=1e-4)
    if layer is None:
        np.testing.assert_allclose(fusion.predict(X, verbose=0), expected, rtol=1e-4)


def test_one_class_is_a_sigmoid_and_a_head_may_be_any_model():
    fusion = EarlyFusion([network()], 1, layer="pooled")
    kernel, bias = fusion.head.get_weights()
    z = fusion.features(X) @ kernel + bias
    np.testing.assert_allclose(predict(fusion), 1 / (1 + np.exp(-z)), rtol=1e-4)
    head = keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(2)])
    assert predict(EarlyFusion([network()], head, layer="pooled")).shape == (12, 2)


def test_fit_trains_the_head_alone_with_networks_as_at_inference():
    networks = [network(4), network(5)]
    before = [n.get_weights() for n in networks]
    fusion = compiled(EarlyFusion(networks, 3, layer="penultimate"))
    assert len(fusion.trainable_variables) == 2
    head = fusion.head.get_weights()
    losses = fusion.fit(X, Y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert not np.array_equal(head[0], fusion.head.get_weights()[0])
    for one, other in zip(before, networks, strict=True):
        for a, b in zip(one, other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_fit_head_does_what_fit_does_and_fit_goes_on_from_there():
    fusion = EarlyFusion([network(4), network(5)], 3, layer="penultimate")
    start = fusion.head.get_weights()
    options = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0}
    options["validation_data"] = (X[:5], Y[:5])
    options["class_weight"] = {0: 1.0, 1: 2.0, 2: 0.5}
    slow = compiled(fusion, metrics=["accuracy"]).fit(X, Y, **options).history
    expected = fusion.head.get_weights()
    fusion.head.set_weights(start)
    fast = compiled(fusion, metrics=["accuracy"]).fit_head(X, Y, **options).history
    assert slow.keys() == fast.keys()
    for name in slow:
        np.testing.assert_allclose(slow[name], fast[name], rtol=1e-4)
    for one, other in zip(expected, fusion.head.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    fusion.fit(X, Y, verbose=0, batch_size=12)
    assert int(keras.ops.convert_to_numpy(fusion.optimizer.iterations)) == 10


def test_fit_head_runs_each_network_once_per_sample_and_takes_batches():
    class Count(keras.utils.PyDataset):
        reads = 0

        @property
        def num_batches(self):
            return 3

        def __getitem__(self, i):
            Count.reads += 1
            return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4], np.ones(4)

    fusion = compiled(EarlyFusion([network()], 3, layer="pooled"))
    fusion.fit_head(Count(), epochs=5, verbose=0)
    assert Count.reads <= 4  # Keras looks at the first to learn the shapes


@pytest.mark.every_backend
def test_labels_outside_the_classes_are_refused_before_training(monkeypatch):
    fusion = compiled(EarlyFusion([network()], 3, layer="pooled"))
    for train in (fusion.fit, fusion.fit_head):
        for wrong in (Y + 1, Y - 1):
            with pytest.raises(ValueError, match="`y` must be whole numbers from 0 to 2"):
                train(X, wrong, verbose=0)
        with pytest.raises(ValueError, match="in `validation_data`, `y` must be whole numbers"):
            train(X, Y, validation_data=(X, Y + 1), verbose=0)
    with pytest.raises(ValueError, match="in `validation_data`, `y` must be given"):
        fusion.fit_head(X, Y, validation_data=(X,), verbose=0)
    with pytest.raises(ValueError, match=r"^`y` must be given"):
        fusion.fit_head(X, verbose=0)
    assert int(keras.ops.convert_to_numpy(fusion.optimizer.iterations)) == 0
    monkeypatch.setattr(keras.Model, "fit", functools.wraps(keras.Model.fit)(lambda *_, **__: 1))
    y, weights = np.where(np.arange(12) < 2, -1, Y), (np.arange(12) >= 2).astype("float32")
    assert fusion.fit(X, y, sample_weight=weights, validation_data=(X, y, weights)) == 1
    with pytest.raises(ValueError, match="in `validation_data`, `y` must be whole numbers"):
        fusion.fit(X, Y, None, 1, 0, None, 0.0, (X, y))  # by their places


def test_several_labels_are_refused_by_a_softmax_and_learnt_by_sigmoids():
    y = np.ones((12, 3)) - np.eye(3)[Y]
    softmax = EarlyFusion([network()], 3, layer="pooled")
    compile_for_tests(softmax, "sgd", "categorical_crossentropy", metrics=())
    for train in (softmax.fit, softmax.fit_head):
        with pytest.raises(ValueError, match="rows of several labels"):
            train(X, y, verbose=0)
    sigmoids = EarlyFusion([network()], keras.layers.Dense(3, "sigmoid"), layer="pooled")
    compile_for_tests(sigmoids, "sgd", "binary_crossentropy", metrics=())
    assert np.isfinite(sigmoids.fit_head(X, y, verbose=0).history["loss"][0])


def test_fit_head_leaves_out_samples_of_weight_0():
    fusion = EarlyFusion([network()], 3, layer="pooled")
    start, counts = fusion.head.get_weights(), np.arange(12) % 4 > 0
    options = {"shuffle": False, "verbose": 0, "batch_size": 12}
    compiled(fusion).fit_head(X[counts], Y[counts], **options)
    expected = fusion.head.get_weights()
    fusion.head.set_weights(start)
    x, y = np.where(counts[:, None, None, None], X, np.nan), np.where(counts, Y, -1)
    compiled(fusion).fit_head(x, y, counts.astype("float32"), **options)
    for one, other in zip(expected, fusion.head.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_end_to_end_trains_the_networks_and_nothing_that_was_cut_off():
    networks = [network(4), network(5)]
    cut_off = [n.layers[-1].get_weights() for n in networks]
    fusion = compiled(EarlyFusion(networks, 3, layer="penultimate", train_networks=True))
    kernels = [n.get_weights()[0] for n in networks]
    fusion.fit(X, Y, verbose=0)
    for n, kernel, dense in zip(networks, kernels, cut_off, strict=True):
        assert not np.array_equal(kernel, n.get_weights()[0])
        np.testing.assert_array_equal(dense[0], n.layers[-1].get_weights()[0])
    with pytest.raises(ValueError, match="needs frozen networks"):
        fusion.fit_head(X, Y)


@pytest.mark.parametrize("train_networks", [False, True])
def test_saved_and_loaded_it_predicts_and_goes_on_training(tmp_path, train_networks):
    networks = [network(4), network(5)]
    fusion = compiled(EarlyFusion(networks, 3, "penultimate", train_networks))
    fusion.fit(X, Y, verbose=0)
    fusion.save(tmp_path / "f.keras")
    loaded = keras.saving.load_model(tmp_path / "f.keras")
    np.testing.assert_allclose(predict(loaded), predict(fusion), rtol=1e-5)
    assert (loaded.layer, loaded.train_networks) == ("penultimate", train_networks)
    assert len(loaded.trainable_variables) == len(fusion.trainable_variables)
    if not train_networks:  # no dropout: the step is the same
        one, other = (m.fit(X, Y, batch_size=12, verbose=0).history for m in (fusion, loaded))
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_several_inputs():
    def build():
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((2,), name="b")}
        joined = keras.layers.concatenate(list(inputs.values()))
        return keras.Model(inputs, keras.layers.Dense(3)(joined))

    x = {"a": X[:, 0, 0, [0, 1, 2, 0]], "b": X[:, 1, 1, :2]}
    networks = [build(), build()]
    expected = np.concatenate([predict(n, x) for n in networks], axis=1)
    np.testing.assert_allclose(EarlyFusion(networks, 2).features(x), expected, rtol=1e-5)


def test_channels_first_maps_are_averaged_over_their_places():
    keras.config.set_image_data_format("channels_first")
    try:
        network = keras.Sequential([keras.Input((3, 6, 5)), keras.layers.Activation("relu")])
        x = np.moveaxis(X, -1, 1)[..., :5]
        features = EarlyFusion([network], 2).features(x)
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_allclose(features, np.maximum(x, 0).mean((2, 3)), rtol=1e-5)


def test_nan_is_refused_with_the_name_of_the_network():
    networks = [network(), network()]
    networks[1].set_weights([np.full_like(w, np.nan) for w in networks[1].get_weights()])
    with pytest.raises(ValueError, match=r"member 1 .* predicts NaN for sample 0"):
        EarlyFusion(networks, 3).features(X)


def subclassed():
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Custom()
    model(X)
    return model


def two_outputs():
    x = keras.Input((6, 6, 3))
    flat = keras.layers.Flatten()(x)
    return keras.Model(x, [keras.layers.Dense(2)(flat), keras.layers.Dense(3)(flat)])


SAME = network()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EarlyFusion([], 3), ValueError, "at least one model; got none"),
        (lambda: EarlyFusion(network(), 3), TypeError, "must be a list of models; got Sequential"),
        (
            lambda: EarlyFusion([network(), "n.keras"], 3),
            TypeError,
            "network 1 must be a Keras model; got str",
        ),
        (
            lambda: EarlyFusion([keras.Sequential([keras.layers.Dense(3)])], 3),
            ValueError,
            "network 0 must be built",
        ),
        (
            lambda: EarlyFusion([network(), network(inputs=(5, 5, 3))], 3),
            ValueError,
            "network 1 .*None, 5, 5",
        ),
        (lambda: EarlyFusion([SAME, SAME], 3), ValueError, "is given twice"),
        (lambda: EarlyFusion([network()], 3, layer="flat"), ValueError, "a layer 'flat'.*pooled"),
        (
            lambda: EarlyFusion(
                [keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten()])],
                3,
                layer="penultimate",
            ),
            ValueError,
            "a Dense layer",
        ),
        (lambda: EarlyFusion([subclassed()], 3, layer="dense"), ValueError, "Custom with a `call`"),
        (lambda: EarlyFusion([two_outputs()], 3), ValueError, "must have one output"),
        (lambda: EarlyFusion([network()], 0), ValueError, "`head` must be a whole number"),
        (lambda: EarlyFusion([network()], None), ValueError, "of units or a Keras layer.*got None"),
        (
            lambda: EarlyFusion(
                [network()], keras.Sequential([keras.Input((7,)), keras.layers.Dense(2)])
            ),
            ValueError,
            "is incompatible with the layer",
        ),
        (lambda: EarlyFusion([network()], 3, train_networks=1), ValueError, "True or False"),
        (lambda: EarlyFusion([network()], 3, layr="x"), TypeError, "unknown argument `layr`"),
        (lambda: EarlyFusion([network()], 3).fit_head(X, Y), ValueError, "call `compile"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_it_is_saved_in_keras_own_format_at_home_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fusion = EarlyFusion([network()], 3)
    fusion.save("~/f.keras")
    assert (tmp_path / "f.keras").exists()
    with pytest.raises(ValueError, match=r"name it f\.keras"):
        fusion.save(tmp_path / "f.h5")


def test_complex_features_are_refused():
    x = keras.Input((6, 6, 3))
    spectrum = keras.Model(x, keras.ops.view_as_complex(keras.layers.Dense(2)(x)))
    with pytest.raises(TypeError, match=r"must be real numbers; .* gives complex64"):
        EarlyFusion([spectrum], 3)


def test_pickled_and_copied_before_and_after_the_fit():
    fusion = compile_for_tests(EarlyFusion([network(4), network(5)], 3, "pooled"), "sgd")
    for _ in range(2):
        for other in (pickle.loads(pickle.dumps(fusion)), copy.deepcopy(fusion)):
            np.testing.assert_allclose(predict(other), predict(fusion), rtol=1e-5)
        fusion.fit_head(X, Y, verbose=0)
