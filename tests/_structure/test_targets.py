"""Labels outside the classes are refused before anything is trained, on every backend."""

import keras
import numpy as np
import pytest

from keras_dcnn._structure.targets import check_targets
from keras_dcnn.ensemble import CrossValidationEnsemble, train_from_seeds

Y = np.arange(12) % 3


def model(loss, units=3):
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, "sigmoid")])
    made.compile("sgd", loss)
    return made


SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("loss", "units", "y", "message"),
    [
        (SPARSE, 3, Y + 1, "from 0 to 2, the classes of 3 outputs; got 3 for sample 2"),
        (keras.losses.sparse_categorical_crossentropy, 3, Y - 1, "got -1 for sample 0"),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), 3, Y[:, None] + 1, "got 3"),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=1), 3, Y + 1, "got 3"),
        (SPARSE, 3, Y / 2, "got 0.5"),
        ("binary_crossentropy", 1, Y % 2 + 1, "between 0 and 1 .* got 2"),
        (keras.losses.BinaryCrossentropy(), 1, 2 * (Y % 2) - 1, "between 0 and 1 .* got -1"),
        ("binary_focal_crossentropy", 1, Y, "got 2"),
        (SPARSE, 3, np.where(Y == 1, np.nan, Y), "got nan for sample 1: leave out samples without"),
        ("binary_crossentropy", 1, np.where(Y == 1, np.nan, 0), "got nan: leave out samples"),
        ("binary_crossentropy", 1, Y.astype(str), "`y` must be whole .*number the classes"),
    ],
)
def test_labels_that_the_loss_does_not_know(loss, units, y, message):
    with pytest.raises(ValueError, match=message):
        check_targets([model(loss, units)], y)


@pytest.mark.parametrize(
    ("loss", "units", "y", "weights"),
    [
        (SPARSE, 3, Y.astype("float32"), None),
        (SPARSE, 3, np.where(Y == 1, -1, Y), (Y != 1).astype("float32")),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=255), 3, np.append(Y, 255), None),
        ("binary_crossentropy", 1, Y / 2, None),
        ("binary_crossentropy", 3, np.eye(3)[Y], None),
        ("mse", 1, Y - 5.0, None),
        (lambda y, p: keras.ops.mean(p), 3, Y + 7, None),
    ],
)
def test_labels_that_it_knows(loss, units, y, weights):
    assert check_targets([model(loss, units)], y, weights) is None


def test_before_any_training(tmp_path):
    x = np.zeros((12, 4), "float32")
    search = CrossValidationEnsemble(
        lambda: model(SPARSE), folds=2, top=1, directory=tmp_path / "one"
    )
    with pytest.raises(ValueError, match="from 0 to 2"):
        search.fit(x, Y + 1)
    with pytest.raises(ValueError, match="from 0 to 2"):
        train_from_seeds(lambda: model(SPARSE), (x, Y + 1), directory=tmp_path / "other")
    assert not list(tmp_path.iterdir())


def test_an_empty_directory_is_refused():
    with pytest.raises(ValueError, match="`directory` must be a path"):
        CrossValidationEnsemble(lambda: model(SPARSE), directory="")
    with pytest.raises(ValueError, match="`directory` must be a path"):
        train_from_seeds(lambda: model(SPARSE), (np.zeros((12, 4)), Y), directory="")
