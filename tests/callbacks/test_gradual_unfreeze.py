"""GradualUnfreeze: what waits does not move, what thaws rises, and nothing touches `trainable`."""

import itertools

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn.callbacks import DivideLROnPlateau, GradualUnfreeze

FEATURES, NORM, STATISTICS = slice(0, 2), slice(2, 4), slice(4, 6)


def thawing(groups=("norm", "features"), optimizer=None, graph=False, **arguments):
    """A model compiled for the callback, and the callback.

    With `graph` as users train; else TensorFlow, which traces anew at each thaw, runs eagerly.
    """
    thaw = GradualUnfreeze(list(groups), verbose=0, **arguments)
    model = trainings.network()
    optimizer = thaw.optimizer(model, optimizer or keras.optimizers.SGD(0.1))
    compile_(model, optimizer, graph)
    return model, thaw


def compile_(model, optimizer, graph=False):
    how = {"jit_compile": trainings.jit()} if graph else trainings.for_few_steps()
    model.compile(optimizer, "sparse_categorical_crossentropy", **how)


def fit(model, callbacks, epochs=4, **more):
    """One batch an epoch."""
    arguments = {"batch_size": 48, "validation_data": None, **more}
    return trainings.fit(model, callbacks, epochs, **arguments)


def moved(epochs, part):
    """Whether this part of the weights changed in each epoch."""
    pairs = itertools.pairwise(epochs)
    return [not trainings.same(before[part], after[part]) for before, after in pairs]


@pytest.mark.parametrize(
    ("graph", "fits", "optimizer"),
    [
        (False, 2, lambda: keras.optimizers.SGD(0.1, momentum=0.9)),  # the second `fit` waits again
        (True, 1, lambda: keras.optimizers.AdamW(0.01, weight_decay=0.5)),
    ],
)
def test_groups_wait_with_their_statistics_and_decay_and_then_learn(graph, fits, optimizer):
    model, thaw = thawing(optimizer=optimizer(), graph=graph, every=2)
    trainable = [layer.trainable for layer in model.layers]
    for _ in range(fits):
        record = trainings.Record()
        record.epochs.append(model.get_weights())
        fit(model, [thaw, record], epochs=6)
        assert moved(record.epochs, NORM) == [False] * 2 + [True] * 4
        assert moved(record.epochs, STATISTICS) == [False] * 2 + [True] * 4
        assert moved(record.epochs, FEATURES) == [False] * 4 + [True] * 2
    assert [layer.trainable for layer in model.layers] == trainable


def test_norms_that_wait_normalise_as_at_inference():
    """The loss of the first batch is that of the model with training=False."""
    model, thaw = thawing()
    model.layers[1].moving_mean.assign([0.5, -0.5, 1.0, 0.0])
    model.get_layer("dropout").rate = 0.0
    x, y = trainings.X[:16], trainings.Y[:16]
    expected = model.evaluate(x, y, verbose=0)
    loss = model.fit(x, y, batch_size=16, callbacks=[thaw], verbose=0).history["loss"][0]
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ramp", [0, 1, 2])
def test_rates_rise_over_the_ramp_batch_by_batch(ramp):
    model, thaw = thawing(ramp=ramp)
    history = trainings.rehearse(model, [thaw], [0] * 5, np.zeros((5, 3)))
    rises = {0: [0.1] * 4, 1: [0.1] * 4, 2: [0.05, 0.1, 0.1, 0.1]}[ramp]  # at the epochs' ends
    np.testing.assert_allclose(history["learning_rate_group1"], [0, *rises], atol=1e-7)
    np.testing.assert_allclose(history["learning_rate_group2"], [0, 0, *rises[:-1]], atol=1e-7)
    (default,) = [n for n in history if n.startswith("learning_rate") and "group" not in n]
    np.testing.assert_allclose(history[default], 0.1)


