"""fine_tune: what each strategy trains and leaves alone, what it decides, and what it refuses."""

from pathlib import Path

import keras
import numpy as np
import pytest
from killing import check_script

from keras_dcnn.fine_tuning import fine_tune

layers = keras.layers
SIDE = 8


def images(count=24, seed=0):
    """Two classes, of which one is brighter."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 60, (count, SIDE, SIDE, 3), "uint8"), np.arange(count) % 2
    x[y == 1] += 120
    return x, y


@pytest.fixture(scope="module")
def network():
    """Four blocks with BatchNorm, and a layer of classes."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 127.5, -1)])
    for i in range(4):
        model.add(layers.Conv2D(3, 3, padding="same", name=f"conv{i}"))
        model.add(layers.BatchNormalization(name=f"norm{i}"))
        model.add(layers.ReLU(name=f"relu{i}"))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(7, activation="softmax", name="predictions"))
    return model


def values(model):
    """All weights but seeds, by the end of their path."""
    return {
        "/".join(one.path.split("/")[-2:]): keras.ops.convert_to_numpy(one).copy()
        for one in model.weights
        if "seed" not in one.path
    }


def moved(before, after):
    """The names of those that both have and that differ."""
    return {name for name in before if name in after and (before[name] != after[name]).any()}


def tune(network, strategy, data=None, **more):
    """One that surely moves what may be moved, whatever that is worth."""
    more = {"epochs": 2, "learning_rate": 1e-3, "augmentation": None, "verbose": 0} | more
    return fine_tune(network, data or images(), strategy=strategy, **more)


TRAINED = {
    "probe": (),
    "few_layers": (3,),  # a third of four blocks
    "all_layers": (0, 1, 2, 3),
    "probe_then_all": (0, 1, 2, 3),
}


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param("probe", marks=pytest.mark.every_backend),
        pytest.param("few_layers", marks=pytest.mark.every_backend),
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("all_layers", "probe_then_all")),
    ],
)
def test_it_trains_what_the_strategy_says_and_nothing_else(network, strategy):
    before = values(network)
    more = {"learning_rate": 0.02, "epochs": 4, "batch_size": 4}
    new_head = more if strategy == "all_layers" else {}
    tuned = tune(network, strategy, **new_head)
    after = values(tuned.model)
    kernels = {f"conv{i}/{name}" for i in TRAINED[strategy] for name in ("kernel", "bias")}
    assert moved(before, after) <= kernels  # nothing of BatchNorm
    assert moved(before, values(network)) == set()
    if strategy != "probe":
        assert f"conv{TRAINED[strategy][-1]}/kernel" in moved(before, after), tuned
    assert (tuned.strategy, tuned.accuracy) == (strategy, 1.0)
    p = tuned.model.predict(images(6, seed=1)[0], verbose=0)
    np.testing.assert_array_equal(p.argmax(1), images(6)[1])
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)


def test_where_training_does_harm_what_it_began_with_is_kept(network):
    tuned = tune(network, "probe_then_all", images(120), learning_rate=100.0, epochs=1)
    assert moved(values(network), values(tuned.model)) == set()
    assert "what the training began with is kept" in tuned.record[-1]
    assert tuned.record[-1] in str(tuned)


class End(keras.callbacks.Callback):
    """Keeps the weights at the end of the training."""

    def on_train_end(self, logs=None):
        self.values = values(self.model)


