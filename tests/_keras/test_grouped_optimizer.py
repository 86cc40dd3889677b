"""GroupedOptimizer: to a gradient it does what one optimizer does, and it knows variables."""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_dcnn._keras.grouped_optimizer import GroupedOptimizer, grouped_optimizer
from keras_dcnn._keras.optimizers import decaying_optimizer

pytestmark = pytest.mark.every_backend
SHAPES = ((2, 3), (3,), (3, 2), (4,))
GROUPS = [1, None, 0, 1]


def variables(name="same"):
    """Of one name and path, as in models that are nested in another."""
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=s).astype("float32"), name=name) for s in SHAPES]


def steps(optimizer, weights, count=3, missing=()):
    rng = np.random.default_rng(1)
    for _ in range(count):
        gradients = [keras.ops.convert_to_tensor(rng.normal(size=s) * 3, "float32") for s in SHAPES]
        if optimizer.loss_scale_factor:
            gradients = [optimizer.loss_scale_factor * one for one in gradients]
        optimizer.apply([None if i in missing else g for i, g in enumerate(gradients)], weights)
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


OPTIMIZERS = {
    "global_clipnorm": lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
    "not reached": lambda: keras.optimizers.SGD(0.1, global_clipnorm=1e3),
    "accumulated": lambda: keras.optimizers.SGD(
        0.1, global_clipnorm=0.5, gradient_accumulation_steps=3
    ),
    "scaled": lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.5, loss_scale_factor=64.0),
    "scaled and accumulated": lambda: keras.optimizers.SGD(
        0.1, global_clipnorm=0.5, loss_scale_factor=64.0, gradient_accumulation_steps=2
    ),
    "clipnorm": lambda: keras.optimizers.SGD(0.1, clipnorm=0.5),
    "clipvalue": lambda: keras.optimizers.SGD(0.1, clipvalue=0.5),
    "decay": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_groups_of_one_rate_learn_as_with_one_optimizer(name):
    one, weights = OPTIMIZERS[name](), variables()
    groups = grouped_optimizer(OPTIMIZERS[name](), weights, GROUPS, [0.1, 0.1])
    for mine, expected in zip(steps(groups, weights), steps(one, variables()), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5)
    assert int(groups.iterations) == int(one.iterations)


def test_the_norm_is_that_of_all_groups_by_hand():
    """Those at a rate of 0 too."""
    weights = variables()
    before = [keras.ops.convert_to_numpy(weight) for weight in weights]
    optimizer = keras.optimizers.SGD(0.1, global_clipnorm=2.0)
    after = steps(grouped_optimizer(optimizer, weights, GROUPS, [0.0, 0.2]), weights, 1)
    rng = np.random.default_rng(1)
    gradients = [rng.normal(size=s) * 3 for s in SHAPES]
    share = 2 / np.sqrt(sum(np.sum(one**2) for one in gradients))
    for rate, old, new, gradient in zip((0.2, 0.1, 0, 0.2), before, after, gradients, strict=True):
        np.testing.assert_allclose(new, old - rate * share * gradient, rtol=1e-5)


@pytest.mark.parametrize("missing", [(0, 3), (2,), (0,)])
def test_groups_without_gradients_stay_as_with_one_optimizer(missing):
    weights = variables()
    groups = grouped_optimizer(OPTIMIZERS["decay"](), weights, GROUPS, [0.1, 0.1])
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        found = steps(groups, weights, 2, missing)
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        expected = steps(OPTIMIZERS["decay"](), variables(), 2, missing)
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("copied", ["configuration", pickle, copy])
def test_a_copy_has_the_groups_by_the_places_of_the_variables(built, copied):
    weights = variables()
    groups = grouped_optimizer(keras.optimizers.SGD(0.1), weights, GROUPS, [0.0, 0.2])
    if built:
        groups.build(weights)
    if copied == "configuration":
        other = GroupedOptimizer.from_config(groups.get_config())
    elif copied is copy:
        other = copy.deepcopy(groups)
    else:
        other = pickle.loads(pickle.dumps(groups))
    assert [float(one.learning_rate) for one in other.optimizers] == pytest.approx([0, 0.2, 0.1])
    others = variables()
    for mine, expected in zip(steps(groups, weights), steps(other, others), strict=True):
        np.testing.assert_array_equal(mine, expected)
    assert groups.groups_of(weights) == other.groups_of(others) == [1, 2, 0, 1]


def test_unknown_variables_are_refused():
    weights = variables()
    groups = grouped_optimizer(keras.optimizers.SGD(0.1), weights, GROUPS, [0.0, 0.2])
    with pytest.raises(
        ValueError, match=r"variables that it was made for; `other` was not trained"
    ):
        groups.build([*weights, keras.Variable(1.0, name="other")])
    other = keras.Variable(1.0, name="other")
    assert decaying_optimizer(groups, other) is None  # regression: list indices must be integers
    loaded = GroupedOptimizer.from_config(groups.get_config())
    with pytest.raises(ValueError, match="variables that it was made for"):
        loaded.build(weights[1:])


def test_what_is_excluded_from_decay_is_so_in_all_groups():
    """Of the first group all, which alone PyTorch could not do."""
    mine, others = variables(), variables()
    both = [OPTIMIZERS["decay"](), OPTIMIZERS["decay"]()]
    for optimizer, weights in zip(both, (mine, others), strict=True):
        optimizer.exclude_from_weight_decay(var_list=weights[1:3])
    groups = grouped_optimizer(both[0], mine, GROUPS, [0.1, 0.1])
    for found, expected in zip(steps(groups, mine, 1), steps(both[1], others, 1), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_exclusion_may_be_asked_of_all_groups():
    weights = variables()
    groups = grouped_optimizer(OPTIMIZERS["decay"](), weights, GROUPS, [0.1, 0.1])
    groups.exclude_from_weight_decay(var_list=[weights[3]])
    decaying = [[bool(decaying_optimizer(one, w)) for w in weights] for one in groups.optimizers]
    assert decaying == [[True, True, True, False]] * 3
