"""Every writer killed at each of its file operations: nothing is ever half, and it goes on."""

import contextlib
import json

import keras
import numpy as np
import pytest
import trainings
from killing import check_each_kill

from keras_dcnn._files.atomic import sha256, write_json
from keras_dcnn._files.members import write_architecture, write_member
from keras_dcnn._files.states import pack, read_state, unpack, write_state
from keras_dcnn.callbacks import CheckpointEnsemble, CurveRecorder
from keras_dcnn.ensemble import CrossValidationEnsemble, EnsembleOnDisk, train_from_seeds
from keras_dcnn.ensemble.training._job_files import (
    begin,
    is_done,
    read_result,
    write_array,
    write_result,
)
from keras_dcnn.statistics import PixelMoments


def small_model():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.once
def test_json(tmp_path):
    def look(folder):
        assert json.loads((folder / "a.json").read_text()) in ({"a": 1}, {"a": [2, 3]})

    check_each_kill(
        tmp_path,
        lambda folder: write_json(folder / "a.json", {"a": [2, 3]}),
        look,
        prepare=lambda folder: write_json(folder / "a.json", {"a": 1}),
        another_process=False,
    )


@pytest.mark.once
@pytest.mark.parametrize("epochs", [(), (4,), (4, 5), (4, 6)])
def test_states_of_a_training(tmp_path, epochs):
    """The sixth, where there are these; the one before it is kept."""

    def write(folder, epoch=6, of=0.0):
        read_state(folder)  # as `fit` does
        write_state(folder, epoch, {"epoch": epoch, "x": np.full(3, of), "y": [np.arange(2)]})

    def prepare(folder):
        for epoch in epochs:
            write(folder, epoch, of=1.0)

    def look(folder):
        state = read_state(folder)
        found = None if state is None else (state["epoch"], state["x"].tolist())
        assert found in [(6, [0.0] * 3), (epochs[-1], [1.0] * 3) if epochs else None]
        assert len(list(folder.glob("*.npz"))) <= 3

    check_each_kill(tmp_path, write, look, prepare)


@pytest.mark.once
@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_pixel_moments(tmp_path, suffix):
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (4, 2, 2, 3), "uint8") for _ in range(2)]
    means = []

    def save(folder, batches):
        moments = PixelMoments()
        for batch in batches:
            moments.update(batch)
        moments.save(folder / f"moments.{suffix}")
        means.append(moments.mean.tolist())

    def look(folder):
        assert PixelMoments.load(folder / f"moments.{suffix}").mean.tolist() in means[:2]

    check_each_kill(
        tmp_path,
        lambda folder: save(folder, batches),
        look,
        prepare=lambda folder: save(folder, batches[:1]),
        another_process=False,
    )


@pytest.mark.every_backend
def test_a_member_and_its_architecture(tmp_path):
    model = small_model()
    weights = model.get_weights()
    sums = []

    def write(folder, factor=2):
        model.set_weights([factor * (w + 1) for w in weights])
        write_architecture(model, folder / "architecture.json")
        sums.append(write_member(model, folder / "member.weights.h5")["sha256"])

    def look(folder):
        assert sha256(folder / "member.weights.h5") in sums[:2]
        json.loads((folder / "architecture.json").read_text())

    check_each_kill(tmp_path, write, look, lambda folder: write(folder, 1), another_process=False)
    assert len(set(sums)) == 2


@pytest.mark.every_backend
@pytest.mark.parametrize("epochs", [0, 3])
def test_checkpoint_ensemble(tmp_path, epochs):
    """The first epoch, and a fourth, whose member turns out one of two."""
    model = small_model()
    weights = model.get_weights()
    states = []  # that of the beginning, which ResumeTraining writes, and after three epochs

    def train(folder, scores, first=0):
        callback = CheckpointEnsemble(folder, max_members=2, monitor="score", mode="max")
        states[:] = states or [callback.get_state()]
        callback.set_state(unpack(*pack(states[bool(first)])))

        def learn(epoch, logs):
            model.set_weights([w + (first + epoch + 1) for w in weights])

        def stop(logs):
            states.append(callback.get_state())
            if not first:
                raise KeyboardInterrupt

        learning = keras.callbacks.LambdaCallback(on_epoch_end=learn, on_train_end=stop)
        with contextlib.suppress(KeyboardInterrupt):
            trainings.rehearse(model, [learning, callback], scores)

    def look(folder):
        if not (folder / "manifest.json").is_file():
            assert not epochs
            assert len(list(folder.glob("member-*"))) <= 1
            return
        members = json.loads((folder / "manifest.json").read_text())["members"]
        assert [one["file"] for one in members] in MEMBERS[epochs]
        for member in members:
            assert sha256(folder / member["file"]) == member["sha256"]
        assert len(list(folder.glob("member-*"))) <= 3
        EnsembleOnDisk(folder)

    check_each_kill(
        tmp_path,
        lambda folder: train(folder, [1.0, 2.0, 3.0, 2.5][epochs : epochs + 1], epochs),
        look,
        prepare=lambda folder: epochs and train(folder, [1.0, 2.0, 3.0]),
    )


