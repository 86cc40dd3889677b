"""LayerwiseOptimizer: each variable learns as under an optimizer of its own at its share."""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_dcnn._keras.layerwise import LayerwiseOptimizer, check_can_be_layerwise, make_layerwise
from keras_dcnn._keras.optimizers import decaying_optimizer

SHAPES = ((2, 3), (3,), (3, 2), (4,))
SHARES = (0.25, 0.25, 1.0, 0.5)
RATE = 0.1
optimizers = keras.optimizers
Variable = keras.Variable


def variables(shapes=SHAPES):
    """Of one name and path, as in models that are nested in another; one has a constraint."""
    rng = np.random.default_rng(0)
    made = [Variable(rng.normal(size=s).astype("float32"), name="same") for s in shapes]
    made[0].constraint = keras.constraints.NonNeg()
    return made


def gradients(count, scale=1.0):
    rng = np.random.default_rng(1)
    return [
        [scale * 3 * rng.normal(size=s).astype("float32") for s in SHAPES] for _ in range(count)
    ]


def steps(optimizer, weights, batches, missing=()):
    for batch in batches:
        given = [None if i in missing else keras.ops.array(g) for i, g in enumerate(batch)]
        optimizer.apply(given, weights)
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def layerwise(optimizer, weights, decays=(True,) * 4):
    return LayerwiseOptimizer(optimizer, SHARES, decays, weights)


def assert_close(found, expected):
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=1e-7)


MAKERS = {
    "momentum": lambda rate: optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "decay": lambda rate: optimizers.AdamW(rate, weight_decay=0.5),
    "clipnorm": lambda rate: optimizers.Adam(rate, clipnorm=0.5),
    "clipvalue": lambda rate: optimizers.RMSprop(rate, clipvalue=0.5),
    "average": lambda rate: optimizers.SGD(rate, use_ema=True, ema_overwrite_frequency=2),
    "accumulated": lambda rate: optimizers.Adam(rate, gradient_accumulation_steps=2),
    "scaled": lambda rate: optimizers.Adam(rate, loss_scale_factor=64.0),
    "muon": lambda rate: optimizers.Muon(rate, weight_decay=0.5, adam_weight_decay=0.1),
}


@pytest.mark.parametrize("name", MAKERS)
def test_each_variable_learns_as_under_an_optimizer_of_its_own(name):
    weights, batches = variables(), gradients(5)
    mine = layerwise(MAKERS[name](RATE), weights)
    found = steps(mine, weights, batches)
    for i, share in enumerate(SHARES):
        other, weight = MAKERS[name](RATE * share), variables()[i]
        expected = steps(other, [weight], [[batch[i]] for batch in batches])
        assert_close([found[i]], expected)
        assert int(mine.iterations) == int(other.iterations)


def test_a_schedule_is_that_of_all():
    weights, batches = variables(), gradients(3)
    found = steps(
        layerwise(optimizers.SGD(optimizers.schedules.ExponentialDecay(RATE, 1, 0.5)), weights),
        weights,
        batches,
    )
    before = [keras.ops.convert_to_numpy(one) for one in variables()][1:]
    sums = [sum(0.5**step * g for step, g in enumerate(own)) for own in zip(*batches, strict=True)]
    moved = [RATE * share * total for share, total in zip(SHARES[1:], sums[1:], strict=True)]
    assert_close(found[1:], [old - one for old, one in zip(before, moved, strict=True)])


@pytest.mark.parametrize(("count", "scale"), [(None, 1.0), (2, 64.0)])
def test_the_norm_is_that_of_all_variables_by_hand(count, scale):
    """Of the mean over the batches, where gradients are accumulated."""
    weights, batches = variables()[1:], [one[1:] for one in gradients(count or 1)]
    before = [keras.ops.convert_to_numpy(weight) for weight in weights]
    sgd = optimizers.SGD(
        RATE,
        global_clipnorm=2.0,
        gradient_accumulation_steps=count,
        loss_scale_factor=scale,
    )
    mine = LayerwiseOptimizer(sgd, SHARES[1:], [True] * 3, weights)
    after = steps(mine, weights, [[scale * g for g in batch] for batch in batches])
    means = [np.mean(own, axis=0) for own in zip(*batches, strict=True)]
    clipped = 2 / np.sqrt(sum(np.sum(one**2) for one in means))
    expected = [
        old - RATE * share * clipped * mean
        for old, share, mean in zip(before, SHARES[1:], means, strict=True)
    ]
    assert_close(after, expected)


