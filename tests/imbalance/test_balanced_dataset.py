"""BalancedDataset: each epoch draws what it says, from whatever holds the samples."""

import contextlib
import pickle
import threading

import keras
import numpy as np
import pytest

from keras_dcnn.callbacks import ResumeTraining
from keras_dcnn.imbalance import BalancedDataset

COUNTS = [20, 6, 3]
Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], COUNTS))
SEEN = []
X = np.arange(29.0, dtype="float32")[:, None]  # a sample says which it is


def dataset(x=X, y=Y, *rest, **arguments):
    return BalancedDataset(x, y, *rest, **{"batch_size": 8, "verbose": 0, **arguments})


def passed(data):
    """Which samples a pass gives, after a look at their labels."""
    batches = list(data)
    rows = np.concatenate([batch[0] for batch in batches])[:, 0].astype(int)
    np.testing.assert_array_equal(Y[rows], np.concatenate([batch[1] for batch in batches]))
    return rows


class Reading(keras.Sequential):
    """Notes the samples that a training sees."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        with contextlib.suppress(TypeError, ValueError):  # where Keras traces
            SEEN.append(keras.ops.convert_to_numpy(x)[:, 0].astype(int))
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def network(kind=keras.Sequential):
    model = kind([keras.Input((1,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3), loss, run_eagerly=kind is Reading)
    return model


@pytest.mark.every_backend
def test_fit_sees_each_epoch_what_it_promises():
    """Under "over", every sample of the rare classes; none twice more often than another."""
    data = dataset(batch_size=20)
    SEEN.clear()
    network(Reading).fit(data, epochs=3, verbose=0)
    assert data.epoch == 3
    seen = SEEN[-3 * len(data) :]
    for epoch in range(3):
        rows = np.concatenate(seen[epoch * len(data) : (epoch + 1) * len(data)])
        often = np.bincount(rows, minlength=29)
        assert [often[c == Y].sum() for c in range(3)] == [20, 20, 20]
        assert [np.ptp(often[c == Y]) for c in range(3)] == [0, 1, 1]
        data.epoch = epoch
        assert sorted(rows) == sorted(passed(data))


def test_orders_are_of_the_seed_and_the_epoch():
    data, again = dataset(seed=3), dataset(seed=3)
    first = passed(data)
    for data.epoch in (1, 2):
        third = passed(data)
        assert (first != third).any()
    again.epoch = 2
    np.testing.assert_array_equal(passed(again), third)
    assert (passed(dataset(seed=4)) != first).any()


def test_only_whole_passes_count():
    """An order is read to its end before the next begins."""
    data = dataset()
    data.on_epoch_end()  # Keras's, before the first epoch
    data.on_epoch_begin()
    data[0]
    data.on_epoch_end()  # a model was built
    assert data.epoch == 0
    passed(data)  # the user's own look
    data.on_epoch_begin()
    data[0]
    data.on_epoch_end()
    assert data.epoch == 0
    data.on_epoch_begin()
    passed(data)
    data.on_epoch_end()
    assert data.epoch == 1


def test_a_training_that_was_killed_goes_on_with_its_epoch(tmp_path):
    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            epochs.append((epoch, data.epoch))
            if len(epochs) == 3:
                raise InterruptedError

    epochs = []
    for _ in range(2):  # as a script that is started again
        data = dataset(batch_size=20)
        with contextlib.suppress(InterruptedError):
            callbacks = [ResumeTraining(tmp_path, verbose=0), Killed()]
            network(Reading).fit(data, epochs=4, verbose=0, callbacks=callbacks)
    assert epochs == [(0, 0), (1, 1), (2, 2), (2, 2), (3, 3)]


def test_threads_that_read_do_not_see_half_an_order():
    data = dataset(batch_size=60)
    orders = []
    for epoch in range(40):
        data.epoch = epoch
        orders.append(tuple(passed(data)))
    read, ended = [], threading.Event()

    def reading():
        while not ended.is_set():
            read.append(tuple(passed(data)))

    reader = threading.Thread(target=reading)
    reader.start()
    for epoch in range(40):
        data.epoch = epoch
    ended.set()
    reader.join()
    assert set(read) <= set(orders)


@pytest.mark.parametrize("epochs", [1, 7])
def test_under_goes_through_all_in_turn(epochs):
    data, often = dataset(mode="under"), 0
    for epoch in range(epochs):
        data.epoch = epoch
        often += np.bincount(passed(data), minlength=29)
    assert [np.ptp(often[c == Y]) for c in range(3)] == [1, epochs % 2, 0]


def test_progressive_loses_no_turn():
    """Over all epochs, though each draws another number."""
    data = dataset(mode="progressive", epochs=6)
    often = 0
    for epoch in range(6):
        data.epoch = epoch
        often += np.bincount(passed(data), minlength=29)
    assert max(np.ptp(often[c == Y]) for c in range(3)) <= 1


def test_the_last_part_batch_is_kept():
    assert [len(batch[1]) for batch in dataset(batch_size=25)] == [25, 25, 10]


def test_balance_within_each_batch():
    for batch in dataset(batch_size=9, per_batch="balanced"):
        assert np.ptp(np.bincount(batch[1], minlength=3)) == 0


def test_numbers_by_class_leave_a_class_out():
    rows = passed(dataset(mode={0: 0, 2: 5}))
    assert np.bincount(Y[rows]).tolist() == [0, 6, 5]


def test_memory_maps_are_read_in_batches_and_arrays_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(passed(dataset(mapped)), passed(dataset()))
    x = X.copy()
    data = dataset(x)
    x += 100
    assert data[0][0].min() >= 100
    assert type(dataset(mapped)[0][0]) is np.ndarray


@pytest.mark.every_backend
def test_several_inputs():
    images, numbers = keras.Input((1,), name="images"), keras.Input((1,), name="numbers")
    outputs = keras.layers.Dense(3, "softmax")(keras.layers.Concatenate()([images, numbers]))
    model = keras.Model([images, numbers], outputs)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(model.fit(dataset([X, 2 * X], batch_size=30), verbose=0).history["loss"])
    (batch, _) = dataset({"images": X, "numbers": 2 * X})[0]
    np.testing.assert_array_equal(2 * batch["images"], batch["numbers"])


@pytest.mark.parametrize("kind", [str, lambda path: path, np.str_])
def test_files(tmp_path, kind):
    paths = []
    for row in X:
        np.save(tmp_path / f"{int(row[0]):02}.npy", row)
        paths.append(kind(tmp_path / f"{int(row[0]):02}.npy"))
    paths = np.array(paths) if kind is np.str_ else paths
    expected = passed(dataset())
    for threads in (1, 3):
        np.testing.assert_array_equal(
            passed(dataset(paths, load=np.load, threads=threads)), expected
        )


def test_a_folder(tmp_path):
    for name, number in (("cats", 4), ("dogs", 1)):
        (tmp_path / name).mkdir()
        for i in range(number):
            grey = np.full((9, 9, 3), 200 if name == "dogs" else 10 * i)
            keras.utils.save_img(tmp_path / name / f"{i}.png", grey, scale=False)
    data = BalancedDataset(tmp_path, image_size=8, verbose=0)
    images, labels = data[0]
    assert data.class_names == ["cats", "dogs"]
    assert images.shape == (8, 8, 8, 3)
    assert images.dtype == "uint8"
    assert sorted(images[labels == 0][:, 0, 0, 0]) == [0, 10, 20, 30]
    assert (images[labels == 1] == 200).all()


def test_one_hot_labels_and_weights():
    hot, weights = np.eye(3)[Y], np.where(np.arange(29) % 2, 2.0, 0.0)
    batches = list(dataset(X, hot, weights))
    rows = np.concatenate([batch[0] for batch in batches])[:, 0].astype(int)
    assert (rows % 2 == 1).all()  # the others have the weight 0
    np.testing.assert_array_equal(np.concatenate([batch[1] for batch in batches]), hot[rows])
    np.testing.assert_array_equal(np.concatenate([batch[2] for batch in batches]), weights[rows])
    assert np.ptp(np.bincount(Y[rows])) == 0


@pytest.mark.parametrize(("mode", "power"), [("over", 1), ("sqrt", 0.5)])
def test_of_several_labels_the_rarest_decides(mode, power):
    """The repeat factors of LVIS, with the most frequent label's frequency as threshold."""
    y = np.zeros((29, 3), int)
    y[:16, 0], y[12:20, 1], y[15:17, 2] = 1, 1, 1  # 16, 8, 2; those from 20 on have none
    factors = np.where(y, (16 / y.sum(0)) ** power, 1).max(1)
    data = dataset(X, y, mode=mode)
    rows = np.concatenate([batch[0] for batch in data])[:, 0].astype(int)
    often = np.bincount(rows, minlength=29)
    assert (np.abs(often - factors) <= 1).all()
    for factor in set(factors):
        assert often[factors == factor].sum() == round((factors == factor).sum() * factor)
    assert data.counts.tolist() == [16, 8, 2]


