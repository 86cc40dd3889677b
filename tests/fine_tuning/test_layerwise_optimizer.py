"""layerwise_optimizer: the rate falls from the head to the input, for each variable once."""

import inspect
import math

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn.callbacks import (
    CheckpointEnsemble,
    CurveRecorder,
    DeadUnits,
    DivideLROnPlateau,
    GradualUnfreeze,
    ResumeTraining,
    SnapshotSchedule,
    WeightAveraging,
)
from keras_dcnn.diagnosis import examine, find_learning_rate
from keras_dcnn.fine_tuning import layerwise_optimizer

layers = keras.layers
SGD = keras.optimizers.SGD


def dense(name, units=4):
    return layers.Dense(units, activation="tanh", name=name)


def chain(*names, name=None):
    return keras.Sequential([keras.Input((4,)), *map(dense, names)], name=name)


def one_step(model, optimizer, x):
    """How each variable moves in a step; the model is as before afterwards."""
    before = model.get_weights()
    start = [keras.ops.convert_to_numpy(one) for one in model.trainable_variables]
    model.compile(optimizer, "mse", **trainings.for_few_steps())
    model.train_on_batch(x, np.ones((len(x), *model.output_shape[1:])))
    end = [keras.ops.convert_to_numpy(one) for one in model.trainable_variables]
    model.set_weights(before)
    return [b - a for a, b in zip(start, end, strict=True)]


def shares(model, x=None, **arguments):
    """By the variable the share of the rate: its step divided by that under plain SGD."""
    x = np.random.default_rng(0).normal(size=(8, 4)) if x is None else x
    optimizer = layerwise_optimizer(model, SGD(0.1), verbose=0, **arguments)
    plain, mine = one_step(model, SGD(0.1), x), one_step(model, optimizer, x)
    pairs = zip(mine, plain, strict=True)
    return [np.linalg.norm(one) / np.linalg.norm(other) for one, other in pairs]


def test_the_rates_of_a_chain():
    found = shares(chain("a", "b", "c", "head"), decay=0.5)
    expected = [0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 1, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def nested():
    base = chain("a", "b", name="base")
    parts = [keras.Input((4,)), layers.GaussianNoise(0.0), base, dense("head")]
    return keras.Sequential(parts), [0.25, 0.25, 0.5, 0.5, 1, 1]


def with_a_backbone():
    class Classifier(keras.Model):
        """As keras_hub's are: a functional model in a class of its own."""

        def __init__(self, backbone):
            inputs = keras.Input((4,))
            super().__init__(inputs, dense("head")(backbone(inputs)))
            self.backbone = backbone

    return Classifier(chain("a", "b")), [0.25, 0.25, 0.5, 0.5, 1, 1]


def twins():
    """Two layers of one path; the first is frozen, but counts."""
    inputs = keras.Input((4,))
    parts = [keras.Model(inputs, dense("d")(inputs), name=name) for name in ("first", "second")]
    parts[0].trainable = False
    model = keras.Model(inputs, dense("head")(parts[1](dense("between")(parts[0](inputs)))))
    assert parts[0].weights[0].path == parts[1].weights[0].path
    return model, [0.25, 0.25, 0.5, 0.5, 1, 1]


def shared():
    """At two depths: the rate of the first."""
    one, inputs = dense("shared"), keras.Input((4,))
    model = keras.Model(inputs, dense("head")(one(dense("b")(one(inputs)))))
    return model, [0.125, 0.125, 0.25, 0.25, 1, 1]


def branches():
    """Side by side is as deep."""
    inputs = keras.Input((4,))
    added = layers.Add()([dense("a")(inputs), dense("b")(inputs)])
    return keras.Model(inputs, dense("head")(added)), [0.5, 0.5, 0.5, 0.5, 1, 1]


@pytest.mark.parametrize("make", [nested, with_a_backbone, twins, shared, branches])
def test_the_rates_of_models_that_are_not_flat(make):
    model, expected = make()
    np.testing.assert_allclose(shares(model, decay=0.5), expected, rtol=1e-3)


def test_a_number_or_a_list_of_groups():
    """The layers in no group are the head's; a layer in two is in the first."""
    model = chain("a", "b", "c", "head")
    np.testing.assert_allclose(
        shares(model, decay=0.5, groups=np.int64(3))[-4:], [0.5, 0.5, 1, 1], rtol=1e-3
    )
    found = shares(model, decay=0.5, groups=["a", ["b", lambda layer: layer.name in "ac"]])
    np.testing.assert_allclose(found, [0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 1, 1], rtol=1e-3)


def test_a_copy_made_before_the_training_keeps_the_rates():
    """Though the groups are in another order than the layers."""
    model = chain("a", "b", "head")
    optimizer = layerwise_optimizer(model, SGD(0.1), 0.5, groups=["b", "a"], verbose=0)
    x = np.random.default_rng(0).normal(size=(8, 4))
    moved = [
        one_step(model, one, x)
        for one in (SGD(0.1), type(optimizer).from_config(optimizer.get_config()))
    ]
    found = [
        np.linalg.norm(mine) / np.linalg.norm(plain) for plain, mine in zip(*moved, strict=True)
    ]
    np.testing.assert_allclose(found, [0.5, 0.5, 0.25, 0.25, 1, 1], rtol=1e-3)


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.body, self.head = dense("body"), dense("head")

    def call(self, x):
        return self.head(self.body(x))


def test_a_model_with_a_call_of_its_own_needs_a_list():
    model = OwnCall()
    model(np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"`own` is a OwnCall with a `call` of its own: list"):
        layerwise_optimizer(model, SGD(0.1))
    optimizer = layerwise_optimizer(model, SGD(0.1), 0.5, groups=["body", "head"], verbose=0)
    model.compile(optimizer, "mse", **trainings.for_few_steps())
    x, head = np.ones((2, 4)), model.head.get_weights()[1]
    model.fit(x, x, verbose=0)
    assert not np.array_equal(head, model.head.get_weights()[1])


def test_weight_decay_is_for_kernels_only():
    """AdamW leaves what has gradients of 0 but for its decay; query biases have two axes."""
    inputs = keras.Input((4, 4))
    x = layers.MultiHeadAttention(2, 2, name="attention")(inputs, inputs)
    x = layers.PReLU(shared_axes=[1])(layers.LayerNormalization()(x))
    model = keras.Model(inputs, layers.Dense(1, name="head")(x))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    adam = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    model.compile(
        layerwise_optimizer(model, adam, 0.5, verbose=0),
        lambda y, p: 0 * p,
        **trainings.for_few_steps(),
    )
    before = model.get_weights()
    model.fit(np.ones((2, 4, 4)), np.ones((2, 4, 1)), verbose=0)
    for variable, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        rate = 0.1 if "head" in variable.path else 0.05
        kept = 1 - rate * 0.5 if variable.path.endswith("kernel") else 1
        np.testing.assert_allclose(new, kept * old, rtol=1e-5)
    assert "decayed_slopes" not in [one.rule for one in examine(model)]


def test_the_groups_are_printed(capsys):
    model = keras.Sequential([keras.Input((8, 8, 3))])
    for name in ("a", "b"):
        model.add(layers.Conv2D(4, 3, name=f"conv_{name}"))
        model.add(layers.BatchNormalization(name=f"norm_{name}"))
    model.add(layers.Flatten())
    model.add(layers.Dense(2, name="head"))
    model.get_layer("norm_b").trainable = False
    layerwise_optimizer(model, SGD(0.01), decay=0.5, verbose=0)
    assert capsys.readouterr().out == ""
    layerwise_optimizer(model, SGD(0.01), decay=0.5)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["group", "layers", "variables", "parameters", "rate"],
        ["1", "conv_a", "…", "norm_a", "4", "120", "0.0025"],
        ["2", "conv_b", "2", "148", "0.005"],
        ["3", "head", "2", "130", "0.01"],
    ]


