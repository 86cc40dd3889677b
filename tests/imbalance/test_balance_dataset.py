"""balance_dataset: exact numbers by class in each pass over a tf.data set."""

import keras
import numpy as np
import pytest

from keras_dcnn.imbalance import balance_dataset

tf = pytest.importorskip("tensorflow")
Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [20, 6, 3]))
X = np.arange(29)[:, None]  # a sample says which it is


def tf_set(*arrays, batch_size=8):
    data = tf.data.Dataset.from_tensor_slices(arrays or (X, Y))
    return data if batch_size is None else data.batch(batch_size)


def often(data):
    """How often a pass gives each sample."""
    return np.bincount(np.concatenate([batch[0].numpy()[:, 0] for batch in data]), minlength=29)


def balanced(data, *mode, **arguments):
    return balance_dataset(data, *mode, verbose=0, **arguments)


@pytest.mark.parametrize(
    ("mode", "wanted", "batch_size"),
    [("over", [20, 20, 20], 8), ("under", [3, 3, 3], None), ([0, 8, 3], [0, 8, 3], 8)],
)
def test_each_pass_has_the_numbers_exactly(mode, wanted, batch_size):
    data = balanced(tf_set(batch_size=batch_size), mode)
    assert len(data) == -(-sum(wanted) // 32)
    for _ in range(2):
        found = often(data)
        assert [found[c == Y].sum() for c in range(3)] == wanted
        assert max(np.ptp(found[c == Y]) for c in range(3)) <= 1


def test_passes_draw_others():
    data = balanced(tf_set(), "under")
    passes = [often(data) for _ in range(3)]
    assert len({tuple(found) for found in passes}) > 1
    again = balanced(tf_set(), "under")
    np.testing.assert_array_equal([often(again) for _ in range(3)], passes)


def test_one_hot_labels_and_weights_and_known_batch_sizes():
    hot, weights = np.eye(3)[Y].astype("float32"), np.where(np.arange(29) % 2, 2.0, 0.0)
    data = tf_set(X, hot, weights, batch_size=None).batch(8, drop_remainder=True)
    data = balanced(data, batch_size=5)
    batches = [[part.numpy() for part in batch] for batch in data]
    assert all(len(batch[0]) == 5 for batch in batches[:-1])
    rows = np.concatenate([batch[0][:, 0] for batch in batches])
    assert (rows % 2 == 1).all()  # the others have the weight 0
    np.testing.assert_array_equal(np.concatenate([batch[1] for batch in batches]), hot[rows])
    assert np.ptp(np.bincount(Y[rows])) == 0


def test_single_samples_and_counts_that_are_known():
    data = balanced(tf_set(), counts=[20, 6, 3], batch_size=None, buffer_size=1)
    classes = [int(label) for _, label in data]
    assert np.bincount(classes).tolist() == [20, 20, 20]


@pytest.mark.every_backend
def test_fit_takes_it():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = balanced(tf_set(X.astype("float32"), Y), batch_size=30)
    steps = model.fit(data, shuffle=False, verbose=0).params["steps"]
    assert steps == 2


def test_the_table(capsys):
    balance_dataset(tf_set())
    assert "2            3        3.0        20" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "arguments", "match"),
    [
        (lambda: tf_set().repeat(), {}, "must end; got an infinite dataset"),
        (lambda: tf_set().take(0), {}, "at least one sample that counts; got none"),
        (lambda: tf_set(X, 0 * Y), {}, "at least two classes"),
        (lambda: tf_set(X, Y + (Y == 2)), {}, "class 2 has none"),
        (lambda: tf_set(X, np.where(Y == 1, np.nan, Y)), {}, "got nan"),
        (lambda: tf_set(X, np.full((29, 3), 1 / 3)), {}, "each sample must have one class"),
        (
            lambda: tf.data.Dataset.from_generator(list, (tf.float32, tf.int64)),
            *({}, "must know the shape of its labels"),
        ),
        (tf_set, {"mode": "progressive"}, "does not know the epoch"),
        (tf_set, {"mode": "most"}, "`mode` must be one of"),
        (tf_set, {"batch_size": 0.5}, "`batch_size` must be a whole number"),
        (tf_set, {"batch_size": 0}, "`batch_size` must be a whole number of at least 1; got 0"),
        (tf_set, {"counts": 20}, "`counts` must be a number for each class"),
        (tf_set, {"counts": [20]}, "`counts` must have samples of at least two classes"),
        (tf_set, {"counts": [20, 9.5]}, r"`counts\[1\]` must be a whole number"),
    ],
)
def test_bad_arguments(data, arguments, match):
    with pytest.raises(ValueError, match=match):
        balanced(data(), **arguments)


@pytest.mark.parametrize("moved", [0, -1])
def test_a_class_without_a_count_is_named_where_it_comes(moved):
    counts = [20, 6] if moved == 0 else [20, 6, 2]
    data = balanced(tf_set().map(lambda x, y: (x, y + moved)), counts=counts)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="`counts` must have a number for each"
    ):
        list(data)


@pytest.mark.parametrize("data", [X, tf.data.Dataset.from_tensor_slices({"images": X})])
def test_what_is_no_set_of_samples_and_labels(data):
    with pytest.raises(TypeError, match=r"must be a tf.data.Dataset of \(x, y\)"):
        balanced(data)
