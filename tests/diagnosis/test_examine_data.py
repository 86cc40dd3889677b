"""examine with data, and of trained models: the numbers are NumPy's, and nothing is changed."""

import keras
import numpy as np
import pytest

from keras_dcnn.constraints import MaxNorm
from keras_dcnn.diagnosis import examine
from keras_dcnn.regularizers import WeightDecay, regularize

L = keras.layers
SLOW = pytest.mark.slow  # of several alike, all but one
X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(64, 1)).astype("float32")


def network(*layers, shape=(6,)):
    return keras.Sequential([keras.Input(shape), *layers])


def by_rule(model, *data, **more):
    return {finding.rule: finding for finding in examine(model, *data, **more)}


def drawn(layer, scale=1.0, bias=None):
    """Give a layer weights of NumPy's."""
    kernel = np.random.default_rng(2).normal(size=layer.kernel.shape) * scale
    layer.set_weights([kernel, np.zeros(layer.bias.shape) if bias is None else bias])
    return layer.get_weights()


def test_dead_units_by_layer():
    model = network(L.Dense(8, activation="relu", name="in"), L.Dense(5, activation="relu"))
    model.add(L.Dense(1))
    bias = np.where(np.arange(8) < 5, -50, 0)
    kernel, bias = drawn(model.layers[0], bias=bias)
    drawn(model.layers[1])
    hidden = np.maximum(X @ kernel + bias, 0)
    dead = np.mean(hidden.max(axis=0) == 0)
    finding = by_rule(model, X)["dead_units"]
    assert 0.4 < dead == finding.evidence["dead"]["in"] < 0.9
    assert (finding.severity, finding.evidence["samples"]) == ("info", 64)
    drawn(model.layers[0], bias=np.full(8, -50))
    found = by_rule(model, (X, Y))
    assert [found[rule].severity for rule in ("dead_units", "variance_by_depth")] == ["error"] * 2
    assert by_rule(model, X[:20])["dead_units"].severity == "info"
    assert by_rule(model, np.ones((64, 6)))["dead_units"].severity == "warning"


@pytest.mark.parametrize("kind", [pytest.param("tanh", marks=SLOW), "sigmoid"])
def test_saturated_units(kind):
    model = network(L.Dense(8, name="in"), L.Activation(kind, name="end"), L.Dense(1))
    kernel, _ = drawn(model.layers[0], scale=1e4)
    low, high, function = {
        "tanh": (-1, 1, np.tanh),
        "sigmoid": (0, 1, lambda z: 1 / (1 + np.exp(-np.clip(z, -80, 80)))),
    }[kind]
    places = (function(X @ kernel) - low) / (high - low)
    share = np.mean((places < 0.01) | (places > 0.99))
    finding = by_rule(model, X)["saturated_units"]
    np.testing.assert_allclose(finding.evidence["saturated"]["end"], share, atol=1e-6)
    drawn(model.layers[0])
    assert "saturated_units" not in by_rule(model, X)


def test_gates_may_be_shut():
    inputs = keras.Input((6,))
    gate = L.Dense(6, activation="sigmoid", bias_initializer=keras.initializers.Constant(-99))
    model = keras.Model(inputs, L.Dense(1)(L.Multiply()([inputs, gate(inputs)]) + inputs))
    assert by_rule(model, X) == {}


@pytest.mark.parametrize(
    ("scale", "word"), [(1e-3, "vanish"), pytest.param(1e3, "grow", marks=SLOW), (0.5, None)]
)
def test_variance_by_depth(scale, word):
    model = network(*(L.Dense(6, name=f"layer{i}") for i in range(4)))
    z, deviations = X, []
    for layer in model.layers:
        z = z @ drawn(layer, scale)[0]
        deviations.append(np.sqrt(np.mean(z.reshape(2, 32, 6).var(axis=1))))  # by batch
    finding = by_rule(model, X).get("variance_by_depth")
    assert bool(finding) == bool(word)
    if word:
        assert word in finding.message
        np.testing.assert_allclose([*finding.evidence["deviation"].values()], deviations, 1e-3)
        assert f"{deviations[2] / deviations[0]:.2g} times" in finding.message
        model.add(L.BatchNormalization())
        assert "variance_by_depth" not in by_rule(model, X)


@pytest.mark.parametrize(("rate", "severity"), [(10.0, "warning"), (1e-9, "info"), (1e-2, None)])
def test_ratio_of_a_step(rate, severity):
    model = network(L.Dense(1, use_bias=False, name="only"))
    model.compile(keras.optimizers.SGD(rate), "mse")
    (w,) = model.get_weights()
    x, y = X[:32], Y[:32]
    step = rate * 2 / 32 * x.T @ (x @ w - y)
    finding = by_rule(model, (X, Y)).get("update_ratio")
    assert getattr(finding, "severity", None) == severity
    if rate > 1:  # in float32 the least steps are mostly rounding
        ratio = np.linalg.norm(step) / np.linalg.norm(w)
        np.testing.assert_allclose(finding.evidence["ratios"]["only"], ratio, rtol=1e-4)
    assert "update_ratio" not in by_rule(model, X)
    assert not model.optimizer.built


def everything(model):
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(variable) for variable in variables] + [np.random.get_state()[1]]  # noqa: NPY002


