"""train_from_seeds: the members are what seed, build and fit give by hand, also after a kill."""

import json
import random
import re
import sys

import keras
import numpy as np
import pytest
import trainings
from ensemble.averaged import compile_for_tests

from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn.ensemble import EnsembleOnDisk
from keras_dcnn.ensemble.training._jobs import Job
from keras_dcnn.ensemble.training.train_from_seeds import check_last_losses, train_from_seeds

X = np.random.default_rng(0).normal(size=(24, 8)).astype("float32")
Y = np.arange(24) % 3
FIT = {"epochs": 2, "batch_size": 12, "verbose": 0}


def build(units=3):
    """Dense, BatchNorm, dropout, softmax; its initial weights come from the seed."""
    layers = [keras.layers.Dense(units, "relu"), keras.layers.BatchNormalization()]
    layers += [keras.layers.Dropout(0.2), keras.layers.Dense(3, "softmax")]
    return compiled(keras.Sequential([keras.Input((8,)), *layers]), keras.optimizers.Adam(0.01))


def compiled(model, optimizer="sgd"):
    return compile_for_tests(model, optimizer, metrics=[])


def by_hand(seed, data=(X, Y)):
    keras.utils.set_random_seed(seed)
    model = build()
    history = model.fit(*data, **FIT).history
    return model, history


def random_numbers():
    """Draws of every generator that a caller may use; TensorFlow's last."""
    drawn = [random.random(), np.random.random()]  # noqa: NPY002
    drawn += [float(keras.random.normal(())), build().get_weights()[0].sum()]
    if keras.backend.backend() == "torch":
        import torch

        drawn.append(float(torch.rand(())))
    tensorflow = sys.modules.get("tensorflow")
    return drawn, float(tensorflow.random.uniform(())) if tensorflow else None


@pytest.mark.slow
def test_members_are_those_trained_by_hand_and_the_callers_random_numbers_go_on():
    keras.utils.set_random_seed(5)
    expected = random_numbers()[0], random_numbers()[0]
    of_tensorflow = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        first = random_numbers()
        ensemble = train_from_seeds(build, (X, Y), seeds=[3, 7], **FIT)
        second = random_numbers()
        assert (first[0], second[0]) == expected
        of_tensorflow.append([first[1], second[1]])
    # TensorFlow's go on from another place, the same each time
    assert of_tensorflow[0] == of_tensorflow[1]
    assert None in of_tensorflow[0] or len(set(of_tensorflow[0])) == 2
    keras.utils.set_random_seed(5)  # and where the seed was set, but nothing drawn yet
    train_from_seeds(build, (X, Y), seeds=1, **FIT)
    assert random_numbers()[0] == expected[0]
    assert len(ensemble.members) == 2
    for seed, member, history in zip((3, 7), ensemble.members, ensemble.histories, strict=True):
        model, by_fit = by_hand(seed)
        assert trainings.same(member.get_weights(), model.get_weights())
        assert history == by_fit
    loss = ensemble.evaluate(X, Y, verbose=0)
    p = np.mean([keras.ops.convert_to_numpy(m(X)) for m in ensemble.members], axis=0)
    assert loss == pytest.approx(-np.log(p[range(24), Y]).mean(), rel=1e-4)


@pytest.mark.slow
def test_a_run_goes_on_with_the_missing_members_only(tmp_path, capsys):
    def counted():
        counted.calls += 1  # a list that it closes over would make it another function
        return [trainings.StopAt(0)] if counted.calls == 2 else []

    counted.calls = 0
    arguments = {"seeds": 3, "directory": tmp_path, "callbacks": counted, **FIT}
    with pytest.raises(KeyboardInterrupt):
        train_from_seeds(build, (X, Y), **arguments)
    ensemble = train_from_seeds(build, (X, Y), **{**arguments, "verbose": 1})
    assert counted.calls == 4  # one, the interrupted one, and two
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 of 3 trainings are done already."
    assert [re.sub(r"loss [\d.]+, \d+", "loss X, N", line) for line in lines[1:]] == [
        "seed 1: loss X, N s",
        "seed 2: loss X, N s",
    ]
    again = train_from_seeds(build, (X, Y), **arguments)
    assert counted.calls == 4
    for seed, one, other in zip(range(3), ensemble.members, again.members, strict=True):
        assert trainings.same(one.get_weights(), by_hand(seed)[0].get_weights())
        assert trainings.same(one.get_weights(), other.get_weights())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [(m["file"], m["seed"]) for m in manifest["members"]] == [
        (f"seed-{seed}.weights.h5", seed) for seed in range(3)
    ]
    assert ensemble.histories == again.histories
    on_disk = EnsembleOnDisk(tmp_path)
    expected = ensemble.predict(X, verbose=0)
    np.testing.assert_allclose(on_disk.predict(X, verbose=0), expected, atol=1e-6)
    seen = [np.load(tmp_path / member["trained_on"]) for member in manifest["members"]]
    np.testing.assert_array_equal(seen, [fingerprints(X)] * 3)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"data": (X + 1, Y)}, "its inputs"),
        ({"data": (X, Y[::-1].copy())}, "its targets"),
        ({"epochs": 3}, r"its fit arguments \({'epochs': 2, .* there, {'epochs': 3, .* here\)"),
        (
            {"build": lambda: build(4)},
            r"its build \(build \w+ there, <lambda> .* here\); its compiled model",
        ),
    ],
)
def test_another_run_in_the_directory_is_refused(tmp_path, finished_run, change, differs):
    arguments = {"build": build, "data": (X, Y), "seeds": 1, "directory": finished_run, **FIT}
    with pytest.raises(ValueError, match=f"holds? the same run.*differs in {differs}.*another dir"):
        train_from_seeds(**{**arguments, **change})