def test_between_two_batches_of_a_ramp_the_rate_rises():
    thaw = GradualUnfreeze(["slow"], verbose=0)
    model = keras.Sequential([keras.Input((1,))])
    model.add(keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="slow"))
    model.compile(
        thaw.optimizer(model, keras.optimizers.SGD(0.1)),
        lambda y, p: keras.ops.mean(p) + 0 * y[:, 0],
        jit_compile=trainings.jit(),
    )
    record, x = trainings.Record(), np.ones((4, 1), "float32")
    model.fit(x, x, batch_size=1, epochs=3, callbacks=[thaw, record], verbose=0)
    steps = -np.diff([1.0, *(weights[0].item() for weights in record.batches)])
    expected = [0] * 4 + [0.025, 0.05, 0.075, 0.1] + [0.1] * 4
    np.testing.assert_allclose(steps, expected, atol=1e-6)


def test_a_plateau_cuts_all_rates_and_later_groups_get_the_lower():
    model, thaw = thawing(every=2)
    plateau = DivideLROnPlateau("score", "min", patience=1, max_reductions=1, verbose=0)
    history = trainings.rehearse(model, [thaw, plateau], [1] * 6, np.zeros((6, 3)))
    np.testing.assert_allclose(history["learning_rate_group1"][2:], 0.05)
    np.testing.assert_allclose(history["learning_rate_group2"][4:], 0.05)


@pytest.mark.parametrize("plateau_first", [True, False])
def test_a_warmup_beside_it_leaves_the_groups_to_it(plateau_first):
    model, thaw = thawing(ramp=0, every=2)
    plateau = DivideLROnPlateau("loss", patience=9, warmup=2, verbose=0)
    parts = [plateau, thaw] if plateau_first else [thaw, plateau]
    history = trainings.rehearse(model, parts, [0] * 5, np.zeros((5, 3)))
    np.testing.assert_allclose(history["learning_rate_group1"], [0, 0, 0.1, 0.1, 0.1], atol=1e-7)
    np.testing.assert_allclose(history["learning_rate_group2"], [0, 0, 0, 0, 0.1], atol=1e-7)


def test_a_warmup_longer_than_the_wait_is_refused():
    model, thaw = thawing(every=2)
    with pytest.raises(ValueError, match=r"must end before the first .* warmup=3 and every=2"):
        trainings.rehearse(model, [thaw, DivideLROnPlateau("loss", warmup=3)], [0])


def test_layers_without_a_group_learn_as_with_one_optimizer():
    model, thaw = thawing(["features"], every=9)
    model.get_layer("dropout").rate = 0.0
    twin = trainings.network()
    twin.get_layer("dropout").rate = 0.0
    twin.get_layer("features").trainable = False
    compile_(twin, keras.optimizers.SGD(0.1))
    start = twin.get_weights()
    fit(model, [thaw], shuffle=False)
    fit(twin, [], shuffle=False)
    assert not trainings.same(start[NORM], twin.get_weights()[NORM])
    for layer in ("norm", "head"):
        pairs = zip(
            model.get_layer(layer).get_weights(), twin.get_layer(layer).get_weights(), strict=True
        )
        for one, other in pairs:
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_nested_models_go_as_a_whole():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()], name="base"
    )
    model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(3, "softmax")])
    thaw = GradualUnfreeze(["base"], every=5, verbose=0)
    compile_(model, thaw.optimizer(model, keras.optimizers.Adam()))
    before, head = inner.get_weights(), model.layers[-1].get_weights()
    x = np.random.default_rng(0).normal(size=(8, 4))
    model.fit(x, np.arange(8) % 3, epochs=2, callbacks=[thaw], verbose=0)
    assert trainings.same(before, inner.get_weights())
    assert not trainings.same(head, model.layers[-1].get_weights())


def branch(name, layers):
    """A nested model whose layers may have the names of another's."""
    inputs = x = keras.Input((4,))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


def branches(*shared, name="both"):
    """Two nested models, alike to the paths of their weights."""
    inputs = keras.Input((4,))
    a, b = (
        branch(name, [*shared, keras.layers.Dense(4, name="d"), keras.layers.BatchNormalization()])
        for name in ("a", "b")
    )
    joined = keras.layers.Concatenate()([a(inputs), b(inputs)])
    return keras.Model(inputs, keras.layers.Dense(3, "softmax", name="head")(joined), name=name)


