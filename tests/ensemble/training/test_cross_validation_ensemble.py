"""CrossValidationEnsemble: scikit-learn's folds, trainings as by hand, none of them done twice."""

import copy
import gc
import json
import pickle
import re
import shutil
import types
from pathlib import Path

import h5py
import joblib
import keras
import numpy as np
import pytest
import trainings
from ensemble.averaged import compile_for_tests
from sklearn import model_selection

from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._structure.descriptions import describe
from keras_dcnn.ensemble import EnsembleOnDisk
from keras_dcnn.ensemble.training._folds import fold_of_each, make_folds
from keras_dcnn.ensemble.training._job_files import is_done
from keras_dcnn.ensemble.training._jobs import Job, Trainings, keras_settings, run_job
from keras_dcnn.ensemble.training._search import make_jobs
from keras_dcnn.ensemble.training.cross_validation_ensemble import CrossValidationEnsemble

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 4, 4, 2)).astype("float32")
Y = np.arange(24) % 3
FIT = {"epochs": 2, "batch_size": 8, "verbose": 0}
GRID = {"width": [2, 3]}


def make_build(loss="sparse_categorical_crossentropy", outputs=3, activation="softmax"):
    """A function in a function, which goes to other processes as it is."""

    def build(width=2, rate=0.1):
        layers = [keras.layers.Flatten(), keras.layers.Dense(width, "relu")]
        layers += [keras.layers.Dropout(0.2), keras.layers.Dense(outputs, activation)]
        model = keras.Sequential([keras.Input((4, 4, 2)), *layers])
        metrics = ["accuracy"] if activation else []
        return compile_for_tests(model, keras.optimizers.SGD(rate), loss, metrics)

    return build


