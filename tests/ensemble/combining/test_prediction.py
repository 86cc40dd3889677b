"""How ensembles run their members: once over any data, one graph for an architecture."""

import functools
import gc

import keras
import numpy as np
import pytest
import trainings
from ensemble.averaged import compile_for_tests
from scipy import special, stats

from keras_dcnn.ensemble import Ensemble
from keras_dcnn.ensemble.combining.ensemble_on_disk import EnsembleOnDisk
from keras_dcnn.ensemble.judging.calibration import calibration

rng = np.random.default_rng(0)
X = rng.normal(size=(22, 6, 6, 3)).astype("float32")
Y = np.arange(22) % 3


@pytest.fixture
def traces(monkeypatch):
    """Grows when a graph is made of a BatchNormalization, which each `member` has one of."""
    seen, call = [], keras.layers.BatchNormalization.call

    @functools.wraps(call)
    def noted(*args, **options):
        seen.append(1)
        return call(*args, **options)

    monkeypatch.setattr(keras.layers.BatchNormalization, "call", noted)
    return seen


def num_alive():
    gc.collect()
    return sum(type(one) is keras.layers.BatchNormalization for one in gc.get_objects())


def member(*more, activation="softmax", units=3, **head):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            *more,
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation, **head),
        ]
    )
    statistics = model.layers[-4]
    statistics.moving_mean.assign(rng.normal(size=4))
    model.jit_compile = trainings.jit()
    return model


def compiled(model):
    return compile_for_tests(model, "sgd")


def called(model, x=X):
    return keras.ops.convert_to_numpy(model(x, training=False))


def each(members):
    return np.stack([called(m) for m in members]).astype("float64")


def num_traces(traces, ensemble):
    traces.clear()
    ensemble.predict(X, batch_size=11, verbose=0)
    return len(traces)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return X[i * 6 : i * 6 + 6], Y[i * 6 : i * 6 + 6]


def kinds(backend):
    """The same data in every form."""
    yield X
    yield Batches()
    yield ((X[i : i + 6],) for i in range(0, 22, 6))
    tf = pytest.importorskip("tensorflow")
    yield tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    if backend == "torch":
        import torch

        data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
        yield torch.utils.data.DataLoader(data, batch_size=7)


def test_all_kinds_of_data(backend):
    members = [member() for _ in range(3)]
    ensemble, expected = Ensemble(members, weights=[1, 2, 0]), each(members)
    mean = np.tensordot([1 / 3, 2 / 3, 0], expected, 1)
    for data in kinds(backend):
        np.testing.assert_allclose(ensemble.predict(data, verbose=0), mean, atol=1e-6)
    for data in kinds(backend):
        np.testing.assert_allclose(ensemble.predict_members(data), expected, atol=1e-6)
    two_batches = ensemble.predict(Batches(), steps=2, verbose=0)
    np.testing.assert_allclose(two_batches, mean[:12], atol=1e-6)


@pytest.mark.every_backend
def test_members_of_one_architecture_are_traced_once(backend, traces):
    members = [member() for _ in range(5)]
    ensemble = compiled(Ensemble(members))
    if backend != "torch":
        assert num_traces(traces, ensemble) <= num_traces(traces, Ensemble([member()])) > 0
        assert num_traces(traces, ensemble) == 0
        ensemble.predict_spread(X, batch_size=11)
        ensemble.evaluate(X, Y, batch_size=11, verbose=0)
        assert not traces
    for _ in range(2):
        found = ensemble.predict(X, batch_size=11, verbose=0)
        np.testing.assert_allclose(found, each(members).mean(0), atol=1e-6)
        for m in members:  # new weights, the same graph
            m.set_weights([w + 0.1 for w in m.get_weights()])


def test_architectures_mix_and_members_may_change():
    members = [member(), member(keras.layers.ReLU()), member(), Ensemble([member(), member()])]
    ensemble = Ensemble(members)
    np.testing.assert_allclose(ensemble.predict(X, verbose=0), each(members).mean(0), atol=1e-6)
    members[0].trainable = False
    members[2].layers[0].trainable = False
    np.testing.assert_allclose(ensemble.predict(X, verbose=0), each(members).mean(0), atol=1e-6)
    members[0].layers[-1].quantize("int8")
    np.testing.assert_allclose(ensemble.predict(X, verbose=0), each(members).mean(0), atol=1e-6)


