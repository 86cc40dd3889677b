"""spread: of several labels means over the labels, of numbers the deviation alone."""

import copy
import pickle

import numpy as np
from scipy import stats

from keras_dcnn.ensemble.judging._task import Task
from keras_dcnn.ensemble.judging.spread import spread

rng = np.random.default_rng(0)
WEIGHTS = np.array([0.5, 0.3, 0.2])


def test_several_labels_against_scipy_label_by_label():
    p = rng.uniform(size=(3, 20, 4))
    found = spread(p, p, WEIGHTS)
    both = np.stack([1 - p, p], -1)
    mean = np.tensordot(WEIGHTS, both, 1)
    entropy = stats.entropy(mean, axis=-1)
    np.testing.assert_allclose(found.entropy, entropy.mean(1))
    information = entropy - np.tensordot(WEIGHTS, stats.entropy(both, axis=-1), 1)
    np.testing.assert_allclose(found.mutual_information, information.mean(1), atol=1e-12)
    differs = (p > 0.5) != (mean[..., 1] > 0.5)
    np.testing.assert_allclose(found.disagreement, np.tensordot(WEIGHTS, differs, 1).mean(1))
    one_class = spread(p, p, WEIGHTS, Task.ONE_CLASS)
    assert not np.allclose(one_class.disagreement, found.disagreement)


def test_numbers_have_a_deviation_alone():
    values = rng.normal(0, 100, (3, 20, 1)).astype("float16")
    found = spread(values, values, WEIGHTS)
    wide = values.astype("float64")
    variance = np.tensordot(WEIGHTS, (wide - np.tensordot(WEIGHTS, wide, 1)) ** 2, 1)
    np.testing.assert_allclose(found.standard_deviation, np.sqrt(variance))
    for one in found[1:]:
        assert one.shape == (20,)
        assert np.isnan(one).all()


def test_pickled_and_copied():
    p = rng.dirichlet(np.ones(3), (3, 5))
    found = spread(p, p, WEIGHTS)
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        np.testing.assert_array_equal(other.entropy, found.entropy)
        assert type(other) is type(found)