MEMBERS = {
    0: [["member-0001.weights.h5"]],
    3: [
        ["member-0002.weights.h5", "member-0003.weights.h5"],
        ["member-0003.weights.h5", "member-0004.weights.h5"],
    ],
}


@pytest.mark.once
@pytest.mark.parametrize("epochs", [0, 1])
def test_rows_of_a_curve(tmp_path, epochs):
    """Its beginning, and a second epoch, by a state that knows only of the first."""
    model = small_model()
    states = []

    def record(folder, losses, first=0):
        callback = CurveRecorder(folder / "loss.csv")
        if first:
            callback.set_state(unpack(*pack(states[0])))
        more = [] if losses else [trainings.StopAt(0, 0)]
        with contextlib.suppress(KeyboardInterrupt):
            trainings.rehearse(model, [callback, *more], [0.0], [losses or [0.0]])
        states.append(callback.get_state())

    def prepare(folder):
        if epochs:
            record(folder, [3.0, 2.0])
            with open(folder / "loss.csv", "a") as file:  # of a second epoch that was killed
                file.write("3,2,1,1.234567\n4,2,2,1.234567\n")

    def look(folder):
        path = folder / "loss.csv"
        assert path.exists() or not epochs
        if epochs:
            assert path.read_text().startswith("step,epoch,batch,loss\n1,1,1,3\n2,1,2,2\n")

    check_each_kill(
        tmp_path,
        lambda folder: record(folder, [1.0, 0.5] if epochs else [], epochs),
        look,
        prepare,
    )
    rows = ["1,1,1,3", "2,1,2,2", "3,1,1,1", "4,1,2,0.5"] if epochs else []
    lines = (tmp_path / "after" / "loss.csv").read_text().splitlines()
    assert lines == ["step,epoch,batch,loss", *rows]


@pytest.mark.every_backend
def test_the_result_of_a_job(tmp_path):
    """It is marked as done when all is there; before that it is trained again."""
    model = small_model()
    arrays = {"history/loss": np.array([2.0, 1.0]), "predictions": np.eye(3)}

    def write(folder):
        begin(folder, {"kind": "run", "seed": 3})
        if not is_done(folder, "seed-3", "seed 3"):
            write_result(folder, "seed-3", model, arrays, 0.5)
        write_array(folder / "prints.npy", np.arange(9))

    def look(folder):
        if is_done(folder, "seed-3", "seed 3"):  # it would warn of a file that is not whole
            entry, found = read_result(folder, "seed-3")
            assert entry["sha256"] == sha256(folder / entry["file"])
            np.testing.assert_array_equal(found["predictions"], np.eye(3))
        if (folder / "prints.npy").exists():
            np.testing.assert_array_equal(np.load(folder / "prints.npy"), np.arange(9))

    check_each_kill(tmp_path, write, look)


@keras.saving.register_keras_serializable("test_kills")
class Learned(keras.Sequential):
    """A model whose `fit` knows at once what is to be learned."""

    def fit(self, *args, **more):
        self.set_weights([w + 1 for w in self.get_weights()])
        history = keras.callbacks.History()
        history.history = {"loss": [2.0, 1.0]}
        return history

    def evaluate(self, *args, **more):
        return {"loss": 1.0}

    def predict(self, x, *args, **more):
        return np.full((sum(len(x[i][0]) for i in range(x.num_batches)), 3), 1 / 3)


def build():
    model = Learned([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("kind", ["seeds", "folds"])
def test_the_manifest_of_a_run(tmp_path, kind):
    """When its trainings are done; it lists what is there."""
    x, y = np.random.default_rng(0).random((6, 4)), np.arange(6) % 3

    def run(folder):
        keras.utils.clear_session()  # as in a process of its own, where names begin anew
        if kind == "seeds":
            train_from_seeds(build, (x, y), 2, directory=folder, verbose=0)
        else:
            search = CrossValidationEnsemble(build, 2, 2, directory=folder)
            search.fit(x, y, verbose=0)

    def prepare(folder):
        run(folder)
        for name in ("manifest.json", *folder.glob("*prints.npy")):
            (folder / name).unlink()

    def look(folder):
        if (folder / "manifest.json").exists():
            for member in json.loads((folder / "manifest.json").read_text())["members"]:
                assert sha256(folder / member["file"]) == member["sha256"]
                assert len(np.load(folder / member["trained_on"])) == (6 if kind == "seeds" else 3)
            EnsembleOnDisk(folder)

    check_each_kill(tmp_path, run, look, prepare, at="replace")