def learn(model, thaw):
    """Which of the layers changed in two epochs, statistics too."""
    x = np.random.default_rng(0).normal(size=(8, 4))
    before = [layer.get_weights() for layer in model.layers]
    model.fit(x, np.arange(8) % 3, epochs=2, callbacks=[thaw], verbose=0)
    pairs = zip(model.layers, before, strict=True)
    return {layer.name for layer, old in pairs if not trainings.same(old, layer.get_weights())}


def test_what_has_the_same_path_is_not_the_same(tmp_path):
    """Nor after saving, loading, another name and in a Sequential."""
    model, thaw = branches(name="b"), GradualUnfreeze(["b"], every=5, verbose=0)
    compile_(model, thaw.optimizer(model, keras.optimizers.SGD(0.5)))
    assert model.get_layer("a").weights[0].path == model.get_layer("b").weights[0].path
    model.name = "another"
    assert learn(model, thaw) == {"a", "head"}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert learn(loaded, thaw) == {"a", "head"}
    with pytest.raises(ValueError, match=r"it has .* of other groups: model.compile"):
        learn(loaded, GradualUnfreeze(["a"], verbose=0))


def test_layers_of_one_path_are_told_apart_by_a_function():
    twins = [branch("twin", [keras.layers.Dense(4, name="d*[b")]) for _ in range(2)]

    class Stacked(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [*twins, keras.layers.Dense(3, "softmax", name="head")]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    model, thaw = Stacked(), GradualUnfreeze([lambda one: one is twins[1]], every=5, verbose=0)
    model(np.zeros((1, 4)))
    compile_(model, thaw.optimizer(model, keras.optimizers.SGD(0.5)))
    before = [one.get_weights() for one in twins]
    assert learn(model, thaw) == {"twin", "head"}
    assert not trainings.same(before[0], twins[0].get_weights())
    assert trainings.same(before[1], twins[1].get_weights())


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["b", "a"], [0, 0, 1, 1, 0, 0, 2]),
        (["a", "b"], [0, 0, 0, 0, 1, 1, 2]),
        (["b"], [0, 0, 1, 1, 0, 0, 1]),
        (["b/shared"], [0, 0, 1, 1, 1, 1, 1]),
        (["a/d", "a"], [1, 1, 0, 0, 2, 2, 2]),
    ],
)
def test_a_shared_layer_is_in_the_first_group_that_it_fits(groups, expected):
    shared, inputs = keras.layers.Dense(4, name="shared"), keras.Input((4,))
    parts = [branch(name, [shared, keras.layers.Dense(4, name="d")]) for name in ("a", "b")]
    added = keras.layers.Add()([part(inputs) for part in parts])
    head = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(inputs, head(added))
    optimizer = GradualUnfreeze(groups).optimizer(model, keras.optimizers.SGD(0.1))
    assert optimizer.groups_of(model.trainable_variables) == expected


def test_after_the_training_norms_learn_as_ever():
    model, thaw = thawing(every=9, graph=True)
    start = model.get_weights()
    fit(model, [thaw], epochs=1)
    before = model.get_weights()
    fit(model, [], epochs=1)
    assert trainings.same(start[STATISTICS], before[STATISTICS])
    assert not trainings.same(before[STATISTICS], model.get_weights()[STATISTICS])


@pytest.mark.parametrize("same_object", [True, False])
def test_after_an_interrupted_fit_norms_wait_and_thaw_as_ever(same_object):
    model, thaw = thawing(every=2)
    with pytest.raises(KeyboardInterrupt):
        trainings.fit(model, [thaw, trainings.StopAt(0)])
    if not same_object:
        thaw = GradualUnfreeze(["norm", "features"], every=2, verbose=0)
    record = trainings.Record()
    record.epochs.append(model.get_weights())
    fit(model, [thaw, record])
    assert moved(record.epochs, STATISTICS) == [False] * 2 + [True] * 2