def test_evaluate_is_keras_own(backend):
    members = [compiled(member(kernel_regularizer="l2")) for _ in range(3)]
    ensemble = Ensemble(members)
    weights = rng.random(22).astype("float32")
    given = {"batch_size": 8, "sample_weight": weights, "verbose": 0}
    ours = ensemble.evaluate(X, Y, **given)
    p = each(members).mean(0)
    penalty = sum(0.01 * (m.layers[-1].get_weights()[0] ** 2).sum() for m in members)
    expected = keras.Model.evaluate(ensemble, X, Y, **given)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    batches = [
        -(weights[i : i + 8] * np.log(p[range(22), Y])[i : i + 8]).mean() for i in (0, 8, 16)
    ]
    assert ours[0] == pytest.approx(np.average(batches, weights=[8, 8, 6]) + penalty, rel=1e-4)
    as_dict = ensemble.evaluate(Batches(), verbose=0, return_dict=True)
    assert as_dict["accuracy"] == pytest.approx(np.mean(p.argmax(1) == Y))


def test_metrics_of_each_class_and_what_layers_add_are_keras_own():
    def build():
        penalty = keras.layers.ActivityRegularization(l2=0.1)
        return member(penalty, kernel_regularizer="l1")

    ensemble, y = Ensemble([build(), build()], weights=(1, 3)), np.eye(3, dtype="float32")[Y]
    metrics = {"metrics": [keras.metrics.F1Score()], "weighted_metrics": ["accuracy"]}
    ensemble.compile(loss="categorical_crossentropy", **metrics, **trainings.for_few_steps())
    given = {"sample_weight": rng.random(22), "verbose": 0, "return_dict": True}
    ours, expected = ensemble.evaluate(X, y, **given), keras.Model.evaluate(ensemble, X, y, **given)
    assert ours.keys() == expected.keys() == {"accuracy", "f1_score", "loss"}
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5)


def test_callbacks_are_called():
    seen = []
    watch = keras.callbacks.LambdaCallback(on_train_begin=None)
    watch.on_predict_batch_end = lambda batch, logs=None: seen.append((batch, len(logs["outputs"])))
    watch.on_test_batch_end = lambda batch, logs=None: seen.append(sorted(logs))
    ensemble = compiled(Ensemble([member()]))
    ensemble.predict(X, batch_size=12, verbose=0, callbacks=[watch])
    ensemble.evaluate(X, Y, batch_size=12, verbose=0, callbacks=[watch])
    assert seen == [(0, 12), (1, 10), ["accuracy", "loss"], ["accuracy", "loss"]]


@pytest.mark.every_backend
def test_what_draws_at_inference_draws_on():
    def noisy():
        inputs = keras.Input((6, 6, 3))
        noise = keras.layers.Dropout(0.5, seed=3)(inputs, training=True)
        return compiled(keras.Model(inputs, member()(noise)))

    twins = [[noisy() for _ in range(2)] for _ in range(2)]
    for one, other in zip(*twins, strict=True):
        other.set_weights(one.get_weights())
    ensemble = Ensemble(twins[0])
    for _ in range(2):
        found = ensemble.predict(X, batch_size=5, verbose=0)
        batches = [X[i : i + 5] for i in range(0, 22, 5)]
        expected = np.mean([np.concatenate([called(m, b) for b in batches]) for m in twins[1]], 0)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("weights", [None, (1, 0, 3)])
