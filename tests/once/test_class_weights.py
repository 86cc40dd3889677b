"""class_weights and weights_of: scikit-learn's, the formulas, and a mean of 1 over the images."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from keras_dcnn.imbalance import class_weights, weights_of

COUNTS = np.array([1000, 70, 10, 1])
Y = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))


def test_balanced_is_that_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.arange(4), y=Y)
    np.testing.assert_allclose([*class_weights(Y).values()], expected)
    np.testing.assert_allclose(weights_of(Y), compute_sample_weight("balanced", Y), rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "ratio"),
    [
        ("sqrt", COUNTS**-0.5),
        ("effective", 0.001 / (1 - 0.999**COUNTS)),
        ("balanced", 1 / COUNTS),
    ],
)
def test_methods_by_their_formulas_with_a_mean_of_one_over_the_images(method, ratio):
    weights = np.array([*class_weights(Y, method).values()])
    np.testing.assert_allclose(weights / weights[0], ratio / ratio[0])
    of_images = weights_of(Y, method)
    assert of_images.dtype == "float32"
    assert of_images.mean() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(of_images, weights[Y], rtol=1e-6)


def test_effective_lies_between_none_and_balanced():
    for beta, other in ((1e-12, np.ones(4)), (1 - 1e-15, [*class_weights(Y).values()])):
        weights = [*class_weights(Y, "effective", beta=beta).values()]
        np.testing.assert_allclose(weights, other, rtol=1e-9)


def test_labels_of_every_form_and_plain_numbers():
    weights = class_weights(Y)
    numbers = [Y.astype(dtype) for dtype in ("uint8", "uint64", "int8", "float32")]
    for y in (Y[:, None], np.eye(4)[Y], np.eye(4)[Y] > 0, Y.tolist(), *numbers):
        assert class_weights(y, num_classes=4) == weights
        np.testing.assert_array_equal(weights_of(y), weights_of(Y))
    assert [(type(key), type(value)) for key, value in weights.items()] == [(int, float)] * 4


def test_weights_of_the_training_data_for_others():
    held_out = np.array([3, 0, 0])
    expected = np.array(Y.size / (4 * COUNTS))[held_out]
    np.testing.assert_allclose(weights_of(held_out, class_weights(Y)), expected, rtol=1e-6)
    assert weights_of(np.zeros(0), {}).shape == (0,)


def test_balanced_weights_make_an_accuracy_the_balanced_one():
    answers = np.where(Y == 2, 2, 0)
    found = np.average(answers == Y, weights=weights_of(Y))
    assert found == pytest.approx(balanced_accuracy_score(Y, answers), rel=1e-5)


@pytest.mark.parametrize("function", [class_weights, weights_of])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 0],), "`y` must have samples of at least two classes; got samples of class 0 alone"),
        (([],), "at least two classes; got none"),
        (([0, 2],), "each of the 3 classes must have samples in `y`; class 1 has none"),
        ((np.eye(3)[[0, 1]],), "class 2 has none: add some"),
        (([0.0, np.nan],), "`y` must be classes, whole numbers from 0; got nan: leave out samples"),
        (([0, -1],), "`y` must be classes, whole numbers from 0; got -1"),
        (([0, 1e300],), r"whole numbers from 0 and below 16,777,216; got 1e\+300"),
        (([0, np.inf],), "below 16,777,216; got inf"),
        ((np.array([0, 2**64 - 1], "uint64"),), "below 16,777,216; got 18446744073709551615"),
        (([0, 10**9],), "below 16,777,216; got 1000000000: number the classes"),
        (([[0], [0, 1]],), "`y` must be whole numbers .*; got lists of several lengths"),
        (([[0.3, 0.7], [0, 1]],), "each sample must have one class"),
        (([[1, 1], [0, 1]],), "each sample must have one class"),
        (([0, 1], "blanced"), "`method` must be one of 'balanced', 'effective', 'sqrt'"),
    ],
)
def test_bad_arguments(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_bad_numbers():
    with pytest.raises(ValueError, match="`y` must be classes from 0 to 1, num_classes=2; got 3"):
        class_weights(Y, num_classes=2)
    with pytest.raises(ValueError, match="each of the 5 classes must have samples"):
        class_weights(Y, num_classes=5)
    for beta in (0, 1, np.nan):
        with pytest.raises(ValueError, match="`beta` must be a finite number above 0 and below 1"):
            class_weights(Y, "effective", beta=beta)
    with pytest.raises(ValueError, match="each class of `y` must have a weight; class 3 has none"):
        weights_of(Y, {0: 1, 1: 1, 2: 1})
    with pytest.raises(ValueError, match=r"keys of class weights must be classes.*got 'cat'"):
        weights_of(Y, {"cat": 1.0})
    with pytest.raises(ValueError, match="`class weight of 0` must be a finite number"):
        weights_of(Y, {0: np.nan})
