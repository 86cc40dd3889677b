"""A comparison of remedies: what is trained, what is kept, and what is refused."""

import keras
import numpy as np
import pytest
import trainings
from scipy.special import softmax
from sklearn import metrics

from keras_dcnn.imbalance import adjust_logits, compare_remedies
from keras_dcnn.imbalance._phases import samples_of
from keras_dcnn.imbalance._remedies import REMEDIES, Plan, train
from keras_dcnn.imbalance._remedy_arguments import possible

RNG = np.random.default_rng(0)
COUNTS = [20, 8, 4]


def blobs(counts, columns=5):
    """Points around a place for each class."""
    y = np.repeat(np.arange(len(counts)), counts)
    return RNG.normal(size=(len(y), columns)).astype("float32") + np.eye(columns)[y], y


DATA, TEST, HELD_OUT = blobs(COUNTS), blobs([10, 10, 10]), blobs([5, 5, 5])


def build(units=3, activation=None, loss=None, optimizer=None, compiled=True):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(units, activation)])
    if compiled:
        loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer or keras.optimizers.Adam(0.05), loss, **trainings.for_few_steps())
    return model


def compare(build=build, data=DATA, test_data=TEST, **more):
    how = {"remedies": ["over", "adjusted"], "seeds": 2, "epochs": 1, "verbose": 0, **more}
    return compare_remedies(build, data, test_data, **how)


def outputs(model):
    return keras.ops.convert_to_numpy(model(TEST[0])).astype("float64")


def balanced_accuracy(model):
    return metrics.balanced_accuracy_score(TEST[1], outputs(model).argmax(1))


def test_three_remedies_paired_over_two_seeds_kept_and_gone_on_with(tmp_path, monkeypatch):
    models, first_weights = [], []

    def recorded():
        models.append(build())
        first_weights.append(models[-1].get_weights()[0])
        return models[-1]

    how = {"directory": tmp_path / "run", "validation_data": HELD_OUT}
    found = compare(recorded, **how)
    assert list(found.scores) == ["none", "over", "adjusted"]
    none_0, over_0, none_1, over_1 = models[-4:]
    assert [np.array_equal(first_weights[-4], one) for one in first_weights[-3:]] == [1, 0, 0]
    np.testing.assert_array_equal(*first_weights[-2:])
    by_hand = [balanced_accuracy(model) for model in (none_0, none_1, over_0, over_1)]
    by_call = [found.scores[name]["balanced_accuracy"] for name in ("none", "over")]
    np.testing.assert_allclose(np.ravel(by_call), by_hand)
    adjusted = [adjust_logits(model, COUNTS, "auto", HELD_OUT) for model in (none_0, none_1)]
    assert found.taus == tuple(model.layers[-1].tau for model in adjusted)
    expected = [balanced_accuracy(model) for model in adjusted]
    np.testing.assert_allclose(found.scores["adjusted"]["balanced_accuracy"], expected)
    losses = [metrics.log_loss(TEST[1], softmax(outputs(one), axis=1)) for one in adjusted]
    np.testing.assert_allclose(found.scores["adjusted"]["nll"], losses, rtol=1e-4)

    def no_training(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(keras.Model, "fit", no_training)
    assert compare(recorded, **how) == found
    with pytest.raises(ValueError, match=r"differs in its epochs \(1 there, 3 here\)"):
        compare(recorded, **how, epochs=3)
    with pytest.raises(ValueError, match=r"differs in its validation_data: choose"):
        compare(recorded, **{**how, "validation_data": None})
    (tmp_path / "run" / "none-seed-0.npz").write_bytes(b"PK")
    with (
        pytest.warns(UserWarning, match=r"none-seed-0\.npz is damaged: none, seed 0, is trained"),
        pytest.raises(AssertionError, match="trained again"),
    ):
        compare(recorded, **how)


def plan(build_one, data, epochs=(3, 1)):
    return Plan(samples_of(data, build_one().output_shape[-1]), epochs, 0.1, 8)


def test_all_leaves_out_what_is_not_possible_and_says_why():
    names, notes = possible(REMEDIES, build(), plan(build, DATA), is_listed=False)
    assert set(REMEDIES) - set(names) == {"crops", "guided crops"}
    assert notes[0] == (
        "crops is left out: crops need images, one array (samples, height, width, channels)."
    )
    names, notes = possible(REMEDIES, build(), plan(build, DATA, (1, 0)), is_listed=False)
    assert "balanced phase" not in names
    assert "many then few is left out: two phases need at least 2 epochs." in notes
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model = build(optimizer=keras.optimizers.SGD(schedule))
    names, _ = possible(REMEDIES, model, plan(build, DATA), is_listed=False)
    assert "balanced phase" not in names
    assert "head phase" in names


IMAGES = (RNG.normal(size=(32, 6, 6, 1)).astype("float32"), DATA[1])


def images_model(head=keras.layers.GlobalAveragePooling2D, loss="sparse_categorical_crossentropy"):
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), head(), keras.layers.Dense(3)]
    layers.append(keras.layers.Softmax(dtype="float32"))
    model = keras.Sequential([keras.Input((6, 6, 1)), *layers])
    model.compile(keras.optimizers.Adam(0.01), loss, **trainings.for_few_steps())
    return model