def test_spread_against_scipy(weights):
    members = [member() for _ in range(3)]
    spread = Ensemble(members, weights=weights).predict_spread(X)
    p, w = each(members), np.array(weights or (1, 1, 1)) / sum(weights or (1, 1, 1))
    mean = np.tensordot(w, p, 1)
    entropy = stats.entropy(mean, axis=1)
    variance = np.tensordot(w, (p - mean) ** 2, 1)
    np.testing.assert_allclose(spread.standard_deviation, np.sqrt(variance), atol=1e-6)
    np.testing.assert_allclose(spread.entropy, entropy, atol=1e-6)
    information = entropy - w @ stats.entropy(p, axis=2)
    np.testing.assert_allclose(spread.mutual_information, information, atol=1e-6)
    differs = p.argmax(2) != mean.argmax(1)
    np.testing.assert_allclose(spread.disagreement, w @ differs, atol=1e-6)


def test_spread_of_one_output_of_raw_outputs_and_of_several():
    members = [member(activation="sigmoid", units=1) for _ in range(2)]
    p = each(members)
    two = np.concatenate([1 - p, p], -1)
    spread = Ensemble(members).predict_spread(X)
    np.testing.assert_allclose(spread.entropy, stats.entropy(two.mean(0), axis=1), atol=1e-6)
    raw = [member(activation="linear") for _ in range(2)]
    spread = Ensemble(raw, "logit").predict_spread(X)
    mean = special.softmax(each(raw), -1).mean(0)
    np.testing.assert_allclose(spread.entropy, stats.entropy(mean, axis=1), atol=1e-6)
    np.testing.assert_allclose(spread.standard_deviation, each(raw).std(0), atol=1e-5)
    x = keras.Input((6, 6, 3))
    flat = keras.layers.Flatten()(x)
    heads = {name: keras.layers.Dense(2, "softmax", name=name)(flat) for name in ("a", "b")}
    spread = Ensemble([keras.Model(x, heads)]).predict_spread(X)
    assert set(spread) == {"a", "b"}
    assert not spread["b"].mutual_information.any()


def test_calibration_of_each_combination():
    members = [member() for _ in range(3)]
    found = Ensemble(members, weights=(2, 1, 1)).calibration(X, Y)
    p, w = each(members), np.array([0.5, 0.25, 0.25])
    geometric = np.exp(np.tensordot(w, np.log(p), 1))
    combined = {
        "probability": np.tensordot(w, p, 1),
        "geometric": geometric / geometric.sum(1, keepdims=True),
        "vote": np.tensordot(w, np.eye(3)[p.argmax(-1)], 1),
    }
    assert set(found) == set(combined)
    for how, q in combined.items():
        nll = -np.log(np.maximum(q[range(22), Y], np.finfo(float).eps)).mean()
        assert found[how].nll == pytest.approx(nll, rel=1e-4)
        assert found[how].accuracy == np.mean(q.argmax(1) == Y)
        brier = ((q - np.eye(3)[Y]) ** 2).sum(1).mean()
        assert found[how].brier == pytest.approx(brier, rel=1e-4)
    raw = [member(activation="linear") for _ in range(2)]
    found = Ensemble(raw, "logit").calibration(Batches())
    q = special.softmax(each(raw).mean(0), -1)
    assert found["logit"].nll == pytest.approx(-np.log(q[range(22), Y]).mean(), rel=1e-4)


@pytest.mark.every_backend
def test_calibration_takes_tensors():
    p, tensor = special.softmax(rng.normal(size=(22, 3)), -1), keras.ops.convert_to_tensor
    found = calibration(tensor(np.eye(3)[Y]), tensor(p.astype("float32")))
    assert found.nll == pytest.approx(-np.log(p[range(22), Y]).mean(), rel=1e-4)
    assert found.accuracy == np.mean(p.argmax(1) == Y)


@pytest.mark.parametrize("combine", ["probability", "geometric", "vote"])
def test_a_member_that_predicts_nan_is_named(combine):
    members = [member() for _ in range(3)]
    broken = members[1].get_weights()
    broken[-1][:] = np.nan
    members[1].set_weights(broken)
    ensemble = compiled(Ensemble(members, combine))
    match = f"member 1 `{members[1].name}` predicts NaN for sample 0"
    for act in (
        lambda: ensemble.predict(X, verbose=0),
        lambda: ensemble.evaluate(X, Y, verbose=0),
        lambda: ensemble.predict_spread(X),
    ):
        with pytest.raises(ValueError, match=match):
            act()
    without, rest = Ensemble(members, combine, weights=(1, 0, 1)), Ensemble(members[::2], combine)
    for act in (lambda e: e.predict(X, verbose=0), called, lambda e: e.predict_spread(X).entropy):
        np.testing.assert_allclose(act(without), act(rest), atol=1e-6)