def test_other_initial_weights_are_another_run(finished_run):
    def other():
        model = build()
        model.layers[-1].kernel.assign(0.5 * model.layers[-1].kernel)
        return model

    with pytest.raises(ValueError, match=r"differs in its build; its untrained weights \("):
        train_from_seeds(other, (X, Y), seeds=1, directory=finished_run, **FIT)


def test_a_seed_of_a_layer_may_be_drawn():
    def drawn():
        model = keras.Sequential([*build().layers])
        model.add(keras.layers.Dropout(0.1, seed=random.randrange(2**30)))
        return compiled(model)

    assert len(train_from_seeds(drawn, (X, Y), seeds=1, epochs=1, verbose=0).members) == 1


def test_lists_of_numbers_and_a_none_at_the_end_are_as_arrays(finished_run):
    for data in [(X, Y, None), (X, Y.tolist()), (X, list(Y), None)]:
        with pytest.raises(ValueError, match="differs in its fit arguments"):  # and in no more
            train_from_seeds(build, data, seeds=1, directory=finished_run, **{**FIT, "epochs": 9})
        train_from_seeds(build, data, seeds=1, directory=finished_run, **FIT)


def test_a_damaged_run_json_is_called_so(tmp_path):
    for text in ("{", "[1]"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(ValueError, match=r"run\.json is damaged: restore it, or choose"):
            train_from_seeds(build, (X, Y), seeds=1, directory=tmp_path, **FIT)


def test_a_split_of_a_memory_map_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(ValueError, match="`validation_split` needs arrays in memory"):
        train_from_seeds(build, (x, Y), seeds=1, validation_split=0.5, **FIT)


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    train_from_seeds(build, (X, Y), seeds=1, directory=directory, **FIT)
    return directory


def test_members_of_something_else_in_the_directory_are_kept(tmp_path):
    (tmp_path / "mine.weights.h5").write_text("mine")
    with pytest.raises(ValueError, match="must be new, or hold a run to go on with"):
        train_from_seeds(build, (X, Y), seeds=1, directory=tmp_path, **FIT)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.weights.h5"]


def test_weights_for_samples_and_models_that_are_built_by_their_first_batch():
    def unbuilt():
        return compiled(keras.Sequential([keras.layers.Dense(3, "softmax")]))

    weights = np.linspace(0, 2, 24)
    (member,) = train_from_seeds(unbuilt, (X, Y, weights), seeds=[4], **FIT).members
    keras.utils.set_random_seed(4)
    model = unbuilt()
    model.fit(X, Y, sample_weight=weights, **FIT)
    assert trainings.same(member.get_weights(), model.get_weights())


def test_a_pydataset_is_trained_on_here():
    class Batches(keras.utils.PyDataset):
        num_batches = 2

        def __getitem__(self, i):
            return X[12 * i : 12 * i + 12], Y[12 * i : 12 * i + 12]

    fit = {"epochs": 2, "verbose": 0}
    (member,) = train_from_seeds(build, Batches(), seeds=[4], **fit).members
    keras.utils.set_random_seed(4)
    model = build()
    model.fit(Batches(), **fit)
    assert trainings.same(member.get_weights(), model.get_weights())
    with pytest.raises(ValueError, match="only arrays go to other processes; got Batches"):
        train_from_seeds(build, Batches(), n_jobs=2)


def _uncompiled():
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])


SHARED = build()
BASE = keras.layers.Dense(3, "softmax", name="base")
OPTIMIZER = keras.optimizers.Adam()
WIDTHS = iter(range(2, 99))


def _shared_backbone():
    return compiled(keras.Sequential([keras.Input((8,)), BASE]))


