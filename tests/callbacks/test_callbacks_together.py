"""All our callbacks in one `fit`, with Keras's own, in any order, on one device and on several."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._files.states import pack
from keras_dcnn.callbacks import (
    CheckpointEnsemble,
    CurveRecorder,
    DeadUnits,
    DivideLROnPlateau,
    GradualUnfreeze,
    ResumeTraining,
    SnapshotSchedule,
    TrainingDiagnosis,
    WeightAveraging,
)
from keras_dcnn.callbacks._logs import number_in


def ours(folder):
    return [
        DivideLROnPlateau(patience=1, min_delta=0.3, restore="state", verbose=0),
        CheckpointEnsemble(folder / "members", max_members=2),
        WeightAveraging("ema", start=0.2, decay=0.5),
        CurveRecorder(folder / "loss.csv"),
        DeadUnits(trainings.X),
        TrainingDiagnosis(path=folder / "findings.json"),
        ResumeTraining(folder / "state"),
    ]


def keras_own(folder, backend):
    return [
        keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(folder / "best.weights.h5", save_weights_only=True),
        keras.callbacks.CSVLogger(folder / "log.csv"),
        *([keras.callbacks.TensorBoard(folder / "board")] if backend == "tensorflow" else []),
    ]


@pytest.mark.slow
def test_the_order_changes_nothing(tmp_path, backend):
    """But DeadUnits comes before what watches its value."""
    outcomes = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        parts = [*ours(folder), *keras_own(folder, backend)]
        order = np.random.default_rng(number).permutation(len(parts)) if number else range(99)
        parts_in_order = [parts[i] for i in order if i < len(parts)]
        model = trainings.compiled()
        history = trainings.fit(model, parts_in_order, epochs=3)
        members = [{key: member[key] for key in ("epoch", "value")} for member in parts[1].members]
        best = trainings.network()
        best.load_weights(folder / "best.weights.h5")
        csv = (folder / "loss.csv").read_text()
        outcomes.append((model.get_weights(), best.get_weights(), members, csv, history))
        trainings.take_back()
    for weights, best, members, csv, history in outcomes[1:]:
        assert trainings.same(weights, outcomes[0][0])
        assert trainings.same(best, outcomes[0][1])
        assert members == outcomes[0][2]
        assert csv == outcomes[0][3]
        assert {**history} == outcomes[0][4]


def test_a_second_fit_works_with_the_same_callbacks(tmp_path):
    model, parts = trainings.compiled(), ours(tmp_path)
    for _ in range(2):
        history = trainings.fit(model, parts, epochs=2)
        assert np.isfinite(history["val_loss"]).all()
    assert len(parts[3].points()["loss"]) == 12


def state_of(part):
    return pack(part.get_state())


def test_pickles_and_copies_have_the_state_but_no_model(tmp_path):
    model, parts = trainings.compiled(), [*ours(tmp_path), SnapshotSchedule(2, 0.1)]
    duplicates = [lambda part: pickle.loads(pickle.dumps(part)), copy.deepcopy, copy.copy]
    before = [duplicate(part) for part in parts for duplicate in duplicates]
    assert len(before) == 3 * len(parts)
    trainings.fit(model, parts[:-1], epochs=2)
    trainings.rehearse(model, parts[-1:], [0, 0])
    for part in parts:
        for duplicate in duplicates:
            other = duplicate(part)
            assert other.model is (model if duplicate is copy.deepcopy else None)
            (text, arrays), (same_text, same_arrays) = map(state_of, (other, part))
            assert text == same_text
            assert trainings.same(arrays, same_arrays)
    averaged = pickle.loads(pickle.dumps(parts[2])).averaged_weights()
    assert trainings.same(averaged, parts[2].averaged_weights())


def test_a_pickle_goes_on_and_a_copy_does_so_with_the_same_model():
    model, other = trainings.compiled(), trainings.compiled()
    cut = DivideLROnPlateau("score", "min", patience=2, verbose=0)
    trainings.rehearse(model, [cut], [1, 2])
    for part, trained, cuts in (
        (copy.deepcopy(cut), other, 0),
        (copy.deepcopy(cut), model, 1),
        (pickle.loads(pickle.dumps(cut)), other, 1),
    ):
        trainings.rehearse(trained, [part], [2])
        assert part.get_state()["reductions"] == cuts


def test_an_interrupted_fit_leaves_no_rate_to_the_next():
    """On JAX a rate waits for the step that takes it."""
    model = trainings.compiled()
    with pytest.raises(KeyboardInterrupt):
        trainings.fit(model, [SnapshotSchedule(2, 0.1), trainings.StopAt(0)])
    model.optimizer.learning_rate = 0.002
    trainings.fit(model, [], epochs=1)
    assert float(model.optimizer.learning_rate.numpy()) == np.float32(0.002)


def test_a_backup_of_keras_beside_ours_is_told_once_before_the_training(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    parts = [backup, *ours(tmp_path)[:3]]
    message = "not save the state of keras_dcnn's callbacks.*: use ResumeTraining in its place"
    with pytest.warns(UserWarning, match=message) as told:
        trainings.fit(trainings.compiled(), parts, epochs=0)
    assert len([one for one in told if one.category is UserWarning]) == 1


@pytest.mark.every_backend
def test_a_silent_fit_prints_nothing_and_another_prints_as_keras_does(capsys, monkeypatch):
    curve, logged = [1, 1], []
    for verbose, lines in ((0, 0), (2, 1)):
        model, log = trainings.compiled(), trainings.Script(curve)
        cut = DivideLROnPlateau("score", "min", patience=1)
        trainings.fit(model, [log, cut], epochs=2, verbose=verbose)
        assert capsys.readouterr().out.count("learning rate 0.01 → 0.005") == lines
    monkeypatch.setattr("absl.logging.info", lambda *args: logged.append(str(args)))
    keras.config.disable_interactive_logging()
    try:
        trainings.rehearse(model, [DivideLROnPlateau("score", "min", patience=1)], curve)
    finally:
        keras.config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    assert "learning rate 0.005 → 0.0025" in logged[0]


class NeverSynced(keras.callbacks.Callback):
    """Whether anybody took JAX's state back into the model between two batches."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        if batch:
            self.seen.append(self._model._jax_state_synced)

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self._model._jax_state_synced)