def test_errors_of_data():
    ensemble = Ensemble([member()])
    with pytest.raises(ValueError, match="`y` must be given"):
        ensemble.calibration(X)
    with pytest.raises(ValueError, match="not compiled: call `compile"):
        ensemble.evaluate(X, Y, verbose=0)


def test_export(backend, tmp_path):
    if backend != "tensorflow":
        pytest.skip("SavedModels are TensorFlow's")
    import tensorflow as tf

    members = [member(), member()]
    Ensemble(members, "geometric").export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    p = np.prod(each(members) ** 0.5, 0)
    np.testing.assert_allclose(loaded.serve(X), p / p.sum(1, keepdims=True), atol=1e-5)


def normalized(seed):
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(seed).normal(seed, 1 + seed, (50, 6, 6, 3)))
    return member(layer)


@pytest.mark.every_backend
def test_normalization_layers_have_each_their_own_statistics(backend, tmp_path, traces):
    members = [normalized(seed) for seed in range(3)]
    expected = each(members)
    ensemble = Ensemble(members)
    np.testing.assert_allclose(ensemble.predict_members(X), expected, atol=1e-6)
    if backend != "torch":
        alone = num_traces(traces, Ensemble(members[:1]))
        assert num_traces(traces, Ensemble(members)) <= alone
    np.testing.assert_allclose(each(members), expected, atol=1e-6)  # they are as they were
    on_disk = EnsembleOnDisk(written(tmp_path, members))
    np.testing.assert_allclose(on_disk.predict_members(X), expected, atol=1e-6)
    members[1].layers[0].adapt(X)
    np.testing.assert_allclose(ensemble.predict_members(X), each(members), atol=1e-6)


def test_inputs_are_found_by_their_names():
    def build(*names):
        inputs = [keras.Input((4,), name=name) for name in names]
        head = keras.layers.Dense(3, "softmax")
        return keras.Model(inputs, head(keras.layers.Subtract()(inputs)))

    members, x = [build("a", "b"), build("b", "a")], {"a": X[:, 0, :4, 0], "b": X[:, 1, :4, 1]}
    expected = np.mean([called(m, x) for m in members], 0)
    np.testing.assert_allclose(Ensemble(members).predict(x, verbose=0), expected, atol=1e-6)


def test_named_losses_of_several_outputs():
    def build():
        x = keras.Input((4,))
        heads = [keras.layers.Dense(n, "softmax", name=name)(x) for n, name in ((3, "a"), (2, "b"))]
        model = keras.Model(x, heads)
        losses = dict.fromkeys("ab", "sparse_categorical_crossentropy")
        return compile_for_tests(model, "sgd", losses, {"a": ["accuracy"], "b": ["accuracy"]})

    x, y = X[:, 0, :4, 0], [Y, Y % 2]
    members = [build(), build()]
    logs = Ensemble(members).evaluate(x, y, verbose=0, return_dict=True)
    p = np.mean([keras.ops.convert_to_numpy(m(x)[0]) for m in members], 0)
    assert logs["a_accuracy"] == pytest.approx(np.mean(p.argmax(1) == Y))
    for as_dict in (True, False):
        given = {"verbose": 0, "return_dict": as_dict}
        alone = Ensemble(members[:1]).evaluate(x, y, **given)
        assert alone == pytest.approx(members[0].evaluate(x, y, **given), rel=1e-4)