@pytest.mark.parametrize("decays", [(True, False, True, False), (False, True, False, False)])
def test_decay_is_at_the_share_and_by_the_variable(decays):
    """Adam does nothing to gradients of 0, so that decay is all there is."""
    weights = variables()
    before = [keras.ops.convert_to_numpy(weight) for weight in weights]
    before[0] = np.maximum(before[0], 0)  # its constraint
    mine = layerwise(optimizers.AdamW(RATE, weight_decay=0.5), weights, decays)
    after = steps(mine, weights, [[np.zeros(shape, "float32") for shape in SHAPES]])
    expected = [
        old * (1 - RATE * share * 0.5) if decayed else old
        for old, share, decayed in zip(before, SHARES, decays, strict=True)
    ]
    assert_close(after, expected)
    assert [decaying_optimizer(mine, one) is mine for one in weights] == list(decays)


def test_what_was_excluded_before_has_no_decay():
    weights, adam = variables(), optimizers.AdamW(RATE, weight_decay=0.5)
    adam.exclude_from_weight_decay(var_list=[weights[2]])
    mine = make_layerwise(adam, weights, SHARES, {id(weights[1])})
    assert [decaying_optimizer(mine, one) is mine for one in weights] == [True, False, False, True]
    with pytest.raises(ValueError, match="must be said before an optimizer is made layerwise"):
        mine.exclude_from_weight_decay(var_names=["kernel"])


def test_variables_without_gradients_stay():
    weights, before = variables(), variables()
    mine = layerwise(optimizers.AdamW(RATE, weight_decay=0.5), weights)
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        after = steps(mine, weights, gradients(2), missing=(1, 2))
    for i in (1, 2):
        np.testing.assert_array_equal(after[i], keras.ops.convert_to_numpy(before[i]))


@pytest.mark.parametrize(
    ("copied", "built"),
    [("configuration", True), ("configuration", False), (pickle, False), (copy, False)],
)
def test_a_copy_goes_by_the_places_of_the_variables(copied, built):
    """Keras's own can be pickled and copied before they are built."""
    weights, decays = variables(), (True, False, False, True)
    mine = layerwise(MAKERS["decay"](RATE), weights, decays)
    mine.learning_rate = 2 * RATE
    if built:
        mine.build(weights)
    if copied == "configuration":
        other = LayerwiseOptimizer.from_config(mine.get_config())
    elif copied is copy:
        other = copy.deepcopy(mine)
    else:
        other = pickle.loads(pickle.dumps(mine))
    others = variables()
    for found, expected in zip(
        steps(other, others, gradients(3)), steps(mine, weights, gradients(3)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert [bool(decaying_optimizer(other, one)) for one in others] == list(decays)


def test_a_part_of_the_variables_can_be_trained_and_no_others():
    """A model may be frozen further, but not thawed."""
    weights = variables()
    mine = layerwise(optimizers.SGD(RATE), weights)
    mine.build(weights[2:])
    assert mine.get_config()["shares"] == SHARES[2:]
    other = layerwise(optimizers.SGD(RATE), weights)
    with pytest.raises(ValueError, match=r"variables that it was made for; `new` was not trained"):
        other.build([*weights, Variable(1.0, name="new")])


def used():
    optimizer = optimizers.SGD(RATE)
    optimizer.build(variables())
    return optimizer


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("sgd", "`optimizer` must be a single Keras optimizer, .* got 'sgd'"),
        (optimizers.LossScaleOptimizer(optimizers.SGD(RATE)), "must be a single Keras optimizer"),
        (used(), "must be new; got .*, which is built for a model already"),
        (layerwise(optimizers.SGD(RATE), None), "must be new; got .*, which is layerwise already"),
        (optimizers.Nadam(RATE), "must update each variable by itself; Nadam"),
    ],
)
def test_bad_optimizers(optimizer, message):
    with pytest.raises(ValueError, match=message):
        check_can_be_layerwise(optimizer)