def test_all_is_as_before():
    model = network(L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dropout(0.5))
    model.add(L.Dense(1))
    model.compile(keras.optimizers.Adam(), "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    step, before = model.train_function, everything(model)
    for _ in range(2):
        examine(model, (X, Y))
    assert model.train_function is step
    for one, other in zip(everything(model), before, strict=True):
        np.testing.assert_array_equal(one, other)


class Batches(keras.utils.PyDataset):
    num_batches = 4

    def __getitem__(self, index):
        return X[index * 16 : index * 16 + 16], Y[index * 16 : index * 16 + 16]


def test_kinds_of_data_give_the_same():
    model = network(L.Dense(6, activation="relu"), L.Dense(1))
    drawn(model.layers[0], bias=np.where(np.arange(6) < 4, -99, 0))
    kinds = [X, (X, Y), (X, Y, np.ones(64)), Batches(), [Batches()[i] for i in range(4)]]
    evidence = [by_rule(model, data)["dead_units"].evidence for data in kinds]
    assert all(one == evidence[0] for one in evidence)
    weights = np.arange(64) < 40
    assert by_rule(model, (X, Y, weights))["dead_units"].evidence["samples"] == 40


def test_bad_data():
    model = network(L.Dense(1))
    for data, kind, words in (
        (X * np.nan, ValueError, "must be finite"),
        ((X, Y[:3]), ValueError, "as many samples"),
        (iter([X]), ValueError, "readable again"),
        (7, TypeError, "`data` must be x or"),
    ):
        with pytest.raises(kind, match=words):
            examine(model, data)
    with pytest.raises(ValueError, match="batch_size"):
        examine(model, X, batch_size=0)


def test_weights_not_finite():
    model = network(L.Dense(3, name="first"), L.Dense(1))
    model.layers[0].bias.assign([0, np.nan, 0])
    assert [(one.rule, one.severity) for one in examine(model, X)] == [
        ("weights_not_finite", "error")
    ]


def test_copied_filters():
    model = network(L.Conv2D(8, 3, name="conv"), L.Conv2D(2, 1), shape=(8, 8, 3))
    assert by_rule(model) == {}
    kernel = np.array(model.layers[0].kernel)
    kernel[..., [3, 6]] = kernel[..., [1]] * (1 + 1e-7)
    kernel[..., [0, 2]] = 0  # pruned
    model.layers[0].kernel.assign(kernel)
    finding = by_rule(model)["copied_filters"]
    assert (finding.layer, finding.evidence) == ("conv", {"copies": 2, "filters": 8})
    model.layers[0].bias.assign(np.arange(8.0))  # which make other units of them
    assert by_rule(model) == {}


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.SGD(0.01, momentum=0.9)])
def test_unchanged_filters(optimizer):
    dense = L.Dense(8, activation="relu", name="in")
    model = network(dense, L.Dense(1, name="last"))
    drawn(dense, bias=np.where(np.arange(8) < 5, -50, 50))
    model.compile(optimizer, "mse")
    assert "unchanged_filters" not in by_rule(model)
    model.train_on_batch(X, Y)
    finding = by_rule(model)["unchanged_filters"]
    assert finding.evidence == {"unchanged": {"in": 5 / 8}}


@pytest.mark.parametrize("constraint", [MaxNorm(2.0), keras.constraints.MaxNorm(2.0, axis=[0])])
def test_norms_above_their_bound(constraint):
    model = network(L.Dense(8, kernel_constraint=constraint, name="in"), L.Dense(1))
    model.compile("sgd", "mse")
    kernel, _ = drawn(model.layers[0])
    norms = np.linalg.norm(kernel, axis=0)
    assert by_rule(model) == {}  # the first update will scale them down
    model.train_on_batch(X, Y)
    assert "above_max_norm" not in by_rule(model)
    drawn(model.layers[0])
    finding = by_rule(model)["above_max_norm"]
    assert finding.evidence["above"] == (norms > 2.002).sum()
    np.testing.assert_allclose(finding.evidence["largest"], norms.max(), rtol=1e-5)


def test_what_is_set_after_building():
    layers = [
        L.Conv2D(4, 3, kernel_regularizer="l2", name="conv"),
        *(L.SeparableConv2D(2, 1), L.BatchNormalization(), L.Reshape((-1, 2)), L.GRU(3)),
        L.Dense(2, activity_regularizer="l2"),
    ]
    model = network(*layers, shape=(6, 6, 3))
    assert by_rule(model) == {}
    assert by_rule(regularize(model, WeightDecay(), MaxNorm())) == {}
    conv, separable, norm, _, gru, dense = model.layers
    conv.kernel_regularizer = keras.regularizers.L2(0.01)  # as it was
    assert by_rule(model) == {}
    conv.kernel_regularizer = keras.regularizers.L2(0.5)
    separable.depthwise_constraint = MaxNorm(kernel="depthwise")
    norm.gamma_regularizer = "l2"
    gru.cell.recurrent_regularizer = keras.regularizers.L1()
    dense.bias_constraint = keras.constraints.NonNeg()
    found = [(one.layer, one.evidence["attribute"]) for one in examine(model)]
    assert [name for _, name in found] == [
        *("kernel_regularizer", "depthwise_constraint", "gamma_regularizer"),
        *("recurrent_regularizer", "bias_constraint"),
    ]
    assert found[0][0] == "conv"