def layerwise(model):
    return layerwise_optimizer(model, keras.optimizers.Adam(0.01), 0.5, verbose=0)


layerwise.of_model = True


@pytest.mark.slow
def test_all_our_callbacks(tmp_path):
    """Of one optimizer they see one rate; the plateau halves it twice."""
    model = trainings.compiled(layerwise)
    parts = [
        DivideLROnPlateau("score", "min", patience=1, max_reductions=2, verbose=0),
        CheckpointEnsemble(tmp_path / "members", max_members=2),
        WeightAveraging("ema", start=0.2, decay=0.5),
        CurveRecorder(tmp_path / "loss.csv"),
        DeadUnits(trainings.X, verbose=0),
        ResumeTraining(tmp_path / "state"),
    ]
    history = trainings.fit(model, [trainings.Script([1, 1, 1, 1]), *parts])
    np.testing.assert_allclose(history["learning_rate"], [0.01, 0.01, 0.005, 0.0025], rtol=1e-5)
    assert np.isfinite(history["val_loss"]).all()
    history = trainings.fit(model, [SnapshotSchedule(1, 0.1)], epochs=2)
    assert 0.01 < history["learning_rate"][0] < 0.1


def test_gradual_unfreeze_refuses_it():
    model = trainings.network()
    with pytest.raises(ValueError, match=r"must be new; got .*, which is layerwise already"):
        GradualUnfreeze(["features"]).optimizer(model, layerwise(model))
    model.compile(layerwise(model), "mse")
    with pytest.raises(ValueError, match=r"optimizer that this callback makes; it has layerwise"):
        trainings.rehearse(model, [GradualUnfreeze(["features"], verbose=0)], [0])


def test_find_learning_rate_leaves_it_as_it_was():
    model = trainings.compiled(layerwise)
    before = [np.array(keras.ops.convert_to_numpy(one)) for one in model.optimizer.variables]
    data = (trainings.X, trainings.Y)
    curve = find_learning_rate(model, data, max_lr=1.0, num_steps=20, batch_size=16, verbose=0)
    after = [keras.ops.convert_to_numpy(one) for one in model.optimizer.variables]
    assert trainings.same(before, after)
    assert np.isfinite(curve.losses).all()