def test_of_a_training_from_a_probe_the_mean_of_beginning_and_end_is_kept(network):
    end = End()
    tuned = tune(network, "few_layers", callbacks=[end])
    before, found = values(network)["conv3/kernel"], values(tuned.model)["conv3/kernel"]
    assert (end.values["conv3/kernel"] != before).any()
    np.testing.assert_allclose(found, (before + end.values["conv3/kernel"]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(values(tuned.model)["norm3/gamma"], end.values["norm3/gamma"])
    assert "the mean of the weights before and after is kept" in tuned.record[-1]


def test_auto_does_what_is_recommended_and_says_why(network):
    tuned = tune(network, "auto")
    assert tuned.strategy == "probe"  # 19 samples
    assert any("are little data" in sentence for sentence in tuned.record)


def test_a_part_is_held_out_of_each_class_and_the_rest_learnt_from(network):
    x, y = images()
    y = np.where(np.arange(24) < 20, y, 2)  # classes of 10, 10 and 4
    tuned = tune(network, "all_layers", (x, y))
    assert "19 samples of 3 classes, 3 to 8 of each" in tuned.record[0]
    assert "; 5, held out of the data, to choose by" in tuned.record[0]


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, i):
        return self.x[8 * i : 8 * i + 8], self.y[8 * i : 8 * i + 8]


def torch_loader(x, y):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    return torch.utils.data.DataLoader(data, batch_size=8)


def tf_data(x, y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


KINDS = {
    "one-hot": lambda x, y: (x, np.eye(2)[y]),
    "column": lambda x, y: (x, y[:, None]),
    "weighted": lambda x, y: (x, y, np.ones(len(y))),
    "PyDataset": Batches,
    "DataLoader": torch_loader,
    "tf.data": tf_data,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_data(network, kind):
    data = KINDS[kind]
    tuned = tune(network, "probe_then_all", data(*images()), validation_data=data(*images(8, 1)))
    assert tuned.accuracy == 1.0, tuned


def test_samples_of_weight_zero_count_for_nothing(network):
    x, y = images()
    wrong = np.concatenate([np.zeros((6, SIDE, SIDE, 3), "uint8"), x]), np.r_[[1] * 6, y]
    kept = tune(network, "probe", (*wrong, np.r_[[0.0] * 6, np.ones(24)]))
    alone = tune(network, "probe", (x, y))
    for one, other in zip(kept.model.get_weights(), alone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_standard_augmentation_is_inside_and_the_model_is_saved_with_it(network, tmp_path):
    tuned = tune(network, "all_layers", augmentation="standard", epochs=1)
    tuned.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = images()[0]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), tuned.model.predict(x, verbose=0))
    first = keras.ops.convert_to_numpy(tuned.model.layers[1](x, training=True))
    assert (first != x).any()


@pytest.mark.slow
def test_callbacks_replace_the_default_ones(network):
    seen = []
    counting = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: seen.append(epoch))
    curves = tune(network, "all_layers", callbacks=[counting]).history
    assert seen == [0, 1]
    assert set(curves) == {"loss", "accuracy", "val_loss", "val_accuracy"}  # and no rate


@pytest.mark.slow
def test_killed_in_any_phase_it_ends_as_if_it_had_not_been(tmp_path):
    check_script(Path(__file__).with_name("killed_fine_tuning.py"), tmp_path, 8)


X, Y = images()
REFUSED = [
    ({"network": keras.layers.Dense(2)}, TypeError, "`network` must be a Keras model"),
    ({"strategy": "all"}, ValueError, "`strategy` must be one of"),
    ({"layers": "first"}, ValueError, "`layers` must be one of"),
    ({"epochs": 0}, ValueError, "`epochs` must be"),
    ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be"),
    ({"augmentation": "strong"}, ValueError, '`augmentation` must be "standard", a Keras layer'),
    ({"num_classes": 1}, ValueError, "`num_classes` must be"),
    ({"data": (X, Y + 1), "num_classes": 2}, ValueError, "from 0 to 1, num_classes=2; got 2"),
    ({"data": (X, Y - 1)}, ValueError, "whole numbers from 0; got -1"),
    ({"data": (X, 0 * Y)}, ValueError, "at least two classes; got samples of class 0 alone"),
    ({"data": (X, np.r_[2, Y[1:]])}, ValueError, "class 2 has one: add images of it, or give"),
    ({"data": (X, Y, np.zeros(24))}, ValueError, "at least one sample that counts"),
    ({"data": X}, TypeError, r"images and their labels, \(x, y\); got one array"),
    ({"data": ([X, X], Y)}, TypeError, "for networks of one input"),
    ({"data": (np.where(X > 170, np.nan, X), Y), "strategy": "all_layers"}, ValueError, "finite"),
    ({"data": Batches(X, Y)}, ValueError, "`validation_data` can be left out for arrays"),
    ({"validation_data": (X, Y + 1)}, ValueError, "from 0 to 1, the 2 classes of `data`; got 2"),
    ({"validation_data": (X, np.eye(2)[Y])}, ValueError, "must be alike; one has numbers"),
    ({"data": (X[:, :6], Y)}, ValueError, r"images must be of the size that .* \(6, 8, 3\)"),
    ({"data": (X / 255, Y), "augmentation": "standard"}, ValueError, "for RGB images of 0…255"),
    ({"data": iter([(X, Y)]), "validation_data": (X, Y)}, ValueError, "empty after one pass"),
]


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED)
def test_refuses(network, given, kind, message):
    given = {"network": network, "data": (X, Y), "strategy": "probe_then_all", "verbose": 0} | given
    with pytest.raises(kind, match=message):
        fine_tune(given.pop("network"), given.pop("data"), **given)
