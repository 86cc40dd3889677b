"""average_checkpoints: the float64 mean of every kind of checkpoint, measured, or nothing."""

import json
import shutil

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest
from ensemble.averaged import (
    X,
    Y,
    bits,
    compile_for_tests,
    everything,
    interrupt,
    loss,
    mean,
    network,
)

from keras_dcnn._files.members import DamagedMemberError
from keras_dcnn.callbacks import CheckpointEnsemble
from keras_dcnn.ensemble.averaging._judge import behind_barrier
from keras_dcnn.ensemble.averaging.average_checkpoints import average_checkpoints

SEEDS = (1, 2, 3)


def models():
    return [network(seed) for seed in SEEDS]


def as_files(folder, suffix):
    paths = [folder / f"{seed}{suffix}" for seed in SEEDS]
    for path, model in zip(paths, models(), strict=True):
        model.optimizer.build(model.trainable_variables)  # its slots lie in the file too
        (model.save if suffix == ".keras" else model.save_weights)(path)
    return paths


@pytest.mark.parametrize("kind", [".weights.h5", ".keras", "models", "arrays", "mixed"])
@pytest.mark.parametrize("weights", [None, (3, 0.5, 1)])
def test_mean_of_every_kind_of_checkpoint(tmp_path, kind, weights):
    if kind.startswith("."):
        checkpoints = as_files(tmp_path, kind)
    else:
        checkpoints = [m.get_weights() if kind == "arrays" else m for m in models()]
    if kind == "mixed":
        checkpoints[0] = str(as_files(tmp_path, ".weights.h5")[0])
        checkpoints[1] = tuple(checkpoints[1].get_weights())
    model = network(9)
    trace = average_checkpoints(model, checkpoints, weights)
    expected = mean([m.get_weights() for m in models()], weights)
    for got, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, value.astype("float32"))
    assert trace.score is None
    assert all(trial.stayed and trial.score is None for trial in trace.tried)
    assert (trace.chosen, trace.batch_norm) == ("average", {"average": None})


def test_what_checkpoint_ensemble_wrote(tmp_path):
    model, seen = network(), []
    keep = CheckpointEnsemble(tmp_path, keep="all")
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    model.fit(X, Y, epochs=3, callbacks=[watch, keep], verbose=0)
    fresh = network(9)
    trace = average_checkpoints(fresh, tmp_path)
    for got, value in zip(fresh.get_weights(), mean(seen), strict=True):
        np.testing.assert_allclose(got, value, rtol=2e-7)
    assert [trial.name[-22:] for trial in trace.tried] == [
        f"member-000{i}.weights.h5" for i in (1, 2, 3)
    ]
    before = everything(fresh)
    with open(tmp_path / "member-0002.weights.h5", "r+b") as file:
        file.seek(-9, 2)
        file.write(b"x")
    with pytest.raises(DamagedMemberError, match="member-0002"):
        average_checkpoints(fresh, str(tmp_path))
    assert bits(everything(fresh)) == bits(before)


def test_order_does_not_matter_and_equal_checkpoints_give_themselves():
    checkpoints = [m.get_weights() for m in models()]
    model = network(9)
    average_checkpoints(model, checkpoints, (1, 2, 3))
    forward = model.get_weights()
    average_checkpoints(model, checkpoints[::-1], (3, 2, 1))
    assert bits(model.get_weights()) == bits(forward)
    average_checkpoints(model, [checkpoints[0]] * 7)
    assert bits(model.get_weights()) == bits(checkpoints[0])


@pytest.mark.parametrize("dtype", ["mixed_float16", "float16", "bfloat16"])
def test_narrow_types(tmp_path, dtype):
    narrow = dtype if not dtype.startswith("mixed") else "float32"
    kind = np.dtype(getattr(ml_dtypes, narrow, narrow))
    each = [network(seed, norm=False, dtype=dtype) for seed in SEEDS]
    paths = [tmp_path / f"{seed}.weights.h5" for seed in SEEDS]
    for one, path in zip(each, paths, strict=True):
        one.save_weights(path)
    expected = [value.astype(kind) for value in mean([one.get_weights() for one in each])]
    for checkpoints in (each, paths, [one.get_weights() for one in each]):
        model = network(9, norm=False, dtype=dtype)
        average_checkpoints(model, checkpoints)
        assert bits(model.get_weights()) == bits(expected)