def search(directory=None, **arguments):
    arguments = {"folds": 2, "grid": GRID, "seed": 3, **arguments}
    return CrossValidationEnsemble(make_build(), directory=directory, **arguments)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two configurations on two folds, finished."""
    keras.utils.set_random_seed(1)
    return search(tmp_path_factory.mktemp("run")).fit(X, Y, **FIT)


@pytest.fixture
def copied(done, tmp_path):
    """A copy of its directory."""
    return Path(shutil.copytree(done.directory, tmp_path / "copy"))


def splits():
    splitter = model_selection.StratifiedKFold(2, shuffle=True, random_state=3)
    return list(splitter.split(np.zeros(24), Y))


def files(directory, *patterns):
    return {p.name: p.read_bytes() for pattern in patterns for p in Path(directory).glob(pattern)}


def test_folds_are_scikit_learns_and_models_those_trained_by_hand(done):
    assert done.configurations == [{"width": 2}, {"width": 3}]
    assert len(set(done.seeds.flat)) == 4
    bags = done.bags()
    for c in range(2):
        for f, (_, held_out) in enumerate(splits()):
            member = bags[c].members[f]
            p = keras.ops.convert_to_numpy(member(X[held_out]))
            np.testing.assert_allclose(done.oof_predictions[c, held_out], p, rtol=1e-5)
            assert (done.fold_of_sample[held_out] == f).all()
    for c, f in ((0, 1), (1, 0)):
        train, held_out = splits()[f]
        keras.utils.set_random_seed(int(done.seeds[c, f]))
        model = make_build()(**done.configurations[c])
        assert done.histories[c][f] == model.fit(X[train], Y[train], **FIT).history
        assert trainings.same(bags[c].members[f].get_weights(), model.get_weights())
        expected = model.predict(X[held_out], batch_size=8, verbose=0)
        np.testing.assert_array_equal(done.oof_predictions[c, held_out], expected)
        assert done.scores[c, f] == model.evaluate(X[held_out], Y[held_out], 8, verbose=0)[0]


def test_the_best_by_the_monitor_make_the_ensemble_and_the_manifest(done, copied):
    by_loss = np.argsort(done.scores, axis=None)
    p = done.oof_predictions
    accuracy = [[np.mean(p[c, h].argmax(1) == Y[h]) for _, h in splits()] for c in range(2)]
    by_accuracy = np.argsort(-np.array(accuracy), axis=None, kind="stable")
    for monitor, order in (("val_loss", by_loss), ("val_accuracy", by_accuracy)):
        again = search(copied, monitor=monitor, top=3).fit(X, Y, **FIT)
        members = [member for bag in again.bags() for member in bag.members]
        for member, place in zip(again.ensemble().members, order[:3], strict=True):
            assert trainings.same(member.get_weights(), members[place].get_weights())
        listed = json.loads((copied / "manifest.json").read_text())["members"]
        assert [2 * one["configuration"] + one["fold"] for one in listed] == list(order[:3])
        for one in listed:
            model = json.loads((copied / one["architecture"]).read_text())
            model.pop("compile_config")
            model = keras.saving.deserialize_keras_object(model)
            model.load_weights(copied / one["file"])
            place = 2 * one["configuration"] + one["fold"]
            assert trainings.same(model.get_weights(), members[place].get_weights())
            assert one["value"] == again.scores.flat[place]
            train = splits()[one["fold"]][0]
            seen = np.load(copied / one["trained_on"])
            np.testing.assert_array_equal(seen, fingerprints(X[train]))
    np.testing.assert_allclose(again.scores, accuracy, rtol=1e-6)
    on_disk, in_memory = EnsembleOnDisk(copied), again.ensemble()
    expected = in_memory.predict(X, verbose=0)
    np.testing.assert_allclose(on_disk.predict(X, verbose=0), expected, atol=1e-6)
    assert len(search(copied, top=None).fit(X, Y, **FIT).ensemble("vote").members) == 4


def test_results_print_as_a_table(done):
    means, spreads = done.scores.mean(1), done.scores.std(1)
    assert [row["parameters"] for row in done.results] == done.configurations
    assert [row["mean"] for row in done.results] == pytest.approx(list(means))
    assert [row["std"] for row in done.results] == pytest.approx(list(spreads))
    head, *rows = [line.split() for line in repr(done.results).splitlines()]
    assert head == ["parameters", "val_loss", "mean", "std"]
    assert rows == [
        [f"width={width}", f"{mean:.4f}", f"{spread:.4f}"]
        for width, mean, spread in zip((2, 3), means, spreads, strict=True)
    ]


def arrays_in(directory):
    """What the trainings wrote, by file and name."""
    found = {}
    for path in sorted(Path(directory).glob("*.npz")):
        with np.load(path) as arrays:
            found |= {(path.name, name): arrays[name] for name in arrays}
    for path in sorted(Path(directory).glob("*.weights.h5")):
        with h5py.File(path) as file:

            def note(name, one, path=path):
                if isinstance(one, h5py.Dataset):
                    found[path.name, name] = np.array(one)

            file.visititems(note)
    return found


def assert_same_trainings(directory, other):
    found, expected = arrays_in(directory), arrays_in(other)
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        np.testing.assert_allclose(found[place], value, rtol=1e-4, atol=1e-6, err_msg=str(place))


def assert_same_run(directory, done):
    assert_same_trainings(directory, done.directory)
    assert files(directory, "run.json") == files(done.directory, "run.json")


def test_a_job_is_a_function_of_its_description(done, tmp_path):
    """So it gives the same in other places and orders: in other processes, by slow tests."""
    jobs = make_jobs(done.configurations, splits(), seed=3)
    fit = {name: value for name, value in FIT.items() if name != "verbose"}
    shared = Trainings(make_build(), (X, Y), False, fit, None, tmp_path)
    keras.utils.set_random_seed(99)
    for job in (jobs[2], jobs[1]):
        run_job(shared, job)
    found, expected = arrays_in(tmp_path), arrays_in(done.directory)
    assert {name for name, _ in found} == {
        f"configuration-{place}{suffix}"
        for place in ("001-fold-0", "000-fold-1")
        for suffix in (".npz", ".weights.h5")
    }
    for place, value in found.items():
        np.testing.assert_allclose(value, expected[place], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_two_processes_give_the_same(done, tmp_path):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with joblib.parallel_config(backend="loky", n_jobs=2):
        search(tmp_path).fit(X, Y, **FIT)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert_same_run(tmp_path, done)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what a cluster leaves open at its end
def test_a_dask_cluster_gives_the_same(done, tmp_path):
    """Also where its processes have several threads."""
    pytest.importorskip("distributed")
    from distributed import Client, LocalCluster

    local = dict(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None)
    with (
        LocalCluster(**local, local_directory=tmp_path / "dask") as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        search(tmp_path / "run").fit(X, Y, **FIT)
    assert_same_run(tmp_path / "run", done)


def test_threads_are_refused(tmp_path):
    message = "must be processes.*got joblib's ThreadingBackend: use 'loky'"
    with (
        joblib.parallel_config(backend="threading", n_jobs=2),
        pytest.raises(ValueError, match=message),
    ):
        search(tmp_path).fit(X, Y, **FIT)
    assert list(tmp_path.iterdir()) == []


def test_workers_of_another_backend_or_without_the_directory_say_so(tmp_path):
    def run(backend, directory):
        settings = {**keras_settings(), "backend": backend}
        shared = Trainings(make_build(), (X, Y), False, FIT, None, directory, settings)
        run_job(shared, Job("one", "one", 0))

    with pytest.raises(RuntimeError, match=r"of the process that began .* cntk; .*KERAS_BACKEND"):
        run("cntk", tmp_path)
    with pytest.raises(ValueError, match=r"every worker sees; .*/none is not there"):
        run(keras.backend.backend(), tmp_path / "none")


def test_settings_of_keras_go_to_the_workers(tmp_path):
    before, seen = keras.config.dtype_policy(), []

    def build():
        seen.append(keras_settings())
        return make_build()()

    settings = {**keras_settings(), "dtype_policy": keras.DTypePolicy("mixed_bfloat16")}
    shared = Trainings(build, (X, Y), False, {}, None, tmp_path, settings)
    try:
        run_job(shared, Job("one", "one", 0))
    finally:
        keras.config.set_dtype_policy(before)
    assert seen == [settings]


def test_only_what_is_missing_or_damaged_is_trained(done, copied, capsys):
    def callbacks():
        callbacks.started += 1
        return []

    callbacks.started = 0
    kept = ("configuration-000-fold-0.*", "configuration-001-fold-1.*")
    before = files(copied, *kept)
    run = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps({**run, "callbacks": describe(callbacks)}))
    (copied / "configuration-000-fold-1.json").unlink()
    damaged = copied / "configuration-001-fold-0.npz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    (copied / ".999999999-configuration-001-fold-0.npz").write_text("half of it")
    message = r"configuration-001-fold-0\.npz is missing or was changed: fold 1 of 2, width=3 is"
    with pytest.warns(UserWarning, match=message) as warned:
        again = search(copied).fit(X, Y, callbacks=callbacks, **{**FIT, "verbose": 1})
    assert sum(issubclass(one.category, UserWarning) for one in warned) == 1
    assert callbacks.started == 2
    assert files(copied, *kept, ".*") == before
    assert_same_trainings(copied, done.directory)
    np.testing.assert_allclose(again.scores, done.scores, rtol=1e-5)
    out = capsys.readouterr().out
    assert [re.sub(r"[\d.]+, \d+ s", "X, N s", line) for line in out.splitlines()] == [
        "2 of 4 trainings are done already.",
        "fold 2 of 2, width=2: val_loss X, N s",
        "fold 1 of 2, width=3: val_loss X, N s",
    ]


@pytest.mark.parametrize("text", ["[1]", '{"files": {}}', '{"files": 3}', "{"])
def test_a_damaged_mark_is_a_training_to_do_again(tmp_path, text):
    (tmp_path / "one.json").write_text(text)
    with pytest.warns(UserWarning, match=r"one\.json is missing or was changed: fold 2 of 2 is"):
        assert not is_done(tmp_path, "one", "fold 2 of 2")
    assert not is_done(tmp_path, "one", "fold 2 of 2")  # said once


def vectors(monitor, directory=None):
    def build():
        metrics = [keras.metrics.F1Score(name="f1")]
        return compile_for_tests(make_build()(), "sgd", "categorical_crossentropy", metrics)

    return CrossValidationEnsemble(build, 2, 1, directory=directory, monitor=monitor)


def test_a_metric_of_many_numbers_is_no_score(tmp_path):
    y = np.eye(3, dtype="float32")[Y]
    one = vectors("val_loss").fit(X, y, **{**FIT, "epochs": 1})
    assert one.oof_predictions.shape == (1, 24, 3)
    assert set(one.histories[0][0]) == {"loss"}
    with pytest.raises(ValueError, match="one of val_loss, which are one number each; got 'val_f1"):
        vectors("val_f1", tmp_path).fit(X, y, **FIT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "fit", "differs"),
    [
        ({"grid": {"width": [2, 4]}}, {}, r"its grid \(.*there.*'width': 4}] here\); its compiled"),
        ({"folds": 3}, {}, "its folds"),
        ({"seed": 4}, {}, r"its folds; its seed \(3 there, 4 here\)"),
        ({}, {"epochs": 3}, "its fit arguments"),
        ({}, {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}, "its fit arguments"),
        ({}, {"x": X * 2}, "its inputs"),
        ({}, {"y": Y[::-1].copy()}, "its targets"),
        ({}, {"sample_weight": np.ones(24)}, "its targets"),
        ({}, {"callbacks": list}, r"its callbacks \(None there, list here\)"),
    ],
)
def test_another_run_is_refused_and_what_differs_is_named(done, arguments, fit, differs):
    before = files(done.directory, "*")
    with pytest.raises(ValueError, match=f"same run, to go on.*differs in {differs}.*another dir"):
        search(done.directory, **arguments).fit(**{"x": X, "y": Y, **FIT, **fit})
    assert files(done.directory, "*") == before


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def plain():
    return make_build()()


def stop():
    return [Stop()]


@pytest.mark.slow
def test_groups_stay_together_and_without_a_directory_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    groups = [f"patient {i // 4}" for i in range(24)]
    folds = model_selection.GroupKFold(3)
    one = CrossValidationEnsemble(plain, folds, top=2).fit(X, Y, groups=groups, **FIT)
    for f, (_, held_out) in enumerate(folds.split(X, Y, groups)):
        assert (one.fold_of_sample[held_out] == f).all()
    assert [len(history["loss"]) for history in one.histories[0]] == [2, 2, 2]
    (first,) = tmp_path.iterdir()
    written = {path.name: path.stat().st_mtime_ns for path in first.glob("*.weights.h5")}
    one.fit(X, Y, groups=np.array(groups), **FIT)  # nothing to train
    again = {path.name: path.stat().st_mtime_ns for path in first.glob("*.weights.h5")}
    assert (len(written), again) == (3, written)
    one.fit(X, Y, groups=groups, callbacks=stop, **FIT)  # another run
    assert [len(history["loss"]) for history in one.histories[0]] == [1, 1, 1]
    (second,) = tmp_path.iterdir()
    assert second != first
    expected = one.ensemble().get_weights()
    copies = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
    assert len(list(tmp_path.iterdir())) == 3
    del one
    gc.collect()
    for copied in copies:  # which own the trainings
        assert trainings.same(copied.ensemble().get_weights(), expected)
    del copied, copies
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["one-hot", "column", "labels"])
def test_folds_of_kinds_of_targets(kind):
    y = {"one-hot": np.eye(3)[Y], "column": Y[:, None], "labels": Y}[kind]
    for made, expected in zip(make_folds(2, True, 3, y), splits(), strict=True):
        assert trainings.same(made, expected)


def test_real_numbers_as_targets():
    build = make_build("mse", 1, None)
    one = CrossValidationEnsemble(build, 2, 1, stratified=False, seed=3)
    one.fit(X, rng.normal(size=(24, 1)), **{**FIT, "epochs": 1})
    splitter = model_selection.KFold(2, shuffle=True, random_state=3)
    folds = list(splitter.split(np.zeros(24)))
    np.testing.assert_array_equal(one.fold_of_sample, fold_of_each(folds, 24))
    for (_, held_out), member in zip(folds, one.bags("logit")[0].members, strict=True):
        p = keras.ops.convert_to_numpy(member(X[held_out]))
        np.testing.assert_allclose(one.oof_predictions[0, held_out], p, rtol=1e-5)


def test_several_inputs_and_weights_of_samples():
    def build():
        inputs = {"a": keras.Input((4, 4, 2), name="a"), "b": keras.Input((3,), name="b")}
        joined = keras.layers.concatenate([keras.layers.Flatten()(inputs["a"]), inputs["b"]])
        model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(joined))
        return compile_for_tests(model, "sgd", metrics=[])

    x, weight = {"a": X, "b": rng.random((24, 3)).astype("float32")}, np.linspace(0, 2, 24)
    one = CrossValidationEnsemble(build, 2, 1, seed=3).fit(x, list(Y), sample_weight=weight, **FIT)
    train, held_out = splits()[0]
    keras.utils.set_random_seed(int(one.seeds[0, 0]))
    model = build()
    part = {name: value[train] for name, value in x.items()}
    model.fit(part, Y[train], sample_weight=weight[train], **FIT)
    p = model.predict({name: value[held_out] for name, value in x.items()}, verbose=0)
    np.testing.assert_array_equal(one.oof_predictions[0, held_out], p)
    losses = -np.log(p[range(len(p)), Y[held_out]]) * weight[held_out]
    assert one.scores[0, 0] == pytest.approx(losses.mean(), rel=1e-4)


@pytest.mark.slow
def test_memory_maps_are_read_batch_by_batch(tmp_path):
    class Watched(np.memmap):
        most = 0

        def __getitem__(self, rows):
            part = super().__getitem__(rows)
            if part.ndim == 4:
                Watched.most = max(Watched.most, len(part))
            return part

    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r").view(Watched)
    one = search(grid=None, top=1).fit(x, Y, **FIT)
    assert Watched.most == 8  # a batch
    for f, (_, held_out) in enumerate(splits()):
        member = one.bags()[0].members[f]
        p = keras.ops.convert_to_numpy(member(X[held_out]))
        np.testing.assert_allclose(one.oof_predictions[0, held_out], p, rtol=1e-5)
        assert one.scores[0, f] == pytest.approx(member.evaluate(X[held_out], Y[held_out])[0])
    # without shuffling it is what `fit` does with arrays
    unshuffled = search(grid=None, top=1).fit(x, Y, shuffle=False, **FIT)
    train, held_out = splits()[0]
    keras.utils.set_random_seed(int(unshuffled.seeds[0, 0]))
    model = make_build()()
    model.fit(X[train], Y[train], shuffle=False, **FIT)
    p = keras.ops.convert_to_numpy(model(X[held_out]))
    np.testing.assert_allclose(unshuffled.oof_predictions[0, held_out], p, rtol=1e-5)
    assert not np.allclose(one.oof_predictions, unshuffled.oof_predictions, rtol=1e-3)


@pytest.mark.slow
def test_predictions_that_are_not_finite_are_named_and_the_rest_is_kept(tmp_path):
    one = search(tmp_path, grid={"rate": [0.1, 1e38]}, top=None)
    message = r"of fold 1 of 2, rate=1e\+38 and of fold 2 of 2, rate=1e\+38 are not: leave this"
    with pytest.raises(ValueError, match=message):
        one.fit(X, Y, **FIT)
    np.testing.assert_array_equal(np.isnan(one.scores), [[False, False], [True, True]])
    assert len(one.ensemble().members) == 2
    kinds = ("*.h5", "*.npz", "*fold-?.json", "manifest.json")
    before = files(tmp_path, *kinds)
    with pytest.raises(ValueError, match=message):
        search(tmp_path, grid={"rate": [0.1, 1e38]}, top=None).fit(X, Y, **FIT)
    assert files(tmp_path, *kinds) == before  # nothing was trained again
    with pytest.raises(ValueError, match=message):
        one.bags()


def test_a_training_that_fails_is_named_and_the_others_stay(tmp_path):
    def callbacks():
        callbacks.calls += 1
        if callbacks.calls == 2:
            raise OSError("no more files")
        return []

    callbacks.calls = 0
    with pytest.raises(OSError, match="no more files") as info:
        search(tmp_path, grid={"width": [2]}, top=1).fit(X, Y, callbacks=callbacks, **FIT)
    assert info.value.__notes__ == ["This was in the training of fold 2 of 2, width=2."]
    search(tmp_path, grid={"width": [2]}, top=1).fit(X, Y, callbacks=callbacks, **FIT)
    assert callbacks.calls == 3


class Splitter:
    """Held-out rows as given, trained on the others, or on these."""

    def __init__(self, *held_out, train=None):
        self.held_out, self.train = held_out, train

    def split(self, x, y, groups):
        for rows in self.held_out:
            train = np.setdiff1d(np.arange(24), rows) if self.train is None else self.train
            yield train, np.array(rows, int)


def shared(models=[]):  # noqa: B006
    """Always the same model."""
    if not models:
        models.append(make_build()())
    return models[0]


class Unnamed(keras.metrics.AUC):
    """As AUC, Precision and others: numbered where one gives no name."""


def in_a_dict():
    x = keras.Input((4, 4, 2))
    y = keras.layers.Dense(3, "softmax", name="y")(keras.layers.Flatten()(x))
    return compile_for_tests(keras.Model(x, {"y": y}), metrics=())


FIRST, LAST = list(range(12)), list(range(12, 24))
MASKS = types.SimpleNamespace(split=lambda *_: [(np.arange(24) < 12, np.arange(24) >= 12)])
FEW = np.array([0] * 11 + [1] * 11 + [2] * 2)


@pytest.mark.parametrize(
    ("arguments", "fit", "error", "message"),
    [
        ({"folds": 1}, {}, ValueError, "`folds` must be a whole number of at least 2; got 1"),
        ({"folds": "5"}, {}, ValueError, "or a splitter of scikit-learn's, .* got '5'"),
        ({"folds": model_selection.KFold}, {}, ValueError, "or a splitter .* got <class"),
        ({"folds": MASKS}, {}, ValueError, r"the numbers of samples; fold 1 .*np\.flatnonzero"),
        ({}, {"y": {"a": Y}}, TypeError, "`y` must be one array; got dict"),
        ({"build": in_a_dict, "grid": None, "top": 1}, {}, ValueError, "no list or dict; .* of 1"),
        ({"stratified": 1}, {}, ValueError, "`stratified` must be True or False"),
        ({"seed": None}, {}, ValueError, "`seed` must be a whole number"),
        ({"top": 0}, {}, ValueError, "`top` must be a whole number of at least 1"),
        ({"top": 5}, {}, ValueError, "at most the number of trainings, 4: 2 folds × 2 conf.* 5"),
        ({"folds": Splitter(FIRST, LAST), "top": 5}, {}, ValueError, "at most the number of tra"),
        ({"grid": {"widht": [1]}}, {}, TypeError, r"names of the grid, widht; it takes \(width"),
        ({"build": 3}, {}, TypeError, "`build` must be a function"),
        ({"build": lambda width: "x"}, {}, TypeError, "must return a Keras model; it returned str"),
        ({"build": lambda: None}, {}, TypeError, "names of the grid, width; it takes"),
        ({"build": shared, "grid": None, "top": 1}, {}, ValueError, "kernel` is in two of its"),
        (
            {"build": lambda outputs: make_build(outputs=outputs)(), "grid": {"outputs": [3, 4]}},
            {},
            ValueError,
            r"one shape; got \(3,\) for outputs=3 and \(4,\) for outputs=4",
        ),
        (
            {"build": lambda width: compile_for_tests(make_build()(), metrics=[Unnamed()])},
            {},
            ValueError,
            r"one name in each .*`unnamed(_\d+)?` and .*in Unnamed\(…, name=\"unnamed",
        ),
        ({"monitor": "val_f1"}, {}, ValueError, "one of val_.*val_.*; got 'val_f1'"),
        ({}, {"callbacks": []}, TypeError, "`callbacks` must be a function.*got list"),
        ({}, {"epoch": 3}, TypeError, "`fit` of Keras takes no `epoch`"),
        ({}, {"y": Y[:20]}, ValueError, "got `x` 24, `y` 20"),
        ({}, {"groups": Y[:20]}, ValueError, "got `x` 24, `y` 24, `groups` 20"),
        ({}, {"groups": Y}, ValueError, r"GroupKFold\(2\); got folds=2"),
        ({}, {"x": "images/"}, TypeError, "must be arrays.*got ndarray, str|got.*str"),
        ({"folds": 3}, {"y": FEW}, ValueError, "class 2 has 2, folds=3: use folds=2, stratified=F"),
        ({}, {"y": rng.normal(size=24)}, ValueError, "neither: use stratified=False"),
        ({}, {"y": np.eye(3)[Y] + np.eye(3)[0]}, ValueError, "neither: use stratified=False"),
        ({}, {"y": 1 - np.eye(3)[Y]}, ValueError, r"several labels \(multi-label\) or of none are"),
        ({"folds": 30, "stratified": False}, {}, ValueError, "no fold may be empty; got 24"),
        ({"folds": Splitter(FIRST, LAST, [])}, {}, ValueError, "held-out part of fold 3 of 3 is"),
        (
            {"folds": Splitter(FIRST, LAST, train=[])},
            {},
            ValueError,
            "training part of fold 1 of 2",
        ),
        ({"folds": Splitter(FIRST, FIRST)}, {}, ValueError, "sample 0 is held out 2 times"),
        ({"folds": Splitter(FIRST, LAST[1:])}, {}, ValueError, "sample 12 is held out 0 times"),
        ({"folds": Splitter(FIRST, LAST, train=[3])}, {}, ValueError, "fold 1 does with sample 3"),
    ],
)
def test_errors_before_any_training(tmp_path, arguments, fit, error, message):
    arguments = {"build": make_build(), "folds": 2, "grid": GRID, **arguments}
    with pytest.raises(error, match=message):
        CrossValidationEnsemble(directory=tmp_path, **arguments).fit(
            **{"x": X, "y": Y, **FIT, **fit}
        )
    assert list(tmp_path.iterdir()) == []


def test_before_fit_and_with_several_outputs():
    def build():
        x = keras.Input((4, 4, 2))
        y = keras.layers.Flatten()(x)
        model = keras.Model(x, [keras.layers.Dense(1)(y), keras.layers.Dense(1)(y)])
        return compile_for_tests(model, "sgd", "mse", [])

    one = CrossValidationEnsemble(build, 2, top=1)
    with pytest.raises(ValueError, match="call `fit` first"):
        one.ensemble()
    with pytest.raises(ValueError, match="must have one output, no list or dict"):
        one.fit(X, Y)