@pytest.mark.slow
def test_between_batches_nobody_touches_the_weights_on_jax(tmp_path, backend):
    if backend != "jax":
        pytest.skip("of JAX only")
    thaw = GradualUnfreeze(["norm"], verbose=0)
    held = trainings.network()
    optimizer = thaw.optimizer(held, keras.optimizers.SGD(0.1))
    held.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=trainings.jit())
    by_batch = DivideLROnPlateau("loss", "min", every=1, patience=99, warmup=1)
    for model, parts in (
        (trainings.compiled(), [*ours(tmp_path)[1:], by_batch]),
        (trainings.compiled(), [SnapshotSchedule(2, 0.1), WeightAveraging("lawa", start=0.0)]),
        (held, [thaw]),
    ):
        watch = NeverSynced()
        trainings.fit(model, [*parts, watch], epochs=2)
        assert len(watch.seen) == 10
        assert not any(watch.seen)


ON_SEVERAL = """
import sys
sys.path.insert(0, sys.argv[1])
import contextlib, pathlib, tempfile
import keras, numpy as np
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
else:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    scope = contextlib.nullcontext
import trainings, test_callbacks_together
from keras_dcnn.callbacks import *
from keras_dcnn.diagnosis import find_learning_rate
folder = pathlib.Path(tempfile.mkdtemp())
def make(optimizer=None):
    with scope():
        model = trainings.network(dropout=0.0)
        model.compile(optimizer and optimizer(model) or keras.optimizers.Adam(0.01),
                      "sparse_categorical_crossentropy")
    return model
expected = None
for attempt in range(2):
    model = make()
    parts = test_callbacks_together.ours(folder)
    stop = [trainings.StopAt(3)] if attempt == 0 else []
    try:
        trainings.fit(model, [*parts, *stop], epochs=5)
    except KeyboardInterrupt:
        pass
whole = make()
trainings.fit(whole, test_callbacks_together.ours(pathlib.Path(tempfile.mkdtemp())), epochs=5)
close = all(np.allclose(a, b, atol=1e-5)
            for a, b in zip(model.get_weights(), whole.get_weights()))
print("resumed", close)
averaging, record = WeightAveraging(start=0.5, batch_norm="recompute", data=trainings.X), \\
    trainings.Record()
model = make()
trainings.fit(model, [averaging, record, SnapshotSchedule(2, 0.05)])
mean = np.mean([weights[0] for weights in record.batches[6:]], 0)
print("averaged", np.allclose(model.get_weights()[0], mean, atol=1e-6))
thaw = GradualUnfreeze(["features"], every=3, verbose=0)
model = make(lambda model: thaw.optimizer(model, keras.optimizers.SGD(0.1)))
before = model.get_weights()
trainings.fit(model, [thaw], epochs=2)
print("held", np.array_equal(before[0], model.get_weights()[0]))
before = model.get_weights()
curve = find_learning_rate(model, (trainings.X, trainings.Y), num_steps=30, verbose=0)
print("as before", trainings.same(before, model.get_weights()))
"""


@pytest.mark.slow
def test_on_several_devices(backend):
    """MirroredStrategy with 2 logical CPUs, JAX's DataParallel with 8 virtual devices."""
    if backend == "torch":
        pytest.skip("Keras distributes over devices on TensorFlow and JAX")
    tests = Path(trainings.__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", ON_SEVERAL, str(tests / "callbacks")],
        capture_output=True,
        text=True,
        timeout=900,
        env={
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
            "PYTHONPATH": str(tests),
        },
    )
    said = [line for line in done.stdout.splitlines() if line.endswith(("True", "False"))]
    expected = ["resumed True", "averaged True", "held True", "as before True"]
    assert said == expected, done.stderr[-3000:]


@pytest.mark.every_backend
@pytest.mark.parametrize("params", [{}, {"verbose": 0}])
def test_a_loop_of_one_s_own_is_told_what_they_need(params):
    """Regression: "'CurveRecorder' object has no attribute '_run'"."""
    callbacks = keras.callbacks.CallbackList([CurveRecorder()], model=trainings.network(), **params)
    with pytest.raises(ValueError, match="CurveRecorder needs the `params` of a training"):
        callbacks.on_train_begin()


def test_a_quantity_of_several_numbers_is_named():
    """Regression: "only 0-dimensional arrays can be converted to Python scalars"."""
    assert number_in({"f1": np.array([0.5])}, "f1") == 0.5
    assert np.isnan(number_in({}, "f1"))
    with pytest.raises(ValueError, match=r"must be one number; 'f1' has the shape \(3,\)"):
        number_in({"f1": np.ones(3)}, "f1")


def test_a_model_without_an_optimizer_is_told_so(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
    model.compile(optimizer=None, loss="mse")
    for callback in ours(tmp_path):
        with pytest.raises(ValueError, match="optimizer"):
            model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0, callbacks=[callback])
    with pytest.raises(ValueError, match=r"`fit` needs an optimizer.*compiled with optimizer=None"):
        model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0, callbacks=[DeadUnits(np.ones(4))])
