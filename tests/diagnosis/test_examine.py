"""examine: each mistake is found and named, what is healthy or on purpose is not."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_dcnn.constraints import MaxNorm
from keras_dcnn.diagnosis import Finding, examine
from keras_dcnn.initializers import HeNormal
from keras_dcnn.layers import PReLU
from keras_dcnn.regularizers import ElasticNet, WeightDecay, regularize

L = keras.layers


def network(*layers, size=(8, 8, 3)):
    return keras.Sequential([keras.Input(size), *layers, L.Flatten(), L.Dense(3, name="last")])


def found(model):
    return [(finding.rule, finding.layer) for finding in examine(model)]


@pytest.mark.parametrize("start", ["zeros", "ones", keras.initializers.Constant(0.1)])
@pytest.mark.parametrize("layer", [L.Conv2D, L.Conv2DTranspose, lambda *_, **kw: L.Dense(4, **kw)])
def test_constant_start_of_a_hidden_layer(layer, start):
    model = network(layer(4, 3, kernel_initializer=start, name="first"), L.ReLU())
    assert found(model) == [("symmetric_kernel", "first")]
    (finding,) = examine(model)
    assert f"{model.get_layer('first').get_weights()[0].flat[0]:g}" in finding.message
    nested = network(model.layers[0], L.Conv2D(2, 1), keras.Sequential([L.ReLU(), L.Conv2D(2, 1)]))
    assert found(nested) == [("symmetric_kernel", "first")]


def test_units_that_are_alike_without_being_constant():
    model = network(L.Dense(4, name="first"))
    kernel = np.random.default_rng(0).normal(size=(3, 1)).astype("float32")
    model.get_layer("first").set_weights([np.repeat(kernel, 4, axis=1), np.zeros(4)])
    (finding,) = examine(model)
    assert "all 4 units have the same weights" in finding.message
    depthwise = L.DepthwiseConv2D(1, depth_multiplier=2, name="first")
    model = network(depthwise, L.Conv2D(2, 1))
    depthwise.set_weights([np.arange(1.0, 4).repeat(2).reshape(1, 1, 3, 2), np.zeros(6)])
    (finding,) = examine(model)
    assert "all 2 units of each group have the same weights" in finding.message


def test_zeros_on_purpose_are_no_mistake():
    zero = {"kernel_initializer": "zeros"}
    inputs = keras.Input((8, 8, 4))
    branch = L.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    branch = L.BatchNormalization(gamma_initializer="zeros")(L.Conv2D(4, 1, **zero)(branch))
    x = L.GlobalAveragePooling2D()(L.Add()([inputs, branch]))
    outputs = L.Softmax()(L.Dense(3, **zero)(x))
    assert found(keras.Model(inputs, outputs)) == []
    blur = L.DepthwiseConv2D(3, depthwise_initializer="ones")  # each channel has its own input
    frozen = L.Conv2D(4, 1, kernel_initializer="ones", trainable=False)
    assert found(network(blur, L.Conv2D(4, 1), frozen, L.Conv2D(2, 1))) == []
    assert found(network(L.DepthwiseConv2D(3, depthwise_initializer="zeros"))) != []


@pytest.mark.parametrize("constraint", ["max_norm", "unit_norm", "min_max_norm"])
@pytest.mark.parametrize(
    ("layer", "argument", "axes"),
    [
        (L.Conv1D, "kernel", [0, 1]),
        (L.Conv2D, "kernel", [0, 1, 2]),
        (L.Conv2DTranspose, "kernel", [0, 1, 3]),
        (L.SeparableConv2D, "depthwise", [0, 1]),
        (L.SeparableConv2D, "pointwise", [0, 1, 2]),
    ],
)
def test_constraint_on_axis_0_of_a_convolution(constraint, layer, argument, axes):
    make = type(keras.constraints.get(constraint))
    size = (8, 3) if layer is L.Conv1D else (8, 8, 3)
    wrong = layer(4, 3, **{f"{argument}_constraint": constraint}, name="conv")
    assert found(network(wrong, size=size)) == [("wrong_constraint_axes", "conv")]
    (finding,) = examine(network(wrong, size=size))
    assert f"axis={axes}" in finding.advice
    right = layer(4, 3, **{f"{argument}_constraint": make(axis=axes)})
    assert found(network(right, size=size)) == []


def test_message_of_wrong_axes_has_the_numbers():
    (finding,) = examine(network(L.Conv2D(4, 3, kernel_constraint="max_norm", name="conv")))
    assert str(finding) == (
        "`conv`: MaxNorm on axes [0] of the kernel of shape (3, 3, 3, 4) takes 3 weights together, "
        "but the 27 of a unit lie along [0, 1, 2]: give it axis=[0, 1, 2], or use "
        "constraints.MaxNorm(kernel='standard')."
    )


@pytest.mark.parametrize(
    ("layer", "argument", "kind"),
    [
        (L.Conv2D, "kernel", "standard"),
        (L.Conv2DTranspose, "kernel", "transpose"),
        (L.SeparableConv2D, "depthwise", "depthwise"),
    ],
)
def test_max_norm_of_another_kind(layer, argument, kind):
    for given in ("standard", "depthwise", "transpose"):
        constraint = {f"{argument}_constraint": MaxNorm(kernel=given)}
        expected = [] if given == kind else [("mismatched_max_norm", "conv")]
        assert found(network(layer(4, 3, **constraint, name="conv"))) == expected


def test_max_norm_on_a_kernel_whose_equation_names_its_axes():
    def findings(equation, shape, constraint):
        dense = L.EinsumDense(equation, shape, kernel_constraint=constraint)
        return examine(keras.Sequential([keras.Input((5, 6)), dense]))

    (finding,) = findings("abc,cde->abde", (None, 2, 3), MaxNorm(1.0))
    assert finding.rule == "mismatched_max_norm"
    assert "make it MaxNorm(axis=[0])" in finding.advice
    assert findings("abc,cde->abde", (None, 2, 3), MaxNorm(1.0, axis=[0])) == []
    assert findings("abc,cd->abd", (None, 2), MaxNorm(1.0)) == []  # whose axes are those of Dense


@pytest.mark.parametrize("prelu", [PReLU, L.PReLU])
def test_decay_of_slopes(prelu):
    model = network(L.Conv2D(4, 3), prelu(alpha_regularizer="l2", name="slopes"))
    assert found(model) == [("decayed_slopes", "slopes")]
    model = network(L.Conv2D(4, 3), prelu(name="slopes"))
    assert found(model) == []
    model.compile(keras.optimizers.AdamW(weight_decay=0.004), "mse")
    (finding,) = examine(model)
    assert (finding.rule, finding.layer) == ("decayed_slopes", "slopes")
    assert "AdamW's weight_decay=0.004" in finding.message
    assert "compile with a new optimizer" in finding.advice  # one that is built takes no exclusion
    model.compile(optimizer := keras.optimizers.AdamW(), "mse")
    optimizer.exclude_from_weight_decay(var_names=["alpha"])
    assert found(model) == []


def decay_of(model, optimizer):
    model.compile(optimizer, "mse")
    return [rule for rule, _ in found(model)]


@pytest.mark.parametrize("penalty", ["l2", WeightDecay(1e-4), ElasticNet()])
def test_l2_given_twice(penalty):
    model = network(*[L.Conv2D(4, 1, kernel_regularizer=penalty) for _ in range(7)])
    assert decay_of(model, keras.optimizers.SGD()) == []
    assert decay_of(model, keras.optimizers.SGD(weight_decay=1e-4)) == ["double_decay"]
    (finding,) = examine(model)
    assert "7 layers (" in finding.message
    assert " and 2 more) have an L2 penalty, and SGD's weight_decay=0.0001" in finding.message
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    assert decay_of(model, optimizer) == []
    model.layers[0].trainable = False
    for layer in model.layers[1:]:
        layer.trainable = False
    assert decay_of(model, keras.optimizers.AdamW()) == []


def test_l1_beside_the_optimizers_decay_is_no_mistake():
    for penalty in ("l1", ElasticNet(l2=0)):
        model = network(L.Conv2D(4, 1, kernel_regularizer=penalty))
        assert decay_of(model, keras.optimizers.AdamW()) == []


def test_decay_inside_loss_scaling_and_of_several_optimizers():
    model = network(L.Conv2D(4, 1, kernel_regularizer="l2", name="conv"))
    inner = keras.optimizers.AdamW()
    assert decay_of(model, keras.optimizers.LossScaleOptimizer(inner)) == ["double_decay"]
    for pattern, expected in ((".*conv.*", ["double_decay"]), (".*last.*", [])):
        groups = keras.optimizers.OptimizerMap(keras.optimizers.SGD())
        groups[pattern] = keras.optimizers.AdamW()
        assert decay_of(model, keras.optimizers.MultiOptimizer(groups)) == expected


def test_zeros_inside_wrappers_and_attention():
    zeros = {"kernel_initializer": "zeros"}
    assert found(network(L.TimeDistributed(L.Dense(4, name="in", **zeros), name="each"))) == [
        ("symmetric_kernel", "each/in")
    ]
    inputs = keras.Input((5, 6))
    for residual, expected in ((False, 4), (True, 0)):
        x = L.MultiHeadAttention(2, 3, **zeros)(inputs, inputs)
        x = L.Add()([x, inputs]) if residual else x
        assert len(found(keras.Model(inputs, L.Dense(2)(x)))) == expected


def test_a_bias_of_two_axes_is_no_kernel():
    gru = L.GRU(40, bias_constraint=MaxNorm(), bias_initializer=HeNormal(), name="gru")
    model = keras.Sequential([keras.Input((5, 6)), gru, L.Dense(2)])
    assert found(model) == [("mismatched_max_norm", "gru/gru_cell"), ("wrong_fan", "gru/gru_cell")]


def test_fan_out_of_groups_that_the_initializer_does_not_know():
    for groups, expected in ((1, [("wrong_fan", "conv")]), (4, [])):
        start = HeNormal(mode="fan_out", groups=groups)
        conv = L.Conv2D(16, 3, groups=4, kernel_initializer=start, name="conv")
        assert found(network(conv, size=(8, 8, 8))) == expected


def small_inception():
    """Branches, a nested model called twice, custom parts and a compiled AdamW: all healthy."""
    inputs = keras.Input((8, 8, 4))
    shared = keras.Sequential([L.Conv2D(4, 1, kernel_initializer=HeNormal()), PReLU()])
    x = L.Concatenate()([shared(inputs), shared(L.MaxPooling2D(3, 1, "same")(inputs))])
    x = L.SeparableConv2D(4, 3, depthwise_constraint=MaxNorm(kernel="depthwise"))(x)
    x = L.LSTM(3)(L.Reshape((-1, 4))(x))
    model = keras.Model(inputs, L.Dense(2, kernel_constraint="max_norm")(x))
    model.compile(optimizer := keras.optimizers.AdamW(), "mse")
    optimizer.exclude_from_weight_decay(var_names=["alpha"])
    return model


def test_healthy_models_have_no_findings():
    assert found(small_inception()) == []
    put_on = regularize(small_inception(), WeightDecay(), MaxNorm())
    put_on.compile("sgd", "mse")
    assert found(put_on) == []
    convolutions = [L.Conv2D(4, 3, name="first"), L.DepthwiseConv2D(3, name="second")]
    wrong = regularize(network(*convolutions), kernel_constraint=keras.constraints.MaxNorm())
    rule = "wrong_constraint_axes"
    assert found(wrong) == [(rule, "first"), (rule, "second")]


@pytest.mark.slow
def test_a_large_model():
    mobilenet = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, classes=3, weights=None)
    put_on = regularize(mobilenet, WeightDecay(), MaxNorm())
    put_on.compile("sgd", "mse")
    assert found(put_on) == []
    wrong = regularize(mobilenet, kernel_constraint=keras.constraints.MaxNorm())
    kernels = [layer for layer in wrong.layers if isinstance(layer, (L.Conv2D, L.DepthwiseConv2D))]
    assert len(examine(wrong)) == len(kernels)


def test_findings_are_plain_data():
    (finding,) = examine(network(L.Conv2D(4, 3, kernel_constraint="max_norm")))
    assert Finding(**json.loads(json.dumps(dataclasses.asdict(finding)))) == finding


def test_bad_models():
    with pytest.raises(TypeError, match="`model` must be a Keras model; got Dense"):
        examine(L.Dense(3))
    with pytest.raises(ValueError, match="`model` must be built"):
        examine(keras.Sequential([L.Dense(3)]))