def test_guided_crops_need_a_head_for_maps():
    flat = images_model(keras.layers.Flatten)
    given = plan(images_model, IMAGES)
    names, (note,) = possible(REMEDIES, flat, given, is_listed=False)
    assert set(REMEDIES) - set(names) == {"guided crops"}
    assert note.startswith("guided crops is left out: the model must end in GlobalAveragePooling2D")
    with pytest.raises(ValueError, match=r'the model must end.*: leave "guided crops" out'):
        possible(["none", "guided crops"], flat, given, is_listed=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        *((name, "numbers") for name in REMEDIES if name != "adjusted"),
        *((name, "rows") for name in ("weights", "reweighted phase", "adjusted loss", "crops")),
    ],
)
def test_each_remedy_trains_as_many_steps(name, labels, monkeypatch):
    """And the second phase of those with two at a tenth of the rate, but for a new head."""
    loss, data = "sparse_categorical_crossentropy", IMAGES
    if labels == "rows":
        loss, data = "categorical_crossentropy", (IMAGES[0], np.eye(3, dtype="float32")[IMAGES[1]])
    model, fits, fit = images_model(loss=loss), [], keras.Model.fit

    def recorded(self, x, **how):
        rate = round(trainings.rate_of(self.optimizer), 6)
        fits.append(((how["epochs"] - how.get("initial_epoch", 0)) * x.num_batches, rate))
        return fit(self, x, **how)

    monkeypatch.setattr(keras.Model, "fit", recorded)
    before = model.get_weights()
    train(name, model, plan(images_model, data, (30, 10)), seed=1)
    in_two = "crops" in name or "phase" in name or name == "many then few"
    batches = -(-len(data[1]) // 8)
    wanted = [30 * batches, 10 * batches] if in_two else [40 * batches]
    longest = -(-3 * np.bincount(IMAGES[1]).max() // 8)  # an epoch of "over", all classes alike
    for (steps, _), expected in zip(fits, wanted, strict=True):
        assert abs(steps - expected) <= longest / 2
    rates = [rate for _, rate in fits]
    assert rates == ([0.01, 0.01 if name == "head phase" else 0.001] if in_two else [0.01])
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert np.isfinite(model.predict(IMAGES[0], verbose=0)).all()


ONE_HOT = np.eye(3)[DATA[1]]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"epochs": 0}, r"`epochs` must be a whole number of at least 1; got 0"),
        ({"second_phase": 1}, r"`second_phase` must be .* below 1; got 1"),
        ({"second_phase_rate": 0}, r"`second_phase_rate` must be a finite number above 0"),
        ({"batch_size": 2.5}, r"`batch_size` must be a whole number"),
        ({"directory": ""}, r"`directory` must be a path"),
        ({"build": build()}, r"`build` must be a function"),
        ({"build": lambda: build(compiled=False)}, r"must return a compiled model"),
        ({"build": lambda: build(1)}, r"with at least two classes; .* has \[\(None, 1\)\]"),
        ({"build": lambda: build(4)}, r"each of the 4 outputs .*; class 3 has none"),
        ({"build": lambda: build(2)}, r"`y` must be .* got 2"),
        ({"build": lambda: build(loss="mse")}, r"must compile with SparseCat.*got the loss 'mse'"),
        (
            {"build": lambda: build(loss="sparse_categorical_crossentropy")},
            r"must give probabilities, as its loss says; got outputs from -",
        ),
        ({"data": (DATA[0], ONE_HOT)}, r"must fit the labels.*\(32, 3\): use CategoricalCross"),
        ({"data": TEST}, r"classes must differ in their number of samples"),
        ({"test_data": DATA[0]}, r"`test_data` must be a pair of arrays"),
    ],
)
def test_bad_arguments_are_refused_before_any_training(more, match, monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises((TypeError, ValueError), match=match):
        compare(**more)


def test_the_directory_of_something_else(tmp_path):
    np.savez(tmp_path / "mine.npz", x=1)
    with pytest.raises(ValueError, match=r"must be new, or hold a run to go on with"):
        compare(directory=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.npz"]