@pytest.mark.slow
def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path):
    model = trainings.compiled(layerwise)
    trainings.fit(model, [], epochs=3)
    expected = model.get_weights()
    trainings.take_back()  # so that what was compiled serves for all
    with pytest.raises(KeyboardInterrupt):
        trainings.fit(
            trainings.compiled(layerwise), [ResumeTraining(tmp_path), trainings.StopAt(1)], 3
        )
    trainings.take_back()
    again = trainings.compiled(layerwise)
    trainings.fit(again, [ResumeTraining(tmp_path)], 3)
    assert trainings.same(again.get_weights(), expected)


def test_mixed_precision_accumulation_and_saving(tmp_path):
    """Keras wraps it for loss scaling; a loaded model trains on as the saved one does."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = trainings.network(dropout=0.0)
        adam = keras.optimizers.AdamW(0.01, gradient_accumulation_steps=2, global_clipnorm=1.0)
        model.compile(
            layerwise_optimizer(model, adam, 0.5, verbose=0),
            "sparse_categorical_crossentropy",
            **trainings.for_few_steps(),
        )
        before = model.get_weights()
        trainings.fit(model, [], epochs=2, shuffle=False)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert trainings.same(loaded.get_weights(), model.get_weights())
        for one in (model, loaded):
            trainings.fit(one, [], epochs=1, shuffle=False)
    finally:
        keras.config.set_dtype_policy("float32")
    assert not trainings.same(before[:1], model.get_weights()[:1])
    for mine, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)


def frozen():
    model = chain("a", "head")
    model.trainable = False
    return model


@pytest.mark.parametrize(
    ("model", "arguments", "error", "message"),
    [
        (chain("a", "b"), {"decay": 0}, ValueError, "`decay` must be above 0 and at most 1; got 0"),
        (chain("a", "b"), {"decay": 1.5}, ValueError, "`decay` must be .*; got 1.5"),
        (chain("a", "b"), {"decay": "0.5"}, ValueError, "`decay` must be .*; got '0.5'"),
        (chain("a", "b"), {"groups": 1}, ValueError, "`groups` must be a whole number of at least"),
        (chain("a", "b"), {"groups": "all"}, ValueError, "`groups` must be \"auto\", .* got 'all'"),
        (chain("a", "b"), {"groups": []}, ValueError, '`groups` must be "auto", .* got '),
        (chain("a", "b"), {"groups": [3]}, TypeError, "`where` must be a layer class"),
        (chain("a", "b"), {"groups": ["a", "c"]}, ValueError, r"group 2 \('c'\) has none"),
        (chain("a", "b"), {"groups": ["*"]}, ValueError, "two blocks at least, .* has one"),
        (chain("a"), {}, ValueError, "two blocks at least, .* has one"),
        (chain("a", "b"), {"verbose": 2}, ValueError, "`verbose` must be one of 0, 1"),
        (frozen(), {}, ValueError, "`model` must have weights to train"),
        ("model", {}, TypeError, "`model` must be a Keras model"),
        (OwnCall(), {}, ValueError, "`model` must be built"),
    ],
)
def test_bad_arguments(model, arguments, error, message):
    with pytest.raises(error, match=message):
        layerwise_optimizer(model, SGD(0.1), **arguments)


def test_a_used_optimizer_is_refused():
    optimizer = SGD(0.1)
    optimizer.build(chain("a").trainable_variables)
    with pytest.raises(ValueError, match="`optimizer` must be new"):
        layerwise_optimizer(chain("a", "b"), optimizer)


APPLICATIONS = [
    name
    for name, made in vars(keras.applications).items()
    if inspect.isfunction(made) and "weights" in inspect.signature(made).parameters
]


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_networks_of_keras(name):
    """No layer has a higher rate than one that it feeds; the head's is the rate in full."""
    side = 96 if name.startswith(("Inception", "Xception")) else 64
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(side, side, 3), classes=3)
    optimizer = layerwise_optimizer(model, SGD(0.1), decay=0.5, verbose=0)
    variables = model.trainable_variables
    by_variable = {
        id(one): share
        for one, share in zip(variables, optimizer.get_config()["shares"], strict=True)
    }
    assert len(by_variable) == len(variables)
    highest = {}
    for operation in model.operations:
        own = [by_variable[id(one)] for one in getattr(operation, "trainable_variables", ())]
        feeding = [
            highest[parent.operation]
            for node in operation._inbound_nodes
            for parent in node.parent_nodes
            if parent.operation in highest
        ]
        if own:
            assert min(own) >= max(feeding, default=0)
        highest[operation] = max([*own, *feeding], default=0)
    head = [by_variable[id(one)] for one in model.layers[-1].trainable_variables]
    head = head or [by_variable[id(variables[-1])]]
    assert set(head) == {1.0}
    depth = {math.log2(share) for share in by_variable.values()}
    assert depth == set(range(-len(depth) + 1, 1))