class _Bare(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units, "softmax")
        self.function = lambda x: x

    def get_config(self):
        raise NotImplementedError

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"build": build()}, TypeError, "`build` must be a function.*got Sequential"),
        ({"build": lambda: "model"}, TypeError, "`build` must return a Keras model;.*str"),
        ({"build": _uncompiled}, ValueError, "must return a compiled model; `seq.*model.compile"),
        (
            {"build": lambda: compiled(_uncompiled())},
            ValueError,
            "needs probabilities.*use combine='logit'",
        ),
        ({"seeds": 0}, ValueError, "`seeds` must be a whole number of at least 1; got 0"),
        ({"seeds": [1, 1]}, ValueError, r"`seeds` must be different.*got \[1, 1\]"),
        ({"seeds": []}, ValueError, "`seeds` must be different whole numbers, at least one"),
        ({"seeds": [2**31]}, ValueError, "below 2³¹"),
        ({"callbacks": []}, TypeError, r"`callbacks` must be a function.*got list.*lambda: \[…\]"),
        ({"epoch": 3}, TypeError, "`fit` of Keras takes no `epoch`; it takes batch_size, epochs, "),
        ({"data": (X, Y[:20])}, ValueError, "as many samples.*got `x` 24, `y` 20"),
        ({"data": [X, Y]}, TypeError, r"must be a tuple.*got list of 2: write data=\(x, y\)"),
        ({"data": (X, None, Y)}, TypeError, "must be arrays.*got NoneType, ndarray"),
        ({"data": (X, Y, Y, Y)}, TypeError, "must be a tuple"),
        ({"seeds": {1, 2}}, ValueError, "a whole number, or a list of them; got {1, 2}"),
        ({"data": (X, Y - 1)}, ValueError, "got -1 for sample"),
        (  # what has the weight 0 is no label
            {"data": (X, Y - 1), "sample_weight": (Y > 0) * 1.0, "build": lambda: SHARED},
            ValueError,
            "new layers each time",
        ),
        ({"data": (X, Y.astype(str))}, ValueError, "`y` must be numbers; got .*<U.*number the"),
        ({"build": lambda: SHARED}, ValueError, "new layers each time; .* is in two of its models"),
        ({"build": _shared_backbone}, ValueError, "base/kernel` is in two.*inside `build`"),
        (
            {"build": lambda: compiled(build(), OPTIMIZER)},
            ValueError,
            "is in two of its models.*optimizer",
        ),
        ({"build": lambda: build(next(WIDTHS))}, ValueError, "make the same model each time"),
        ({"build": lambda: compiled(_Bare(3))}, ValueError, r"\(_Bare\) gives no .*`get_config`"),
        ({"data": iter([(X, Y)])}, ValueError, "readable again and again; got a list_iterator"),
    ],
)
def test_errors_before_any_training(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        train_from_seeds(**{"build": build, "data": (X, Y), "directory": tmp_path, **arguments})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_more_seeds_add_members_and_one_that_diverged_is_named(tmp_path, finished_run):
    bad = keras.initializers.Constant(np.inf)

    def sometimes_bad():
        model = build()
        sometimes_bad.calls += 1
        if keras.ops.convert_to_numpy(model.layers[0].kernel).flat[0] == first[1]:
            model.layers[-1].kernel.assign(bad(model.layers[-1].kernel.shape))
        return model

    sometimes_bad.calls, first = 0, []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        first.append(build().get_weights()[0].flat[0])
    arguments = {"directory": tmp_path, **FIT}
    with pytest.raises(ValueError, match=r"loss must be finite; that of seed 1 is not: lower the"):
        train_from_seeds(sometimes_bad, (X, Y), seeds=2, **arguments)
    count = sometimes_bad.calls
    ensemble = train_from_seeds(sometimes_bad, (X, Y), seeds=[0], **arguments)
    assert (
        sometimes_bad.calls == count + 3
    )  # two to see whether it is the same, one to load; no training
    weights = train_from_seeds(build, (X, Y), seeds=1, directory=finished_run, **FIT).get_weights()
    assert trainings.same(ensemble.get_weights(), weights)


@pytest.mark.parametrize("directory", [None, "kept"])
def test_what_is_kept_of_trainings_that_diverged(directory):
    results = [(None, {"history/loss": np.array([2.0, loss])}) for loss in (1.0, np.nan)]
    jobs, kept = [Job("a", "seed 0", 0), Job("b", "seed 1", 1)], "the others are kept"
    message = kept if directory else "a `directory` would have kept the others"
    with pytest.raises(ValueError, match=f"seed 1 is not.*NaN in the data.*; {message}"):
        check_last_losses(jobs, results, directory)


def test_an_error_in_a_training_says_in_which():
    with pytest.raises(TypeError, match="`callbacks` must return a list; it returned dict") as info:
        train_from_seeds(build, (X, Y), callbacks=dict, seeds=[4], **FIT)
    assert info.value.__notes__ == ["This was in the training of seed 4."]
