"""What two phases refuse before any training, and which classes have few samples."""

import keras
import numpy as np
import pytest
from trainings import same

from keras_dcnn.imbalance import BalancedDataset, TwoPhaseTraining, train_in_two_phases
from keras_dcnn.imbalance._phases import few_of

X = np.random.default_rng(0).normal(size=(21, 4)).astype("float32")
Y = np.repeat([0, 1, 2], [12, 6, 3])


@pytest.mark.parametrize(
    ("few", "found"),
    [
        (None, [0, 1, 1]),
        (4, [0, 0, 1]),
        (np.int64(7), [0, 1, 1]),
        ([0], [1, 0, 0]),
        (np.array([1, 2]), [0, 1, 1]),
    ],
)
def test_which_classes_have_few(few, found):
    assert few_of(np.array([12, 6, 3]), few).tolist() == [bool(one) for one in found]


def test_of_classes_that_are_not_alike_some_are_below_the_mean_and_some_not():
    assert few_of(np.array([10, 10, 10, 100]), None).tolist() == [True, True, True, False]
    assert few_of(np.array([100, 100, 99]), None).tolist() == [False, False, True]


BAD = [
    ({"start": 0}, "`start` must be a whole number of at least 1; got 0"),
    ({"form": "crt"}, "`form` must be one of 'balanced', 'head', 'reweighted'; got 'crt'"),
    ({"form": "many_then_few"}, "use imbalance.train_in_two_phases"),
    ({"form": "balanced"}, "the form 'balanced' needs `data`"),
    ({"form": "reweighted"}, "the form 'reweighted' needs `class_weight`"),
    ({"form": "head", "class_weight": [1, 1, 1]}, "the form 'head' takes no `class_weight`"),
    ({"form": "reweighted", "class_weight": [1, 1, 1], "head": "a"}, "takes no `head`"),
    ({"form": "head", "seed": -1}, "`seed` must be a whole number"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD)
def test_arguments_of_the_callback_that_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        TwoPhaseTraining(**{"start": 1, **arguments})


def test_data_of_the_callback_that_are_refused():
    with pytest.raises(TypeError, match="`data` must be a BalancedDataset; got ndarray"):
        TwoPhaseTraining(1, data=X)
    rising = BalancedDataset(X, Y, mode="progressive", epochs=2, verbose=0)
    with pytest.raises(ValueError, match="got 'progressive'"):
        TwoPhaseTraining(1, data=rising)
    several = BalancedDataset(X, np.eye(3)[Y] + np.eye(3)[0] * (Y > 0)[:, None], verbose=0)
    with pytest.raises(ValueError, match="each sample must have one class"):
        TwoPhaseTraining(1, data=several)


def test_more_classes_than_the_model_has_outputs_are_refused():
    phases = TwoPhaseTraining(1, data=BalancedDataset(X, Y, verbose=0))
    phases.set_params({"epochs": 2})
    phases.set_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"must be of the 2 classes of .*; it has 3"):
        phases.on_train_begin()


REFUSED = [
    ({"data": X}, TypeError, "`data` must be arrays, .* got ndarray"),
    ({"data": (X, Y * 0)}, ValueError, "samples of at least two classes"),
    ({"data": (X, Y * 2)}, ValueError, "whole numbers from 0 to 2"),
    ({"data": (X, Y * 1.5)}, ValueError, "got 1.5"),
    ({"data": (X, np.where(Y == 1, 2, Y))}, ValueError, "class 1 has none"),
    ({"data": (X, np.arange(21) % 3)}, ValueError, "all 3 have 7: there is nothing to balance"),
    ({"few": 1}, ValueError, "none of 3 classes have few: the classes have 3 to 12 samples"),
    ({"few": [0, 1, 2]}, ValueError, "all of 3 classes have few"),
    ({"few": [3]}, ValueError, "classes from 0 to 2; got 3"),
    ({"few": 5, "form": "head"}, ValueError, "`few` is for the form 'many_then_few'"),
    ({"head": "a"}, ValueError, "`head` is for the form 'head'"),
    ({"form": "crt"}, ValueError, "`form` must be one of"),
    ({"form": "reweighted", "class_weight": "most"}, ValueError, "got 'most'"),
    ({"epochs": 3}, ValueError, "`epochs` must be a pair"),
    ({"epochs": (1, 0)}, ValueError, r"`epochs\[1\]` must be a whole number"),
    ({"learning_rate": 0}, ValueError, "`learning_rate` must be"),
    ({"callbacks": [TwoPhaseTraining(1, "head")]}, ValueError, "each phase is a `fit` of its own"),
]


@pytest.mark.parametrize(("arguments", "error", "says"), REFUSED, ids=[r[2] for r in REFUSED])
def test_arguments_of_the_function_that_are_refused(arguments, error, says):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(error, match=says):
        train_in_two_phases(**{"model": model, "data": (X, Y), "verbose": 0, **arguments})
    assert same(before, model.get_weights())
