"""Files that 0.1.0.dev0 wrote before its modules moved: they load, and give what they gave."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import trainings

import keras_dcnn

pytestmark = pytest.mark.every_backend
DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
X = np.sin(np.arange(48)).reshape(12, 4).astype("float32")
Y = np.arange(12) % 3
EPOCHS = 7  # of the training to be resumed, which was killed after four


def check(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def copied(name, tmp_path):
    """A copy of files, for what may write there."""
    return Path(shutil.copytree(DATA / name, tmp_path / name))


def test_ensemble():
    """With its weights, its way to combine, and our parts inside its members."""
    ensemble = keras.saving.load_model(DATA / "ensemble.keras")
    assert type(ensemble) is keras_dcnn.ensemble.Ensemble
    assert ensemble.combine == "geometric"
    check(ensemble.member_weights, [1, 3])
    first, activation, _ = ensemble.members[1].layers
    assert type(activation) is keras_dcnn.layers.RReLU
    assert type(first.kernel_initializer) is keras_dcnn.initializers.HeNormal
    assert (first.kernel_regularizer.decay, first.kernel_constraint.max_value) == (0.001, 2.0)
    check(ensemble.predict(X[:5], verbose=0), EXPECTED["ensemble"])
    check(ensemble.evaluate(X, Y, verbose=0), EXPECTED["evaluation"])


def test_members_of_checkpoint_ensemble(tmp_path):
    folder = copied("members", tmp_path)
    ensemble = keras_dcnn.ensemble.EnsembleOnDisk(folder)
    check(ensemble.predict(X[:5], verbose=0), EXPECTED["members"])
    listed = keras_dcnn.callbacks.CheckpointEnsemble(folder, monitor="loss").members
    assert [one["epoch"] for one in listed] == [1, 2]


def test_members_of_train_from_seeds(tmp_path):
    """The directory says which samples they were trained on, so no head is fitted to these."""
    ensemble = keras_dcnn.ensemble.EnsembleOnDisk(copied("seeds", tmp_path))
    check(ensemble.predict(X[:5], verbose=0), EXPECTED["seeds"])
    members = ensemble.load().members
    head = keras.layers.Dense(3, "softmax")
    stacked = keras_dcnn.ensemble.StackedEnsemble(members, head=head)
    stacked.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="of 12 they were trained on 12"):
        stacked.fit(X, Y, trained_on=ensemble.trained_on)


def small_classifier():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", **trainings.for_few_steps())
    return model


def test_seeds_of_a_finished_run_are_not_trained_again(tmp_path, capsys, backend):
    if backend != "tensorflow":
        pytest.skip("a run goes on with the backend that began it, which was TensorFlow")
    folder = copied("seeds", tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("seed-*")}
    ensemble = keras_dcnn.ensemble.train_from_seeds(
        small_classifier, (X, Y), seeds=2, directory=folder, epochs=2, shuffle=False
    )
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.glob("seed-*")}
    check([history["loss"] for history in ensemble.histories], EXPECTED["losses"])


def network():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(2, "tanh"),
            layers.BatchNormalization(momentum=0.8),
            layers.Dense(1),
        ]
    )
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(sgd, "mse", **trainings.for_few_steps())
    return model


def train(model, folder, *more):
    """The rate is divided after epochs 3, 5 and 7, the average begins with the fourth."""
    callbacks = keras_dcnn.callbacks
    chosen = [
        callbacks.DivideLROnPlateau("loss", patience=2, min_delta=10, restore="weights", verbose=0),
        callbacks.WeightAveraging("swa", start=0.5, verbose=0),
        callbacks.CurveRecorder(folder / "curve.csv"),
        callbacks.ResumeTraining(folder, verbose=0),
        *more,
    ]
    model.fit(X, Y, batch_size=4, epochs=EPOCHS, callbacks=chosen, shuffle=False, verbose=0)


def test_killed_training_is_resumed(tmp_path, backend):
    """Each backend its own, as the optimizer's counters differ in type; they end all alike."""
    folder, model, seen = copied(f"resume/{backend}", tmp_path), network(), trainings.Rates()
    train(model, folder, seen)
    assert len(seen.epochs) == EPOCHS - 4
    check(seen.epochs, EXPECTED["rates"][4:])
    for got, expected in zip(model.get_weights(), EXPECTED["weights"], strict=True):
        check(got, expected)
    curve = np.loadtxt(folder / "curve.csv", delimiter=",", skiprows=1)
    check(curve, EXPECTED["curve"])


@pytest.mark.parametrize("file", ["moments.json", "moments.npz"])
def test_pixel_moments(file):
    moments = keras_dcnn.statistics.PixelMoments.load(DATA / file)
    assert moments.count == EXPECTED["moments"]["count"]
    for name in ("mean", "covariance", "minimum", "maximum"):
        assert np.array_equal(getattr(moments, name), EXPECTED["moments"][name]), name