@pytest.mark.every_backend
def test_state_goes_on_from_batch_to_batch():
    class Counter(keras.layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.count.assign(self.count + 1)
            return x * self.count

    members, expected = [member(Counter()) for _ in range(2)], []
    for m in members:
        m.layers[0].count.assign(0)
        expected.append(np.concatenate([called(m, X[i : i + 8]) for i in (0, 8, 16)]))
        m.layers[0].count.assign(0)
    found = Ensemble(members).predict_members(X, batch_size=8)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.every_backend
def test_code_of_the_users_own_is_run_for_each_member():
    """Whatever of it a configuration leaves out, or names as Keras names its own."""

    class Roll(keras.layers.Layer):
        def __init__(self, by):
            super().__init__()
            self.by = by

        def get_config(self):
            return {}

        def call(self, x):
            return keras.ops.roll(x, int(self.by), axis=-1)

    def relu(factor):
        def relu(x):
            return factor * x

        return keras.layers.Activation(relu)

    for build in (Roll, lambda k: Roll(np.int64(k)), relu):
        members = [member(build(k)) for k in (0, 1)]
        found = Ensemble(members).predict(X, verbose=0)
        np.testing.assert_allclose(found, each(members).mean(0), atol=1e-6)


def test_weights_of_an_ensemble_inside_may_change():
    inner = Ensemble([member(), member()])
    outer = Ensemble([inner, member()])
    outer.predict(X, verbose=0)
    inner.member_weights = (1, 3)
    expected = each([*inner.members, outer.members[1]])
    expected = np.tensordot([1 / 8, 3 / 8, 1 / 2], expected, 1)
    np.testing.assert_allclose(outer.predict(X, verbose=0), expected, atol=1e-6)


def test_raw_outputs_of_one_unit_are_calibrated_by_their_mean():
    def constant(logit):
        model = member(activation="linear", units=1)
        kernel, bias = model.layers[-1].get_weights()
        model.layers[-1].set_weights([0 * kernel, bias * 0 + logit])
        return model

    found = Ensemble([constant(20), constant(-30)], "logit").calibration(X, 0 * Y)
    assert found["logit"].accuracy == 1
    assert found["logit"].nll == pytest.approx(np.log1p(np.exp(-5)), rel=1e-4)
    p = Ensemble(
        [
            keras.Sequential([constant(z), keras.layers.Activation("sigmoid")])
            for z in (17.5, -17.5)
        ],
        "geometric",
    ).predict(X, verbose=0)
    np.testing.assert_allclose(p, 0.5, atol=0.3)


def test_empty_data():
    class Nothing(Batches):
        def __len__(self):
            return 0

    ensemble = compiled(Ensemble([member()]))
    for act in (ensemble.predict, ensemble.evaluate, ensemble.predict_spread):
        with pytest.raises(ValueError, match="at least one batch; got none"):
            act(Nothing())


# On disk.


def written(folder, members):
    paths = [folder / f"{i}.keras" for i in range(len(members))]
    for path, m in zip(paths, members, strict=True):
        m.save(path)
    return paths


@pytest.mark.parametrize(
    "max_loaded",
    [pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.every_backend), 9],
)
def test_members_on_disk(tmp_path, max_loaded, backend, traces):
    members = [compiled(member()) for _ in range(3)]
    members.append(compiled(member(keras.layers.ReLU())))
    paths, expected = written(tmp_path, members), each(members).mean(0)
    ensemble = EnsembleOnDisk(paths, max_loaded=max_loaded)
    before = num_alive()
    found = ensemble.predict(X, batch_size=11, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert num_alive() - before == min(max_loaded, 4)
    if backend != "torch":  # a graph for each architecture
        of_one = num_traces(traces, EnsembleOnDisk(paths[:1]))
        again = EnsembleOnDisk(paths, max_loaded=max_loaded)
        assert num_traces(traces, again) <= 2 * of_one
    ours, theirs = (e.evaluate(X, Y, verbose=0) for e in (ensemble, Ensemble(members)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(ensemble.load().predict(X, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(ensemble.predict_members(Batches()), each(members), atol=1e-6)


@keras.saving.register_keras_serializable(package="test_prediction")
class First(keras.layers.Layer):
    def call(self, x):
        return keras.ops.cast(x[:, :4], "float32") / 256


def test_members_on_disk_are_loaded_once_for_256_mb_of_data(tmp_path):
    """Of five batches of 128 MB, which are zeros but for the beginning, two at a time."""

    def reads_the_beginning(*more):
        layers = [keras.Input((2**27,), dtype="uint8"), First(), *more]
        return keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])

    def data():
        for rows in beginnings:
            batch = np.zeros((1, 2**27), "uint8")
            batch[:, :4] = rows
            read.append(rows)
            yield (batch,)

    members = [
        reads_the_beginning(),
        reads_the_beginning(),
        reads_the_beginning(keras.layers.ELU()),
    ]
    beginnings = np.random.default_rng(1).integers(0, 256, (5, 4))
    each = [called(keras.Sequential(m.layers[1:]), beginnings / 256.0) for m in members]
    expected = np.tensordot([1 / 8, 2 / 8, 5 / 8], each, 1)
    read, seen = [], []
    watch = keras.callbacks.LambdaCallback(on_train_begin=None)
    watch.on_predict_batch_end = lambda batch, logs=None: seen.append(len(read))
    ensemble = EnsembleOnDisk(written(tmp_path, members), weights=(1, 2, 5), max_loaded=1)
    found = ensemble.predict(data(), verbose=0, callbacks=[watch])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert seen[0] < 5


@pytest.mark.parametrize("harm", ["truncated", "flipped", "missing"])
def test_a_damaged_member_is_named_and_left_out_only_when_told(tmp_path, harm):
    members = [member() for _ in range(3)]
    paths = written(tmp_path, members)
    whole = paths[1].read_bytes()
    if harm == "missing":
        paths[1].unlink()
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        paths[1].write_bytes(whole[:middle] if harm == "truncated" else flipped)
    with pytest.raises(ValueError, match=r"1\.keras is missing or damaged"):
        EnsembleOnDisk(paths)
    with pytest.warns(UserWarning, match=r"left out of the ensemble: .*1\.keras"):
        ensemble = EnsembleOnDisk(paths, weights=(1, 5, 3), damaged="skip")
    expected = np.tensordot([0.25, 0.75], each([members[0], members[2]]), 1)
    np.testing.assert_allclose(ensemble.predict(X, verbose=0), expected, atol=1e-6)
    paths[2].write_bytes(whole[:100])  # while it is in use
    with pytest.raises(ValueError, match=r"2\.keras can't be read"):
        ensemble.predict(X, verbose=0)
    for path in paths:
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="left out"):  # noqa: SIM117
        with pytest.raises(ValueError, match=r"all of .* are damaged"):
            EnsembleOnDisk(paths, damaged="skip")


def test_what_stays_on_disk_refuses_what_needs_all(tmp_path):
    ensemble = EnsembleOnDisk(written(tmp_path, [member()]))
    for act, match in (
        (lambda: ensemble.save(tmp_path / "e.keras"), "`load\\(\\)` gives"),
        (lambda: ensemble.export(tmp_path / "e"), "`load\\(\\)` gives"),
        (lambda: ensemble.fit(X, Y), "can't be trained"),
    ):
        with pytest.raises(ValueError, match=match):
            act()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: EnsembleOnDisk([]), "at least one member"),
        (lambda folder: EnsembleOnDisk(folder), "a directory with a manifest.json"),
        (lambda folder: EnsembleOnDisk([folder / "m.h5"]), "list of .keras files; got"),
        (lambda folder: EnsembleOnDisk(folder, max_loaded=0), "`max_loaded` must be"),
        (lambda folder: EnsembleOnDisk(folder, damaged="no"), "`damaged` must be one of"),
        (lambda folder: EnsembleOnDisk(folder, "mean"), "`combine` must be one of"),
        (
            lambda folder: EnsembleOnDisk(written(folder, [member(), member(units=4)])),
            "same input and output shapes",
        ),
        (
            lambda folder: EnsembleOnDisk(written(folder, [member()]), weights=[1, 2]),
            "one number per member, 1",
        ),
    ],
)
def test_bad_arguments_on_disk(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        make(tmp_path)