def test_weights_too_large_for_the_model_are_an_error_and_no_infinity():
    wide = network(1, norm=False)
    wide.set_weights([w * 1e5 for w in wide.get_weights()])
    model = network(9, norm=False, dtype="float16")
    before = everything(model)
    with pytest.raises(ValueError, match=r"kernel` of model 0 .*in the model's float16"):
        average_checkpoints(model, [wide])
    assert bits(everything(model)) == bits(before)


def test_whole_numbers_seeds_and_the_optimizer_stay_the_models_own():
    def build(count):
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Normalization(), keras.layers.Dropout(0.5)]
        )
        model.layers[0].adapt(X[:count])
        return compile_for_tests(model, "adam", "mse", metrics=[])

    model, other = build(12), build(24)
    model.predict(X, verbose=0)  # compiled with the statistics of 12 as constants
    model.evaluate(X, X, verbose=0)
    seed = everything(model)
    average_checkpoints(model, [other], validation_data=(X, X))
    untouched = [v for v in everything(model) if v.dtype.kind in "iu"]
    assert bits(untouched) == bits([v for v in seed if v.dtype.kind in "iu"])
    expected = (X - X.mean(0)) / X.std(0)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-4)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_the_optimizer_and_the_seeds_in_a_file_are_left_aside(tmp_path, suffix):
    def trained(epochs):
        layers = [keras.Input((4,)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3)]
        model = compile_for_tests(keras.Sequential(layers), "adam", "mse", metrics=[])
        model.fit(X, np.eye(3)[Y], epochs=epochs, verbose=0)
        return model

    model, other, path = trained(1), trained(3), tmp_path / f"other{suffix}"
    (other.save if suffix == ".keras" else other.save_weights)(path)
    before = everything(model)
    average_checkpoints(model, [path])
    assert bits(model.get_weights()) == bits(other.get_weights())
    assert bits(everything(model)[2:]) == bits(before[2:])
    assert bits(everything(model)[2:]) != bits(everything(other)[2:])


def test_every_checkpoint_and_the_average_are_measured_and_nothing_else_changes():
    close = [network(1).get_weights() for _ in range(2)]
    close[1] = [w + 0.01 for w in close[1]]
    model = network(9)
    model.fit(X, Y, verbose=0)
    before = model.optimizer.variables
    slots = [np.array(keras.ops.convert_to_numpy(v)) for v in before]
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002, the global one
    trace = average_checkpoints(model, close, (1, 3), validation_data=(X, Y))
    probe = network(9)
    for trial, weights in zip(trace.tried, close, strict=True):
        probe.set_weights(weights)
        assert trial.score == pytest.approx(loss(probe), rel=1e-5)
    assert trace.score == pytest.approx(loss(model), rel=1e-5)
    assert trace.monitor == "loss"
    assert bits([np.array(keras.ops.convert_to_numpy(v)) for v in before]) == bits(slots)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert f"loss {trace.score:.4g}" in str(trace)


def recomputed(model, x):
    """BatchNorm's statistics of all samples, one batch, in NumPy."""
    kernel, bias = (w.astype("float64") for w in model.get_layer("hidden").get_weights())
    hidden = np.tanh(x @ kernel + bias)
    return hidden.mean(0), hidden.var(0)


@pytest.mark.parametrize("choice", ["average", "recompute", "keep", "best"])
def test_batch_norm(choice):
    each = [network(1).get_weights() for _ in range(3)]
    each[1] = [w + 0.02 for w in each[1]]
    each[2] = [w - 0.03 for w in each[2]]
    model, probe = network(9), network(9)
    trace = average_checkpoints(model, each, None, choice, X, (X, Y))
    expected, losses = {}, {}
    probe.set_weights(mean(each))
    norm = probe.get_layer("norm")
    expected["average"] = norm.get_weights()[2:]
    expected["recompute"] = recomputed(probe, X)
    expected["keep"] = each[2][4:6]
    for kind, statistics in expected.items():
        norm.set_weights([*norm.get_weights()[:2], *statistics])
        losses[kind] = loss(probe)
    chosen = min(losses, key=losses.get) if choice == "best" else choice
    assert trace.chosen == chosen
    assert set(trace.batch_norm) == (set(losses) if choice == "best" else {choice})
    for kind, value in trace.batch_norm.items():
        assert value == pytest.approx(losses[kind], rel=1e-4)
    for got, value in zip(model.get_layer("norm").get_weights()[2:], expected[chosen], strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5)
    for got, value in zip(model.get_weights()[:4], mean(each)[:4], strict=True):
        np.testing.assert_array_equal(got, value.astype("float32"))