def test_the_table_says_what_comes(capsys):
    BalancedDataset(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["class", "samples", "effective", "an", "epoch"],
        ["0", "20", f"{(1 - 0.999**20) / 0.001:.1f}", "20"],
        ["1", "6", f"{(1 - 0.999**6) / 0.001:.1f}", "20"],
        ["2", "3", f"{(1 - 0.999**3) / 0.001:.1f}", "20"],
        ["all", "29", "60"],
    ]


def test_the_table_of_many_classes_is_short(capsys):
    BalancedDataset(np.zeros((300, 1)), np.arange(300) % 100)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 23
    assert any(line.startswith("…") for line in lines)


def test_pickles():
    np.testing.assert_array_equal(passed(pickle.loads(pickle.dumps(dataset()))), passed(dataset()))


@pytest.mark.parametrize(
    ("y", "arguments", "match"),
    [
        (np.zeros(29, int), {}, "at least two classes; got samples of class 0"),
        (np.where(Y == 1, 3, Y), {}, "class 1 has none: number the classes without gaps"),
        (np.where(Y == 1, np.nan, Y), {}, "whole numbers from 0; got nan"),
        (np.where(Y == 1, -1, Y), {}, "got -1"),
        (np.full((29, 3), 1 / 3), {}, "each sample must have one class"),
        (Y[:-1], {}, "as many samples, at least one; got `x` 29, `y` 28"),
        (np.array(["a", "b"])[Y % 2], {}, "number the classes"),
        ({"a": Y}, {}, "whole numbers or one-hot rows; got dtype object"),
        (Y, {"sample_weight": np.zeros(29)}, "at least two classes; got none"),
        (None, {}, "`y` must be the labels of the samples; got none"),
        (np.eye(3)[Y] + np.eye(3)[0], {"mode": "under"}, "each sample must have one class"),
        (np.eye(4)[Y][:, [0, 1, 3]], {"mode": "under"}, "`mode` must be 'over' or 'sqrt'"),
        (Y, {"mode": "progressive"}, "`epochs` must be given"),
        (Y, {"epochs": 3}, "`epochs` must be left out"),
        (Y, {"per_batch": "equal"}, "`per_batch` must be one of None, 'balanced'"),
        (Y, {"batch_size": 0}, "`batch_size` must be a whole number of at least 1; got 0"),
        (Y, {"seed": None}, "`seed` must be"),
    ],
)
def test_bad_arguments(y, arguments, match):
    with pytest.raises(ValueError, match=match):
        dataset(X, y, **arguments)


@pytest.mark.parametrize(
    ("x", "y", "error", "match"),
    [
        (np.zeros((0, 1)), np.zeros(0, int), ValueError, "at least one; got `x` 0"),
        (dataset(), Y, TypeError, "got BalancedDataset: for a tf.data set use balance_dataset"),
        ("nowhere", Y, ValueError, "`y` must be left out for a folder"),
        ("nowhere", None, ValueError, "nowhere is not a folder"),
    ],
)
def test_bad_data(x, y, error, match):
    with pytest.raises(error, match=match):
        dataset(x, y)


def test_files_of_other_shapes_are_named(tmp_path):
    for i in range(29):
        np.save(tmp_path / f"{i}.npy", np.zeros(1 + i % 2))
    data = dataset([tmp_path / f"{i}.npy" for i in range(29)], load=np.load)
    with pytest.raises(ValueError, match=r"arrays of one shape; got \(\d,\) for .*npy: resize"):
        data[0]