def test_a_cut_within_a_ramp_holds_for_the_groups():
    model, thaw = thawing(ramp=2)
    plateau = DivideLROnPlateau(
        "loss", "max", every=5, patience=1, max_reductions=1, min_delta=9, verbose=0
    )
    history = trainings.rehearse(model, [thaw, plateau], [0] * 5, np.zeros((5, 3)))
    np.testing.assert_allclose(history["learning_rate_group1"][3:], 0.05, atol=1e-7)
    np.testing.assert_allclose(history["learning_rate_group2"][4:], 0.05, atol=1e-7)


def test_mixed_precision_and_saving(tmp_path):
    """Keras wraps the optimizer for loss scaling; the model saves and loads compiled."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, thaw = thawing(["features"], graph=True)
        fit(model, [thaw], epochs=2)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    assert trainings.same(loaded.get_weights(), model.get_weights())


def test_thaws_are_told(capsys):
    model, thaw = thawing()
    thaw.verbose = 1
    trainings.rehearse(model, [thaw], [0] * 4)
    assert capsys.readouterr().out.split("\n\n") == [
        "\nEpoch 2: group 1 of 2 learns from now.",
        "Epoch 3: group 2 of 2 learns from now.\n",
    ]
    resumed = keras.callbacks.CallbackList([thaw], model=model, epochs=3)
    resumed.on_train_begin()
    resumed.on_epoch_begin(2)
    assert capsys.readouterr().out == "\nEpoch 3: group 2 of 2 learns from now.\n"


@pytest.mark.parametrize("optimizer", ["sgd", None])
def test_another_optimizer_is_refused(optimizer):
    model = trainings.network()
    model.compile(optimizer, "mse")
    with pytest.raises(ValueError, match=r"optimizer that this callback makes; it has (sgd|none)"):
        trainings.rehearse(model, [GradualUnfreeze(["features"])], [0])


def test_a_model_with_optimizers_of_its_own_is_refused():
    class Rivals(keras.Model):
        def train_step(self, data):
            """Not come to."""

    inputs = keras.Input((4,))
    model = Rivals(inputs, keras.layers.Dense(3, name="d")(inputs))
    model.rival = keras.optimizers.Adam()
    thaw = GradualUnfreeze(["d"], verbose=0)
    model.compile(thaw.optimizer(model, keras.optimizers.SGD(0.1)), "mse")
    with pytest.raises(ValueError, match=r"trains alone; `.*` has rival besides"):
        trainings.rehearse(model, [thaw], [0])


def used():
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(trainings.network().trainable_variables)
    return optimizer


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "`groups` must be a list with at least one group"),
        (("features",), ValueError, "`groups` must be a list with at least one group"),
        (([3],), TypeError, "`where` must be a layer class"),
        ((["a"], 0), ValueError, "`every` must be a whole number of at least 1; got 0"),
        ((["a"], 1, -1), ValueError, "`ramp` must be a whole number of at least 0; got -1"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        GradualUnfreeze(*arguments)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("sgd", "`optimizer` must be a single Keras optimizer, .* got 'sgd'"),
        (keras.optimizers.SGD, "must be a single Keras optimizer, .* got <class"),
        (keras.optimizers.SGD(0.1), r"group 1 \('nowhere'\) has none"),
        (
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
            "must be a single Keras optimizer, .* got <keras.*LossScaleOptimizer",
        ),
        (keras.optimizers.Ftrl(0.1), "at a learning rate of 0, and Ftrl divides by it"),
        (keras.optimizers.SGD(lambda: 0.1), "a number as its learning rate; .* schedule"),
        (used(), "must be new; got .*, which is built"),
    ],
)
def test_bad_optimizers_and_groups(optimizer, message):
    with pytest.raises(ValueError, match=message):
        GradualUnfreeze(["nowhere"]).optimizer(trainings.network(), optimizer)