def basin(order):
    """A network that tells three inputs apart, with its hidden units in some order."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(3, "relu"),
            keras.layers.Dense(3, "softmax"),
        ]
    )
    eye = np.eye(3)
    model.set_weights([eye[:, order], np.zeros(3), 4 * eye[order], np.zeros(3)])
    return compile_for_tests(model, "sgd", metrics=[])


def test_an_average_behind_a_loss_barrier_is_refused():
    held_out = (np.eye(3), np.arange(3))
    one, same_function = basin([0, 1, 2]), basin([1, 2, 0])
    np.testing.assert_allclose(loss(one, *held_out), loss(same_function, *held_out), rtol=1e-5)
    model = basin([2, 1, 0])
    before = everything(model)
    single, averaged = np.log1p(2 * np.exp(-4)), np.log1p(2 * np.exp(-1))  # by hand
    message = f"{averaged:.4g} on the held-out data, the checkpoints {single:.4g} .*Ensemble"
    with pytest.raises(ValueError, match=message):
        average_checkpoints(model, [one, same_function], validation_data=held_out)
    assert bits(everything(model)) == bits(before)
    average_checkpoints(model, [one, one], validation_data=held_out)
    assert bits(model.get_weights()) == bits(one.get_weights())


def cosine(weights):
    """One unit vector for each of two inputs; the loss is minus the cosine to what is wanted."""
    layers = [keras.Input((2,)), keras.layers.Dense(2, use_bias=False)]
    model = keras.Sequential(layers)
    model.set_weights([np.array(weights, "float32")])
    return compile_for_tests(model, "sgd", keras.losses.CosineSimilarity(), metrics=[])


def test_a_barrier_of_other_statistics_is_told_as_such():
    model = network()
    norm, head = model.layers[1:]
    norm.set_weights([np.ones(5), np.zeros(5), np.full(5, 9.0), np.ones(5)])
    head.set_weights([np.eye(5, 3) * [1, 2, 3], np.zeros(3)])
    y = keras.ops.convert_to_numpy(model(X)).argmax(1)
    given = {"validation_data": (X, y), "batch_norm": "recompute"}
    with pytest.raises(ValueError, match=r"\(Ensemble\), or look whether BatchNorm's statistics"):
        average_checkpoints(model, [model.get_weights()] * 2, data=100 * X + 70, **given)


def test_a_negative_loss_that_the_average_makes_better_is_accepted():
    held_out = (np.eye(2), np.eye(2))
    turned = [[[0.8, sign * 0.6], [-sign * 0.6, 0.8]] for sign in (1, -1)]
    trace = average_checkpoints(
        cosine(np.eye(2)), [cosine(w) for w in turned], validation_data=held_out
    )
    assert [trial.score for trial in trace.tried] == pytest.approx([-0.8, -0.8], rel=1e-5)
    assert trace.score == pytest.approx(-1.0, rel=1e-5)
    same = average_checkpoints(cosine(np.eye(2)), [cosine(turned[0])] * 2, validation_data=held_out)
    assert same.score == pytest.approx(-0.8, rel=1e-5)


@pytest.mark.parametrize(
    ("averaged", "single", "behind"),
    [
        (1.29, 1.0, False),
        (1.31, 1.0, True),
        (0.04, 0.0, False),
        (0.06, 0.0, True),
        (-0.71, -1.0, False),
        (-0.69, -1.0, True),
        (np.nan, 1.0, True),
        (np.inf, 1.0, True),
    ],
)
def test_the_barrier_is_a_quarter_of_the_loss_and_a_margin(averaged, single, behind):
    assert behind_barrier(averaged, single) is behind


HUGE = [np.full(w.shape, 3e38) for w in network().get_weights()]


@pytest.mark.parametrize("out", ["nan weights", "infinite loss"])
@pytest.mark.parametrize("choice", ["average", "keep"])
def test_a_checkpoint_of_weight_0_is_left_out(out, choice):
    bad = HUGE if out == "infinite loss" else [w * np.nan for w in HUGE]
    one, two = network(1).get_weights(), [w + 0.01 for w in network(1).get_weights()]
    model = network(9)
    trace = average_checkpoints(model, [one, two, bad], (1, 3, 0), choice, validation_data=(X, Y))
    expected = mean([one, two], (1, 3))
    if choice == "keep":
        expected[4:6] = two[4:6]
    for got, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, value.astype("float32"))
    assert [trial.stayed for trial in trace.tried] == [True, True, False]
    assert trace.tried[2].score is None
    assert "Average of 2 of 3" in str(trace)


def test_a_checkpoint_with_a_loss_that_is_not_finite_is_named():
    model = network(9)
    model.evaluate(X, Y, verbose=0)  # builds the optimizer on JAX
    before = everything(model)
    with pytest.raises(ValueError, match=r"a finite loss on the held-out data; checkpoint 1 has"):
        average_checkpoints(model, [network(1), HUGE], validation_data=(X, Y))
    assert bits(everything(model)) == bits(before)


@pytest.mark.parametrize("frozen", [False, True])
def test_kept_statistics_are_all_of_one_checkpoint_with_renorm_too(frozen):
    def build(seed):
        model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(renorm=True)])
        draw = np.random.default_rng(seed)
        model.set_weights([draw.uniform(0.5, 1.5, w.shape) for w in model.weights])
        return model

    each, model = [build(1), build(2)], build(3)
    names = [weight.name for weight in each[1].weights]
    expected = dict(zip(names, each[1].get_weights(), strict=True))
    gamma_beta = mean([one.get_weights() for one in each])[:2]
    assert names[:2] == ["gamma", "beta"]
    assert {"moving_mean", "moving_variance", "moving_stddev", "renorm_mean"} < set(names)
    model.layers[0].trainable = not frozen
    average_checkpoints(model, each, batch_norm="keep")
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        if weight.name in ("gamma", "beta"):
            wanted = gamma_beta[names.index(weight.name)].astype("float32")
        else:
            wanted = expected[weight.name]
        np.testing.assert_array_equal(value, wanted)


def test_the_model_itself_may_be_among_the_checkpoints():
    model, other = network(1), network(1)
    other.set_weights([w + 0.01 for w in other.get_weights()])
    expected = mean([model.get_weights(), other.get_weights()])
    average_checkpoints(model, [other, model], validation_data=(X, Y))
    for got, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, value.astype("float32"))


@pytest.mark.parametrize("number", range(6))
def test_an_interrupt_anywhere_puts_everything_back(monkeypatch, number):
    model, before = network(1), bits(network(1).get_weights())
    ended = interrupt(monkeypatch, number)
    try:
        average_checkpoints(model, [network(2), network(2)], None, "best", X, (X, Y))
    except KeyboardInterrupt:
        assert bits(model.get_weights()) == before
    else:
        assert number == len(ended) == 5  # two checkpoints, three kinds of statistics


def damaged(path, how):
    as_files(path.parent, path.name[1:])
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif how == "garbage":
        path.write_bytes(b"nothing")
    elif how == "crc":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(content)
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        (".weights.h5", "cut"),
        (".weights.h5", "garbage"),
        (".weights.h5", "gone"),
        (".keras", "cut"),
        (".keras", "crc"),
        (".keras", "gone"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, suffix, how):
    damaged(tmp_path / f"2{suffix}", how)
    model = network(9)
    before = everything(model)
    with pytest.raises(DamagedMemberError, match=rf"2{suffix} can't be read"):
        average_checkpoints(model, [tmp_path / f"{seed}{suffix}" for seed in SEEDS])
    assert bits(everything(model)) == bits(before)


def deeper():
    layers = [keras.layers.Dense(5, "tanh"), keras.layers.BatchNormalization()]
    layers += [keras.layers.Dense(3), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((4,)), *layers])


@pytest.mark.parametrize("kind", ["models", "arrays", ".weights.h5", ".keras"])
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: network(1, units=2), r"\(5, 2\) there, \(5, 3\) in the model"),
        (
            lambda: network(1, norm=False),
            r"has 6 weights|nothing for .*norm.*/vars/0|\(5, 3\) there",
        ),
        (deeper, r"10 weights, the model 8|dense_1/vars/0` has the shape \(3, 3\)|dense_2/vars/0"),
    ],
)
def test_another_architecture_is_named_with_its_shapes(tmp_path, kind, other, message):
    second = other()
    if kind == "arrays":
        second = second.get_weights()
    elif kind != "models":
        path = tmp_path / f"other{kind}"
        (second.save if kind == ".keras" else second.save_weights)(path)
        second = path
    model = network(9)
    before = everything(model)
    with pytest.raises(ValueError, match=message) as caught:
        average_checkpoints(model, [network(1), second])
    name = {"models": "model 1", "arrays": "checkpoint 1"}.get(kind, str(second))
    assert name in str(caught.value)
    assert bits(everything(model)) == bits(before)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["model", "arrays", "file"])
def test_weights_that_are_not_finite_are_named(tmp_path, kind, value):
    second = network(1)
    weights = second.get_weights()
    weights[5][1] = value
    second.set_weights(weights)
    second.save_weights(tmp_path / "bad.weights.h5")
    given = {"model": second, "arrays": weights, "file": tmp_path / "bad.weights.h5"}[kind]
    name = {"model": "model 1", "arrays": "checkpoint 1", "file": r"bad\.weights\.h5"}[kind]
    model = network(9)
    model.evaluate(X, Y, verbose=0)  # builds the optimizer on JAX
    before = everything(model)
    for validation in (None, (X, Y)):
        with pytest.raises(ValueError, match=f"norm/moving_variance` of .*{name}"):
            average_checkpoints(model, [network(1), given], validation_data=validation)
        assert bits(everything(model)) == bits(before)


def test_batch_norm_without_batch_norm_warns():
    model, one = network(9, norm=False), network(1, norm=False)
    with pytest.warns(UserWarning, match="has no BatchNorm changes nothing"):
        trace = average_checkpoints(model, [one], batch_norm="keep")
    assert (trace.chosen, trace.batch_norm) == (None, {})
    assert bits(model.get_weights()) == bits(one.get_weights())


def test_a_layer_that_saves_in_its_own_way_is_averaged_by_what_it_loads(tmp_path):
    class Own(keras.layers.Dense):
        def save_own_variables(self, store):
            store["half"] = np.array(keras.ops.convert_to_numpy(self.kernel)) / 2

        def load_own_variables(self, store):
            self.kernel.assign(2 * np.array(store["half"]))

    def build():
        return keras.Sequential([keras.Input((4,)), Own(3, use_bias=False)])

    one, two, model = build(), build(), build()
    one.save_weights(tmp_path / "own.weights.h5")
    average_checkpoints(model, [tmp_path / "own.weights.h5", two])
    (expected,) = mean([one.get_weights(), two.get_weights()])
    np.testing.assert_array_equal(model.get_weights()[0], expected.astype("float32"))


def test_subclassed_models_with_layers_in_lists(tmp_path):
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = keras.layers.Dense(5)
            self.rest = [keras.layers.Dense(5), [keras.layers.Dense(3)]]
            self.scale = self.add_weight(shape=(3,), name="scale", initializer="ones")

        def call(self, x):
            return self.rest[1][0](self.rest[0](self.first(x))) * self.scale

    each = [Custom() for _ in range(3)]
    paths = [tmp_path / f"{i}.weights.h5" for i in range(2)]
    for one in each:
        one(X)
    for one, path in zip(each, paths, strict=False):
        one.save_weights(path)
    average_checkpoints(each[2], paths)
    expected = mean([one.get_weights() for one in each[:2]])
    for got, value in zip(each[2].get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, value.astype("float32"))


def test_a_manifest_that_can_not_be_read_is_named(tmp_path):
    path = tmp_path / "manifest.json"
    for text in ("{", json.dumps({"members": [{"file": "a"}]}), "[]"):
        path.write_text(text)
        with pytest.raises(DamagedMemberError, match=r"manifest\.json can't be read"):
            average_checkpoints(network(), tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(ValueError, match=r"a directory with a manifest\.json"):
        average_checkpoints(network(), tmp_path)


def test_a_link_to_another_file_is_not_followed(tmp_path):
    (path, *_) = as_files(tmp_path, ".weights.h5")
    with h5py.File(path, "r+") as file:
        place = "layers/dense/vars/0"
        del file[place]
        file[place] = h5py.ExternalLink(str(tmp_path / "2.weights.h5"), place)
    with pytest.raises(ValueError, match=r"nothing for layers/dense/vars/0"):
        average_checkpoints(network(), [path])


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, i):
        return X, Y


MODEL = network()
WEIGHTS = MODEL.get_weights()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "m"}, TypeError, "must be a Keras model; got str"),
        ({"model": keras.Sequential([keras.layers.Dense(3)])}, ValueError, "must be built"),
        ({"checkpoints": []}, ValueError, "at least one checkpoint; got none"),
        ({"checkpoints": MODEL}, TypeError, "must be a list, or the directory .*got Sequential"),
        ({"checkpoints": WEIGHTS}, TypeError, "got ndarray at position 0"),
        ({"checkpoints": ["a.npz"]}, ValueError, r"must end in \.weights\.h5 or \.keras; got a"),
        ({"checkpoints": [[np.array(["a"])] * 8]}, TypeError, "must be numbers; checkpoint 0"),
        ({"checkpoints": [WEIGHTS[:-1]]}, ValueError, "it has 7 weights, the model 8"),
        (
            {"checkpoints": [keras.Sequential([keras.layers.Dense(3)])]},
            ValueError,
            "model 0 .* must be built",
        ),
        ({"weights": [1, 2]}, ValueError, r"one number per checkpoint, 1; got \[1, 2\]"),
        ({"weights": 1}, ValueError, "one number per checkpoint, 1; got 1"),
        ({"weights": [-1]}, ValueError, "of at least 0; got -1"),
        ({"weights": [np.nan]}, ValueError, "a finite number"),
        ({"weights": [0]}, ValueError, "must not all be 0"),
        ({"batch_norm": "mean"}, ValueError, "`batch_norm` must be one of"),
        ({"batch_norm": "recompute"}, ValueError, "needs `data` to measure on; got None"),
        ({"batch_norm": "best", "data": X}, ValueError, "needs `validation_data`"),
        ({"data": iter([X]), "batch_norm": "recompute"}, ValueError, "readable again"),
        ({"data": X * np.nan, "batch_norm": "recompute"}, ValueError, "the data must be finite"),
        ({"validation_data": X}, TypeError, r"must be \(x, y\).*got ndarray"),
        ({"validation_data": (X,)}, TypeError, r"must be \(x, y\).*got tuple of 1"),
        ({"validation_data": (X, None)}, TypeError, "must have labels, for the loss"),
        ({"validation_data": iter([(X, Y)])}, ValueError, "readable again"),
        ({"validation_data": Endless()}, ValueError, "`validation_data` must end"),
        ({"data": Endless(), "batch_norm": "recompute"}, ValueError, "`data` must end"),
        (
            {"model": network(compiled=False), "validation_data": (X, Y)},
            ValueError,
            "needs a compiled model.*call `compile`",
        ),
    ],
)
def test_bad_arguments_change_nothing(arguments, error, message):
    before = everything(MODEL)
    with pytest.raises(error, match=message):
        average_checkpoints(**{"model": MODEL, "checkpoints": [network(3)], **arguments})
    assert bits(everything(MODEL)) == bits(before)


@pytest.mark.parametrize("kind", ["model", ".keras"])
def test_equal_shapes_with_another_activation_are_another_architecture(tmp_path, kind):
    other, model = network(1), network(2)
    other.layers[0].activation = keras.activations.relu
    if kind == ".keras":
        other.save(tmp_path / "other.keras")
    given = other if kind == "model" else tmp_path / "other.keras"
    before = everything(model)
    with pytest.raises(ValueError, match="`activation` of layer 0 is 'relu' there, 'tanh' in"):
        average_checkpoints(model, [given])
    assert bits(everything(model)) == bits(before)
    average_checkpoints(model, [other.get_weights()])


def test_a_checkpoint_of_weight_0_may_be_missing(tmp_path):
    model, other = network(1), network(2)
    trace = average_checkpoints(model, [tmp_path / "gone.keras", other], weights=[0, 1])
    assert [trial.stayed for trial in trace.tried] == [False, True]
    for one, same in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    with pytest.raises(ValueError, match="`checkpoints` must be a path"):
        average_checkpoints(model, "")


def test_complex_weights_are_averaged():
    class Phase(keras.layers.Layer):
        def build(self, shape):
            self.phase = self.add_weight(shape=(3,), dtype="complex64", name="phase")

        def call(self, x):
            return x + keras.ops.real(self.phase.value)

    model = keras.Sequential([keras.Input((3,)), Phase()])
    one, other = np.array([1 + 2j, 0, 1j], "complex64"), np.array([3, 2j, 1], "complex64")
    average_checkpoints(model, [[one], [other]])
    np.testing.assert_allclose(model.get_weights()[0], (one + other) / 2)
